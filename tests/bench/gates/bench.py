"""What every gate is given, and what it gives back."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.bench.gates.record import Line, Row

Facts = Mapping[str, float | int | str | None]


@dataclass(frozen=True)
class Bench:
    """Where and how long to measure: servers on one core, clients on another."""

    server_core: int
    client_core: int
    scale: float = 1.0

    @classmethod
    def here(cls, scale: float) -> "Bench":
        """On the first and the last core that this process may use."""
        cores = sorted(os.sched_getaffinity(0))
        return cls(cores[0], cores[-1], scale)

    def seconds(self, usual: float) -> float:
        """A length of time, to the scale."""
        return usual * self.scale

    def times(self, usual: int, least: int = 2) -> int:
        """A number of repeats, to the scale."""
        return max(least, round(usual * self.scale))


@dataclass(frozen=True)
class Measured:
    """What a gate has measured."""

    rows: Sequence[Row]
    lines: Sequence[Line] = ()
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True)
class Gate:
    """One gate of METHOD.md's table.

    Attributes:
        name: as on the command line and in the stored run.
        title: heading of its section.
        method: how it is measured, for docs/accuracy.md.
        measure: measures it.
        needs: commands that it calls.
    """

    name: str
    title: str
    method: str
    measure: Callable[[Bench], Measured]
    needs: tuple[str, ...] = ("taskset",)

    def missing(self) -> list[str]:
        """Commands that are not installed."""
        return [tool for tool in self.needs if shutil.which(tool) is None]
