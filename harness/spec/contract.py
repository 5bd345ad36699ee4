"""The configurations that services are given: the harness's half of docs/contract/, as types.

What comes back (exit report, client report) is in `harness/raw.py`, because it is stored.
"""

from typing import Literal

from pydantic import Field

from harness.spec.experiment import Record, Scalar
from harness.spec.traffic import Lifetime, Method


class BackendAddress(Record):
    """The server behind the server."""

    host: str = Field(description="Its IP address.")
    port: int = Field(ge=1, le=65535, description="Its TCP port.")
    timeout_s: float = Field(gt=0, description="A call that takes longer has failed, seconds.")


class HandlerConfig(Record):
    """What a server does with each request, in its own terms."""

    kind: Literal["body", "echo"] = Field(description="`body`: `body_bytes` bytes; `echo`: the request's own body.")
    body_bytes: int = Field(ge=0, description="Size of the response's body (kind `body`).")
    cpu_iterations: int = Field(ge=0, description="Rounds of the shared work loop per request.")
    log: Literal["off", "buffered", "flush"] = Field(description="How a line per request goes to `out/access.log`.")
    backend: BackendAddress | None = Field(
        None, description="Whom each request asks (`GET /`, over a kept connection) before it is answered."
    )
    fault: Literal["none", "crash", "exit", "hang", "deadlock", "leak"] = Field(
        "none", description="What a request for `/-/fault` sets off; `none`: it is a request like any other."
    )


class ServerConfig(Record):
    """`config.json` of a server."""

    contract: Literal[1] = Field(1, description="Version of the image contract.")
    model: str = Field(description="The folder of images/ that is run.")
    host: str = Field(description="Address to listen on.")
    port: int = Field(ge=1, le=65535, description="TCP port to listen on.")
    backlog: int = Field(ge=1, description="Length of the listen queue.")
    options: dict[str, Scalar] = Field(description="The model's options, every one present.")
    handler: HandlerConfig = Field(description="What is done with each request.")


class BackendConfig(Record):
    """`config.json` of the backend."""

    format: Literal[1] = Field(1, description="Version of this file.")
    host: str = Field(description="Address to listen on.")
    port: int = Field(ge=1, le=65535, description="TCP port to listen on.")
    body_bytes: int = Field(ge=0, description="Size of its answers' body.")
    distribution: Literal["constant", "exponential", "bimodal"] = Field(description="Of the delays.")
    delay_s: float = Field(ge=0, description="Delay of an answer, mean or usual one, seconds.")
    slow_s: float = Field(0.0, ge=0, description="Delay of the slow answers (`bimodal`), seconds.")
    slow_share: float = Field(0.0, ge=0, lt=1, description="Share of the slow answers (`bimodal`).")
    seed: int = Field(ge=0, description="Of the random delays.")


class ClientRequest(Record):
    """One kind of request of a client's mix, complete."""

    weight: float = Field(1.0, gt=0, description="Its share is its weight over the sum of all weights.")
    path: str = Field("/", description="Path and query (HTTP); destination (STOMP).")
    method: Method = Field("GET", description="HTTP method.")
    headers: dict[str, str] = Field({}, description="Request headers beside those that the client sets itself.")
    body_bytes: int = Field(0, ge=0, description="Size of its body.")
    expect_status: int | None = Field(None, ge=200, le=999, description="Status of a right answer; none: any 2xx.")
    expect_body_bytes: int | None = Field(None, ge=0, description="Length of a right answer's body; none: any.")


