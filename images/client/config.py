"""The client's configuration: `config.json`, checked as a whole before anything is opened."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from client.checks import problems
from client.errors import CannotRunError


@dataclass(frozen=True)
class Kind:
    """One kind of request of a mix."""

    weight: float = 1.0
    path: str = "/"
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body_bytes: int = 0
    expect_status: int | None = None
    expect_body_bytes: int | None = None


@dataclass(frozen=True)
class Config:
    """What is to be done. Times in seconds; see docs/contract/README.md."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body_bytes: int = 0
    mix: tuple[Kind, ...] = ()  # none: one kind, of method, headers, body and path of the URL
    kind: Literal["closed", "open", "hold"] = "closed"
    servers: tuple[str, ...] = ()  # host:port of several servers that connections go to in turn; none: the URL's
    connections: int = 1
    first_connection: int = 0  # of a load that several clients make together: the number of this one's first among all
    rate_per_s: float | None = None  # open and hold, to a thousandth
    rates_per_s: tuple[float, ...] = ()  # open: several instead, each for an equal part of the window
    shape: Literal["staircase", "ramp"] = "staircase"
    arrivals: Literal["constant", "poisson"] = "constant"
    seed: int = 1
    think_s: float = 0.0
    thinking: Literal["exponential", "constant"] = "exponential"
    growth_per_s: float | None = None  # hold: new connections
    lifetime: Literal["keep-alive", "per-request"] | int = "keep-alive"
    processes: int = 1
    first_process: int = 0  # of a load that several clients make together: this one's first among all
    all_processes: int | None = None  # of all of them; None: this client is the only one
    sources: tuple[str, ...] = ()
    warmup_s: float = 1.0
    window_s: float = 5.0
    timeout_s: float = 5.0
    connect_rate_per_s: float = 5_000.0  # of the connect phase: staggered, a third of what one core can open
    expect_status: int | None = None  # None: any 2xx
    expect_body_bytes: int | None = None  # None: any length
    tls_authorities: str | None = None  # PEM; None: the system's
    tls_check: Literal["full", "chain", "none"] = "full"
    plateau_s: float = 0.0
    wait_for_start: bool = False
    wait_to_connect: bool = False

    @property
    def per_request(self) -> bool:
        """Whether every request opens a connection of its own."""
        return self.lifetime == "per-request"

    @property
    def requests_per_connection(self) -> int | None:
        """After how many requests a connection is given up for a new one; none: it is kept."""
        return 1 if self.lifetime == "per-request" else self.lifetime if isinstance(self.lifetime, int) else None

    @property
    def share(self) -> tuple[int, int]:
        """Its first process among all, and how many there are."""
        return self.first_process, self.all_processes or self.processes

    @property
    def one_of_many(self) -> bool:
        """Whether other clients make the rest of the load: the start is then theirs as well."""
        return self.share[1] > self.processes

    @property
    def open_loop(self) -> bool:
        """Whether requests follow a schedule."""
        return self.kind != "closed"


def read(path: Path) -> Config:
    """Read and check a configuration.

    Raises:
        CannotRunError: it cannot be read, or says something that cannot be done; with every problem found.
    """
    try:
        raw = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CannotRunError(f"{path}: not readable as JSON: {error}") from error
    if not isinstance(raw, dict):
        raise CannotRunError(f"{path}: must be an object, is {type(raw).__name__}")
    found = problems(raw, _names(Config), _names(Kind))
    if found:
        raise CannotRunError(f"{path}: " + "; ".join(found))
    given: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in raw.items() if key != "format"
    }
    given["mix"] = tuple(Kind(**kind) for kind in raw.get("mix", ()))
    return Config(**given)


def _names(of: type[Config] | type[Kind]) -> list[str]:
    return [each.name for each in fields(of)]
