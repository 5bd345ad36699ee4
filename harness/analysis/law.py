"""The Universal Scalability Law as a curve: what it says once its three numbers are known. Pure.

    C(N) = λ·N / (1 + σ·(N − 1) + κ·N·(N − 1))

How it is fitted, and where it comes from, stands in harness/analysis/scaling.py.
"""

import math
from dataclasses import dataclass

MOST_SERVERS = 1_024
"""As far as a law is followed."""

WORTH = 0.5
"""Adding a server pays while it brings as much of what a single one holds; sentences say `half`."""


@dataclass(frozen=True)
class Span:
    """An interval at 95 %; an end may be infinite."""

    low: float
    high: float


@dataclass(frozen=True)
class Law:
    """One curve."""

    scale: float  # λ, requests/s
    sigma: float
    kappa: float

    def at(self, servers: float) -> float:
        """C(N), requests/s."""
        return self.scale * servers / self._load(servers)

    def efficiency(self, servers: float) -> float:
        """C(N) over N times C(1)."""
        return 1 / self._load(servers)

    def _load(self, servers: float) -> float:
        return 1 + self.sigma * (servers - 1) + self.kappa * servers * (servers - 1)

    @property
    def peak(self) -> float | None:
        """N* = √((1 − σ)/κ), beyond which more servers hold less; None where κ is 0."""
        return max(1.0, math.sqrt(max(0.0, 1 - self.sigma) / self.kappa)) if self.kappa > 0 else None

    @property
    def pays_to(self) -> int | None:
        """The N from which one more server brings less than half of a server; None: not within `MOST_SERVERS`."""
        enough = WORTH * self.scale
        found = (n for n in range(1, MOST_SERVERS) if self.at(n + 1) - self.at(n) < enough)
        return next(found, None)

    def servers_for(self, rate_rps: float) -> int | None:
        """The fewest servers that hold a rate; None where no number does."""
        return next((n for n in range(1, MOST_SERVERS + 1) if self.at(n) >= rate_rps), None)
