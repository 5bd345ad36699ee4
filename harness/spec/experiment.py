"""The vocabulary of an experiment: what a spec may say, with every default.

`Trial` is the complete description of one measurement; a spec's `base` is a partial one, and its `factors` are
changes to it. The same types make the JSON Schema for editors and the reference in docs/spec.md, which is why
every field carries a description.
"""

import difflib
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from harness.spec.foreign import Server, name_of
from harness.spec.metrics import METRICS, SUMMARY_METRICS
from harness.spec.quantities import Between, Duration, Rate, Size
from harness.spec.record import Record as Record  # noqa: PLC0414 - whoever makes a record finds what it is made of here

Scalar = bool | int | float | str | None

CLIENT_HEADERS = ("Host", "Content-Length", "Connection", "Transfer-Encoding")
"""Headers that the load client sets itself, from the rest of the spec."""

_OWN_HEADERS = frozenset(name.lower() for name in CLIENT_HEADERS)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_HEADER_VALUE = re.compile(r"[\t -~]{0,4096}")
_PATH = re.compile(r"/[!-~]{0,2047}")


def _header_name(name: str) -> str:
    if name.lower() in _OWN_HEADERS:
        raise ValueError(f"the load client sets `{name}` itself; remove it (`load` and `request` decide its value)")
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError(f"{name[:60]!r} is no header name; use letters, digits and hyphens, as in `X-Tenant`")
    return name


def _header_value(value: str) -> str:
    if not _HEADER_VALUE.fullmatch(value):
        raise ValueError(
            f"{value[:60]!r} is no header value; keep to one line of printable ASCII, at most 4096 characters"
        )
    return value


