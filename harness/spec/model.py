"""What a folder of images/ says about itself in its `model.yaml`."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from harness.spec.experiment import Record, Scalar

Part = Literal["echo", "cpu", "log", "backend", "fault"]
ALL_PARTS: tuple[Part, ...] = ("echo", "cpu", "log", "backend", "fault")
"""What a spec's `handler` may ask for, beside a body."""

_OPTION_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


def _option_name(name: str) -> str:
    if not _OPTION_NAME.fullmatch(name):
        raise ValueError(f"{name[:40]!r} is no option's name; use lower-case letters, digits, `_` and `-`")
    return name


OptionName = Annotated[str, AfterValidator(_option_name)]


class Option(Record):
    """One option of a model."""

    type: Literal["integer", "boolean", "string", "choice", "size"] = Field(
        description="Kind of value. A `size` is written with its unit, as in `256 MiB`, and handed to the server in bytes."
    )
    default: Scalar = Field(description="Value when a spec says nothing.")
    choices: tuple[str, ...] = Field((), description="The values of a `choice`.")
    minimum: int | None = Field(None, description="Smallest `integer`.")
    maximum: int | None = Field(None, description="Largest `integer`.")
    resident: bool = Field(
        False, description="A `size` that the server keeps in memory: more than `limits.memory` is an error."
    )
    says: str = Field(description="What the option changes, in a sentence.")


class Axes(Record):
    """The chapter's two decisions (claim C02)."""

    connections: str = Field(description="How connections are managed.")
    requests: str = Field(description="How requests are handled.")


class Difference(Record):
    """Where a server is meant to differ from what the conformance suite asks."""

    reason: str = Field(min_length=1, description="Why, in a sentence.")
    when: dict[OptionName, Scalar] = Field({}, description="With which options; none: always.")


class Spread(Record):
    """Over which processes a server deals its connections out, in turn: each holds its share of the open files."""

    over: OptionName = Field(description="The integer option that is their number.")
    when: dict[OptionName, Scalar] = Field({}, description="With which options; none: always.")


class Model(Record):
    """A server as an image: how it is built, started, asked and counted. See docs/contract/."""

    title: str = Field(description="Name of the model, for people.")
    axes: Axes = Field(description="Its place on both axes.")
    protocol: Literal["http", "stomp"] = Field(
        "http",
        description="What the load client speaks to it. `stomp`: a broker, which is sent messages; `request.path` is their destination, and `handler` has no effect on it.",
    )
    port: int = Field(8080, ge=1, le=65535, description="Port when none is given.")
    concurrency: Literal["unbounded", "workers"] = Field(
        "unbounded", description="Whether connections beyond the number of workers wait."
    )
    workers: tuple[OptionName, ...] = Field(
        (),
        description="Integer options whose product is the number of workers (`concurrency: workers`); none: their number is not known beforehand.",
    )
    per_connection: Literal["nothing", "thread", "process"] = Field(
        "nothing", description="What it makes for each connection: the host must let it make as many."
    )
    spread: Spread | None = Field(
        None,
        description="Where it deals its connections out over processes; none: one process may have to hold them all.",
    )
    contract: Literal["full", "port"] = Field(
        "full",
        description="`full`: it reads `config.json`, listens where that says and answers as it says. `port`: any program that answers HTTP at `port`; it has no options, and `handler` has no effect on it.",
    )
    stop: Literal["SIGTERM", "SIGINT", "SIGQUIT"] = Field(
        "SIGTERM", description="The signal on which it finishes what it has begun and ends."
    )
    counts: Literal["exact", "none"] = Field(
        description="`exact`: writes an exit report; `none`: its counts are not checkable."
    )
    entry: tuple[str, ...] = Field(
        (), description="Arguments to Python that run it in this folder, for the process runtime; empty: Docker only."
    )
    needs: tuple[Literal["io_uring"], ...] = Field(
        (), description="Of the kernel, beside what every server needs; looked for before anything starts."
    )
    seccomp: str | None = Field(
        None, description="File in this folder: the seccomp profile its container runs under, instead of the engine's."
    )
    does: tuple[Part, ...] = Field(
        ALL_PARTS,
        description="What of a spec's `handler` it can do, beside a body of any size. A spec that asks for anything else is refused.",
    )
    uses: tuple[str, ...] = Field((), description="Other folders of images/ that enter its build context and digest.")
    options: dict[OptionName, Option] = Field({}, description="Its own options.")
    differs: dict[str, str | Difference] = Field(
        {},
        description="Check of the conformance suite: why this server is meant to differ in it. It is made all the same, and reported as `differs`, not as failed.",
    )
