"""The vocabulary of an experiment: what a spec may say, with every default.

`Trial` is the complete description of one measurement; a spec's `base` is a partial one, and its `factors` are
changes to it. The same types make the JSON Schema for editors and the reference in docs/spec.md, which is why
every field carries a description.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from harness.spec.quantities import Duration, Rate, Size

Scalar = bool | int | float | str | None


class Record(BaseModel):
    """A frozen, strict record: unknown keys are errors, nothing changes after it is made."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Request(Record):
    """The request that the load client sends."""

    path: str = Field("/", pattern=r"^/[!-~]*$", description="Path and query, from the slash on.")
    method: Literal["GET", "POST", "PUT"] = Field("GET", description="HTTP method.")
    headers: dict[str, str] = Field(
        {}, description="Further request headers; Host and Content-Length are set by the client."
    )
    body: Size = Field(Size(0), description="Size of the request's body.")


class Handler(Record):
    """What the model does with each request; shared code, the same in every model."""

    kind: Literal["body", "echo"] = Field(
        "body", description="`body` answers with `body` bytes; `echo` answers with the request's own body."
    )
    body: Size = Field(Size(128), description="Size of the response's body (kind `body`).")
    cpu: Duration = Field(
        Duration(0),
        description="CPU work per request: a number of iterations calibrated once per run, never a spin on the clock.",
    )
    log: Literal["off", "buffered", "flush"] = Field(
        "off", description="A log line per request: none, through a buffer, or written out at once."
    )


class Load(Record):
    """How the load is made. A closed loop measures throughput, an open loop latency (docs/method.md)."""

    kind: Literal["closed", "open"] = Field(
        "closed",
        description="`closed`: each connection sends its next request when the answer is in. `open`: requests follow a schedule fixed in advance.",
    )
    connections: int = Field(64, ge=1, le=1_000_000, description="Connections held at once.")
    rate: Rate | None = Field(None, description="Offered rate over all connections, constant gaps (kind `open` only).")
    lifetime: Literal["keep-alive", "per-request"] = Field(
        "keep-alive", description="Keep each connection, or open a new one for every request (the server closes it)."
    )
    warmup: Duration = Field(Duration(1_000_000_000), description="Load before the window, not counted.")
    window: Duration = Field(Duration(5_000_000_000), description="The measured time, over intended send times.")
    timeout: Duration = Field(
        Duration(5_000_000_000), description="Deadline of each request, from its intended send time."
    )


class Limits(Record):
    """What the server may use."""

    cores: int = Field(1, ge=1, description="Cores of the server, disjoint from the client's where the host has them.")
    memory: Size | None = Field(None, description="Memory limit of the server's container; none by default.")


class Trial(Record):
    """One complete measurement: which server, with what work, under what load, within what limits."""

    model: str = Field("reactor", pattern=r"^[a-z][a-z0-9-]*$", description="The server: a folder of images/.")
    options: dict[str, Scalar] = Field({}, description="The model's own options, checked against its model.yaml.")
    request: Request = Field(Request(), description="The request that is sent.")
    handler: Handler = Field(Handler(), description="What the server does with it.")
    load: Load = Field(Load(), description="How requests arrive.")
    servers: Literal[1] = Field(1, description="Number of servers.")
    clients: Literal[1] = Field(1, description="Number of load clients.")
    balancer: Literal["none"] = Field("none", description="What stands in front of the servers.")
    limits: Limits = Field(Limits(), description="What the server may use.")
    network: Literal["host", "bridge"] = Field("host", description="The container's network; `bridge` shows its price.")


class LevelSet(Record):
    """A level that sets several keys at once, under one label."""

    label: str = Field(min_length=1, max_length=60, description="Name of the level in tables and charts.")
    set: dict[str, Any] = Field(min_length=1, description="Dotted path: value.")


class Experiment(Record):
    """One question, as one file."""

    version: Literal[1] = Field(description="Version of this vocabulary.")
    title: str = Field(min_length=1, max_length=200, description="The question, in a sentence.")
    base: Trial = Field(Trial(), description="The trial that the factors vary.")
    factors: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(
        {},
        description="Dotted path of a trial's key: the levels it takes. Setting `model` resets `options` to that model's defaults.",
    )
    exclude: list[dict[str, Any]] = Field([], description="Combinations to leave out: factor: level.")
    repeats: int = Field(5, ge=1, le=1000, description="Trials per point; an interval needs 3, a verdict 5.")
    seed: int = Field(1, ge=0, lt=2**63, description="Seed of the trials' order and of every resampling.")