class ClientConfig(Record):
    """`config.json` of the load client."""

    format: Literal[1] = Field(1, description="Version of this file.")
    url: str = Field(
        pattern="^(https?|stomp)://",
        description="What is asked for. Its scheme is the protocol: http, https, or stomp.",
    )
    method: Method = Field("GET", description="HTTP method.")
    headers: dict[str, str] = Field({}, description="Request headers beside those that the client sets itself.")
    body_bytes: int = Field(0, ge=0, description="Size of the request's body.")
    mix: tuple[ClientRequest, ...] = Field(
        (),
        max_length=32,
        description="Several kinds of request; none: one, of method, headers, body and path of the URL.",
    )
    kind: Literal["closed", "open", "hold"] = Field(
        "closed", description="Closed loop, open loop, or an open loop through held connections while new ones come."
    )
    servers: tuple[str, ...] = Field(
        (),
        max_length=64,
        description="Several servers, each as `host:port`: connection number i of the whole load, from 0, goes to number i mod their number, and so do all that follow in its place. None: the URL's. The Host header is the URL's in any case.",
    )
    connections: int = Field(ge=1, description="Connections held at once.")
    first_connection: int = Field(
        0,
        ge=0,
        description="Of a load that several clients make together: the number of this one's first connection among all. Its processes number theirs on.",
    )
    rate_per_s: float | None = Field(
        None, gt=0, description="Requests per second over all connections (kinds `open` and `hold`)."
    )
    rates_per_s: tuple[float, ...] = Field(
        (), max_length=64, description="Kind `open`: several rates instead, each for an equal part of the window."
    )
    shape: Literal["staircase", "ramp"] = Field(
        "staircase",
        description="With several rates: steps, or a straight line from each to the next. Warm-up is at the first.",
    )
    arrivals: Literal["constant", "poisson"] = Field("constant", description="Gaps of the schedule.")
    seed: int = Field(1, ge=0, description="Of the schedule, the think times and the mix.")
    think_s: float = Field(0.0, ge=0, description="Kind `closed`: mean think time, seconds.")
    thinking: Literal["exponential", "constant"] = Field("exponential", description="Of the think times.")
    growth_per_s: float | None = Field(None, gt=0, description="Kind `hold`: new connections per second.")
    lifetime: Lifetime = Field(
        "keep-alive", description="Keep each connection, open one for each request, or one for so many requests."
    )
    processes: int = Field(
        1,
        ge=1,
        le=256,
        description="Processes that share connections and rate, each on a CPU of its own where there are as many.",
    )
    first_process: int = Field(
        0,
        ge=0,
        description="Of a load that several clients make together: the number of this one's first process among all. `connections` and `sources` are this client's own, every rate is the whole load's, of which its processes make their shares.",
    )
    all_processes: int | None = Field(
        None,
        ge=1,
        description="Processes of all clients together; none: this client is the only one. Of several, the start that `start.json` gives is kept to the nanosecond, and who comes late catches up.",
    )
    sources: tuple[str, ...] = Field(
        (),
        description="Source addresses of the connections, in turn; none: the kernel's choice, on loopback as many as are needed.",
    )
    warmup_s: float = Field(ge=0, description="Load before the window, seconds.")
    window_s: float = Field(gt=0, description="The measured time, seconds.")
    timeout_s: float = Field(gt=0, description="Deadline of a request from its intended send time, seconds.")
    connect_rate_per_s: float = Field(
        5_000.0, gt=0, description="Connections opened per second in the connect phase, which staggers them."
    )
    expect_status: int | None = Field(
        None, ge=200, le=999, description="Status of a right answer; none: any 2xx. Another one is an error, `status`."
    )
    expect_body_bytes: int | None = Field(
        None, ge=0, description="Length of a right answer's body; none: any. Another one is an error, `wrong`."
    )
    tls_authorities: str | None = Field(
        None, description="https: the certificates to trust, as the text of a PEM file; none: the system's."
    )
    tls_check: Literal["full", "chain", "none"] = Field(
        "full",
        description="https: what is asked of the server's certificate: its chain and the host's name, the chain alone, or nothing.",
    )
    plateau_s: float = Field(
        0.0,
        ge=0,
        description="How long kept connections are held after the drain at most, seconds: until `release.json`.",
    )
    wait_to_connect: bool = Field(False, description="Whether to wait for `connect.json` before the first connection.")
    wait_for_start: bool = Field(True, description="Whether to wait for `start.json`.")


class ProbeTarget(Record):
    """A service that the probe watches."""

    pid: int = Field(ge=1, description="Its first process, in the PID namespace that the probe sees.")
    cgroup: bool = Field(description="The whole cgroup of that process, or that process and its descendants.")
    port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="That it listens on: its queue and its connections' memory are looked up by it.",
    )
    mark: bool = Field(
        False,
        description="Whether the probe sends SIGUSR1 to `pid` at each edge, so that it takes a mark of its counters.",
    )


class ProbeWindow(Record):
    """`window.json` of the probe: put beside its configuration once the start is fixed.

    The probe takes the edges by itself then: no signal has to reach it at the very instants that matter, over whatever
    distance, and a trial needs nobody beside its services from the start to the end of its window.
    """

    start_ns: int = Field(description="The window's start, CLOCK_MONOTONIC of the probe's host.")
    end_ns: int = Field(description="Its end.")


class BalancedAddress(Record):
    """A server behind a balancer."""

    name: str = Field(description="The service's name in the trial, such as `server-1`.")
    host: str = Field(description="Its IP address.")
    port: int = Field(ge=1, le=65535, description="Its TCP port.")


class BalancerConfig(Record):
    """`config.json` of a balancer."""

    format: Literal[1] = Field(1, description="Version of this file.")
    mode: Literal["tcp", "http"] = Field(description="Whether it spreads connections or requests.")
    host: str = Field(description="Address to listen on.")
    port: int = Field(ge=1, le=65535, description="TCP port to listen on.")
    backlog: int = Field(ge=1, description="Length of the listen queue.")
    servers: tuple[BalancedAddress, ...] = Field(min_length=1, description="Behind it.")
    algorithm: Literal["roundrobin", "leastconn", "random"] = Field(description="How it chooses among them.")
    check: Literal["tcp", "http", "off"] = Field(description="How it finds out that a server is well.")
    check_path: str = Field("/", description="What `http` checks ask for (GET).")
    check_interval_s: float = Field(gt=0, description="Time from one check of a server to the next, seconds.")
    fall: int = Field(ge=1, description="Failed checks in a row after which a server gets nothing more.")
    rise: int = Field(ge=1, description="Good checks in a row after which it does again.")
    connections: int = Field(ge=1, description="Most connections that clients may hold.")
    server_connections: int | None = Field(
        None, ge=1, description="Most connections to each server; what is beyond waits in the balancer. None: no limit."
    )
    keep_alive: bool = Field(
        description="`http`: whether connections to servers are kept and shared by all clients, or each is closed after its answer."
    )
    timeout_s: float = Field(gt=0, description="Deadline of a request; its own waits are not longer, seconds.")
    threads: int = Field(1, ge=1, description="Threads that it runs.")


class ProbeConfig(Record):
    """`config.json` of the probe."""

    format: Literal[1] = Field(1, description="Version of this file.")
    services: dict[str, ProbeTarget] = Field(
        description="What is watched, by name; nothing on a host of load clients alone."
    )
    watched_cpus: dict[str, tuple[int, ...]] = Field({}, description="Sets of CPUs whose load is told apart, by name.")
    own_network: str | None = Field(
        None,
        description="A name under which it looks at the network namespace that it is in itself, too: the load client's.",
    )
    interval_s: float = Field(gt=0, description="Time between samples, seconds.")
    deadline_s: float = Field(gt=0, description="Life of the probe at most, seconds.")
