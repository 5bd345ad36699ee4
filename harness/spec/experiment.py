"""The vocabulary of an experiment: what a spec may say, with every default.

`Trial` is the complete description of one measurement; a spec's `base` is a partial one, and its `factors` are
changes to it. The same types make the JSON Schema for editors and the reference in docs/spec.md, which is why
every field carries a description.
"""

import difflib
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from harness.spec.cluster import BALANCERS, BalancerKind, Balancing, TimedFault
from harness.spec.foreign import Server, name_of
from harness.spec.metrics import METRICS, SUMMARY_METRICS
from harness.spec.quantities import Between, Duration, Size
from harness.spec.record import Record as Record  # noqa: PLC0414 - whoever makes a record finds what it is made of here
from harness.spec.traffic import Load, Request, Slo

Scalar = bool | int | float | str | None


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


One = Annotated[Literal[1], BeforeValidator(_whole)]


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
    slo: Slo = Field(Slo(), description="What service is good enough (kinds `open` and `capacity`).")
    servers: int = Field(1, ge=1, le=64, description="Number of servers, spread over the hosts for servers in turn.")
    clients: int = Field(
        1,
        ge=1,
        le=256,
        description="Load client processes, a core each where there are as many, spread over the hosts for clients in turn. One more is added, and the trial run again, where they gave out and cores are left.",
    )
    balancer: BalancerKind = Field(
        "none",
        description="What stands in front of the servers: HAProxy, by connection (`haproxy-tcp`) or by request (`haproxy-http`); `none`: one server by itself; `direct`: connections are spread over the servers by the clients themselves, the control that shows the balancer's price.",
    )
    balancing: Balancing = Field(Balancing(), description="How the balancer works (`haproxy-*` only).")
    faults: tuple[TimedFault, ...] = Field(
        (),
        strict=False,
        max_length=16,
        description="What is broken on purpose, and when, from the start of the window.",
    )
    limits: Limits = Field(Limits(), description="What the server may use.")
    network: Literal["host", "bridge"] = Field("host", description="The container's network; `bridge` shows its price.")

    @property
    def balanced(self) -> bool:
        """Whether a service stands in front of the servers: neither none nor the clients' own spreading."""
        return self.balancer in BALANCERS

    @property
    def server_names(self) -> tuple[str, ...]:
        """`server`; of several `server-1`, `server-2`, …."""
        if self.servers == 1:
            return ("server",)
        return tuple(f"server-{number}" for number in range(1, self.servers + 1))

    @property
    def model_name(self) -> str:
        """What the server is called in tables, charts and messages."""
        return name_of(self.model)


class Repeats(Record):
    """Repeats until the order of the sides is known: after `min` blocks only what is still open is repeated."""

    min: int = Field(5, ge=3, le=1000, description="Blocks that are always run.")
    max: int = Field(15, ge=3, le=1000, description="Blocks at most.")
    until: Literal["ranked"] = Field(
        "ranked",
        description="A point is done when its place among the sides it is compared with is known, or can matter no more.",
    )
    within: Annotated[Duration, Between("1 s", "1000 h")] | None = Field(
        None,
        description="Time budget of all trials together: beyond `min`, no block is begun that is expected to end after it. The time between an interrupt and RESUME=1 does not count.",
    )

    @model_validator(mode="after")
    def _in_order(self) -> "Repeats":
        if self.max < self.min:
            raise ValueError(f"`max` is {self.max} and `min` is {self.min}; write `max` as {self.min} or more")
        return self


TAGS = ("<fixed>", "<ranked>")


def _which(value: object) -> str:
    return "<ranked>" if isinstance(value, dict | Repeats) else "<fixed>"


RepeatsOfASpec = Annotated[
    Annotated[int, Field(ge=1, le=1000), Tag("<fixed>")] | Annotated[Repeats, Tag("<ranked>")], Discriminator(_which)
]
"""What `repeats` may be: a number, or as many as the ranking needs."""


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
    repeats: RepeatsOfASpec = Field(
        5,
        description="Trials per point; an interval needs 3, a verdict 5. Or `{min, max, until: ranked, within}`: as many as the ranking needs.",
    )
    canary: bool = Field(
        True,
        description="A second trial of the first point in every block (A/A), where there are 2 points and 3 blocks or more: how far two equal sides come apart bounds what is called a difference.",
    )
    seed: int = Field(1, ge=0, lt=2**63, description="Seed of the trials' order and of every resampling.")

    @property
    def blocks(self) -> int:
        """The most blocks that it may take."""
        return self.repeats if isinstance(self.repeats, int) else self.repeats.max
