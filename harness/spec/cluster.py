"""The vocabulary of several servers: what stands in front of them, and what is broken on purpose while they work."""

from typing import Annotated, Literal

from pydantic import Field

from harness.spec.quantities import Between, Duration
from harness.spec.record import Record

BalancerKind = Literal["none", "haproxy-tcp", "haproxy-http", "direct"]
BALANCERS: tuple[BalancerKind, ...] = ("haproxy-tcp", "haproxy-http")
"""Those of them for which a service stands in front of the servers."""

FaultAction = Literal[
    "crash-handler",
    "kill-worker",
    "freeze-worker",
    "kill-server",
    "freeze-server",
    "kill-host",
    "freeze-host",
    "partition",
    "delay",
    "loss",
]


class Balancing(Record):
    """How a balancer spreads, and how it finds out that a server is gone."""

    algorithm: Literal["roundrobin", "leastconn", "random"] = Field(
        "roundrobin", description="How it chooses among the servers."
    )
    check: Literal["auto", "tcp", "http", "off"] = Field(
        "auto",
        description="Health checks: a connect (`tcp`), or an answer (`http`), which takes a worker each time. `auto`: `tcp` for `haproxy-tcp`, `http` for `haproxy-http`.",
    )
    interval: Annotated[Duration, Between("10 ms", "1 min")] = Field(
        Duration(500_000_000), description="From one check of a server to the next."
    )
    fall: int = Field(3, ge=1, le=100, description="Failed checks in a row after which a server gets nothing more.")
    rise: int = Field(2, ge=1, le=100, description="Good checks in a row after which it does again.")
    per_server: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Most connections to each server at once; what is beyond waits in the balancer, not in the server's listen queue. None: no limit.",
    )
    cores: int = Field(1, ge=1, le=64, description="Cores, and threads, of the balancer.")


class TimedFault(Record):
    """Something that is broken on purpose, at its time."""

    at: Annotated[Duration, Between("0 s", "24 h")] = Field(description="When, from the start of the window.")
    do: FaultAction = Field(
        description="What: a request that crashes its handler; a worker, a server or a whole host killed or frozen; a server's host cut off from those who send to it (`partition`); what it sends delayed, or lost in part.",
    )
    server: int = Field(1, ge=1, le=64, description="To which server, or to the host of which: 1, 2, …")
    lasts: Annotated[Duration, Between("10 ms", "24 h")] | None = Field(
        None,
        description="After so long it is undone: thawed, started again, joined again. None: at the trial's end only.",
    )
    delay: Annotated[Duration, Between("1 us", "1 min")] | None = Field(
        None, description="Of each packet (`delay` only)."
    )
    share: float | None = Field(
        None, gt=0, lt=1, description="Of the packets that are lost (`loss` only), from 0 to 1."
    )