def _path(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError(
            f"`{path[:60]}` does not start with a slash; write the path and query only, such as `/` or `/items?page=2`"
        )
    if not _PATH.fullmatch(path):
        raise ValueError(
            f"{path[:60]!r} holds what no request line may; percent-encode spaces and non-ASCII characters (at most 2048 in all)"
        )
    return path


def _metric(name: str) -> str:
    known = [metric for metric in SUMMARY_METRICS if METRICS[metric].better != "neither"]
    if name in known:
        return name
    if name in METRICS:
        raise ValueError(f"`{name}` ranks nobody; name a metric of which more, or less, is better")
    close = difflib.get_close_matches(name, known, n=1)
    raise ValueError(
        f"there is no metric `{name[:60]}`; "
        + (f"did you mean `{close[0]}`?" if close else "docs/results.md lists them")
    )


def _whole(value: object) -> object:
    if type(value) is not int:  # True == 1.0 == 1 in Python, and so for a Literal
        raise ValueError(f"`{str(value)[:60]}` is not the whole number 1; write 1")
    return value


Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
One = Annotated[Literal[1], BeforeValidator(_whole)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[str, AfterValidator(_header_value)]


class Request(Record):
    """The request that the load client sends."""

    path: Annotated[str, AfterValidator(_path)] = Field(
        "/", description="Path and query, from the slash on.", json_schema_extra={"pattern": "^/[!-~]*$"}
    )
    method: Method = Field("GET", description="HTTP method.")
    headers: dict[HeaderName, HeaderValue] = Field(
        {},
        description="Further request headers. Host, Content-Length, Connection and Transfer-Encoding are the client's.",
    )
    body: Annotated[Size, Between("0 B", "64 MiB")] = Field(
        Size(0), description="Size of the request's body (POST, PUT, PATCH and DELETE)."
    )
    expect: int | None = Field(
        None,
        ge=200,
        le=599,
        description="Status of a right answer. Models that keep the contract answer with 200; of others any 2xx is right by default.",
    )


class Backend(Record):
    """A server behind the server, which every request calls over a kept connection before it is answered."""

    delay: Annotated[Duration, Between("0 ns", "1 min")] | None = Field(
        None, description="How long the backend takes to answer; none: there is no backend."
    )
    distribution: Literal["constant", "exponential", "bimodal"] = Field(
        "constant",
        description="Of the delays; `delay` is their mean (`bimodal`: the delay of those that are not slow).",
    )
    slow: Annotated[Duration, Between("0 ns", "1 min")] | None = Field(
        None, description="Delay of the slow answers (`bimodal` only)."
    )
    slow_share: float = Field(0.005, gt=0, lt=1, description="Share of slow answers, from 0 to 1 (`bimodal` only).")
    body: Annotated[Size, Between("0 B", "64 MiB")] = Field(Size(128), description="Size of the backend's answer.")


class Handler(Record):
    """What the model does with each request; shared code, the same in every model."""

    kind: Literal["body", "echo"] = Field(
        "body", description="`body` answers with `body` bytes; `echo` answers with the request's own body."
    )
    body: Annotated[Size, Between("0 B", "64 MiB")] = Field(
        Size(128), description="Size of the response's body (kind `body`)."
    )
    cpu: Annotated[Duration, Between("0 ns", "1 min")] = Field(
        Duration(0),
        description="CPU work per request: a number of iterations calibrated once per run, never a spin on the clock.",
    )
    log: Literal["off", "buffered", "flush"] = Field(
        "off", description="A log line per request: none, through a buffer, or written out at once."
    )
    backend: Backend = Field(Backend(), description="A call to another server, made in each model's own way.")
    fault: Literal["none", "crash", "exit", "hang", "deadlock", "leak"] = Field(
        "none",
        description="What one request sets off in the window: a segmentation fault, the end of the process, a handler that never returns, two locks taken in opposite order, or memory that is kept from every request from then on.",
    )
    fault_at: Annotated[Duration, Between("0 s", "24 h")] = Field(
        Duration(1_000_000_000), description="When, from the start of the window."
    )


class Load(Record):
    """How the load is made. A closed loop measures throughput, an open loop latency (docs/method.md)."""

    kind: Literal["closed", "open"] = Field(
        "closed",
        description="`closed`: each connection sends its next request when the answer is in. `open`: requests follow a schedule fixed in advance.",
    )
    connections: int = Field(64, ge=1, le=1_000_000, description="Connections held at once.")
    rate: Annotated[Rate, Between("0.001/s", "10000000/s")] | None = Field(
        None, description="Offered rate over all connections, constant gaps (kind `open` only)."
    )
    lifetime: Literal["keep-alive", "per-request"] = Field(
        "keep-alive", description="Keep each connection, or open a new one for every request (the server closes it)."
    )
    warmup: Annotated[Duration, Between("0 s", "1 h")] = Field(
        Duration(1_000_000_000), description="Load before the window, not counted."
    )
    window: Annotated[Duration, Between("100 ms", "24 h")] = Field(
        Duration(5_000_000_000), description="The measured time, over intended send times."
    )
    timeout: Annotated[Duration, Between("1 ms", "10 min")] = Field(
        Duration(5_000_000_000), description="Deadline of each request, from its intended send time."
    )


class Limits(Record):
    """Resources of the server."""

    cores: int = Field(
        1, ge=1, le=1024, description="Cores of the server, disjoint from the client's where the host has them."
    )
    memory: Annotated[Size, Between("6 MiB", "16384 GiB")] | None = Field(
        None, description="Memory limit of the server's container; none by default."
    )


class Trial(Record):
    """One complete measurement: which server, with what work, under what load, within what limits."""

    model: Server = Field(
        "reactor",
        description="The server: a folder of images/, a ready image (`image`, `port`), or one that runs already (`url`).",
    )
    options: dict[str, Scalar] = Field({}, description="The model's own options, checked against its model.yaml.")
    request: Request = Field(Request(), description="The request that is sent.")
    handler: Handler = Field(Handler(), description="What the server does with it.")
    load: Load = Field(Load(), description="How requests arrive.")
    servers: One = Field(1, description="Number of servers.")
    clients: One = Field(1, description="Number of load clients.")
    balancer: Literal["none"] = Field("none", description="What stands in front of the servers.")
    limits: Limits = Field(Limits(), description="What the server may use.")
    network: Literal["host", "bridge"] = Field("host", description="The container's network; `bridge` shows its price.")

    @property
    def model_name(self) -> str:
        """What the server is called in tables, charts and messages."""
        return name_of(self.model)


class LevelSet(Record):
    """A level that sets several keys at once, under one label."""

    label: str = Field(min_length=1, max_length=60, description="Name of the level in tables and charts.")
    set: dict[str, Any] = Field(min_length=1, description="Dotted path: value.")


class Experiment(Record):
    """One question, as one file."""

    version: One = Field(description="Version of this vocabulary.")
    title: str = Field(min_length=1, max_length=200, description="The question, in a sentence.")
    base: Trial = Field(Trial(), description="The trial that the factors vary.")
    factors: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(
        {},
        description="Dotted path of a trial's key: the levels it takes. Setting `model` resets `options` to that model's defaults.",
    )
    exclude: list[dict[str, Any]] = Field([], description="Combinations to leave out: factor: level.")
    metric: Annotated[str, AfterValidator(_metric)] | None = Field(
        None,
        description="The metric that the question is about, by its name (docs/results.md): the answer compares by it. By default throughput in a closed loop, p99 of the response time in an open one, and what a fault took where one is asked for.",
    )
    repeats: int = Field(5, ge=1, le=1000, description="Trials per point; an interval needs 3, a verdict 5.")
    seed: int = Field(1, ge=0, lt=2**63, description="Seed of the trials' order and of every resampling.")
