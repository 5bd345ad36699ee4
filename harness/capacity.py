"""The search for capacity: the highest open-loop rate that meets an SLO, as an interval. Pure: rates out, findings in.

The rate is doubled until a trial fails (or halved until one is good enough), then the bracket is bisected on the log
scale. The ideas of MLRsearch (RFC 9971) are in it: few and short trials where the answer is clear, more and longer ones
where it is not, and a bound counts only when trials of sufficient length together say so. Its library takes a loss
ratio for the outcome and calls the measurement back; here an outcome has several limits, may be void as the client
gave out, and is random near the edge, so that the ends of the interval have to be told from chance.

Each trial tells how much of what is allowed was used up: 1 is at the limit. Trials of one rate are pooled, weighted by
their windows. Their scatter, and that of all rates near the edge, tells how far the mean must be from 1 to be clear. A
rate that stays unclear becomes no end of the interval: clear ones below and above it are looked for.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from harness.slo import Assessment

Purpose = Literal["double", "bisect", "confirm"]
Ended = Literal["found", "client gave out", "too many trials", "none met"]

CLEAR = 1.7
"""Standard errors from the limit at which a rate counts as settled: what is an end of the interval has to be."""

LIKELY = 0.9
"""The same for a rate that only guides the search: one trial that used up nothing, or twice what is allowed, does."""

PRIOR_TRIALS = 2.0
"""Weight, in trials, of the scatter that is expected before any is seen: as large as what is allowed itself."""

MOST_USED = 20.0
"""As much of what is allowed counts at most: how often over a backlog ended up says little."""

MOST_STEPS = 100
"""Trials of a search."""

LONGEST_S = 300.0
"""Below the rate at which a trial of this length holds enough requests nothing is searched."""

FACTOR_DOWN = 1_024
"""Nor below this part of the rate at which the search began."""

CONFIRMATIONS = 2
"""Failed confirmations of a rate, more than met ones, that make it the upper end."""

_REPEATS = (1.0, 1.0, 1.0, 2.0, 4.0, 6.0, 6.0, 6.0)  # windows of a rate's trials, over that of a short one


@dataclass(frozen=True)
class Step:
    """One trial that is to be made."""

    rate_rps: float
    window_s: float
    purpose: Purpose


@dataclass
class _Tried:
    """What is known of one rate."""

    weights: list[float] = field(default_factory=list)
    used: list[float] = field(default_factory=list)
    refused: bool = False  # by confirmations

    @property
    def weight(self) -> float:
        return sum(self.weights)

    @property
    def mean(self) -> float:
        return sum(w * u for w, u in zip(self.weights, self.used, strict=True)) / self.weight

    @property
    def exhausted(self) -> bool:
        return len(self.used) >= len(_REPEATS)

    @property
    def scatter(self) -> float:
        """Weighted squares about the mean, over it: counts scatter with their mean."""
        mean = self.mean
        squares = sum(w * (u - mean) ** 2 for w, u in zip(self.weights, self.used, strict=True))
        return squares / max(mean, 0.2)

    def most_are(self, met: bool) -> bool:
        """Whether more than half of the trials, and two at least, came out this way: one hiccup decides nothing."""
        return sum((u <= 1) == met for u in self.used) > max(1.0, len(self.used) / 2)


class Search:
    """A search under way: `next` says what to try, `tell` takes what came of it.

    Attributes:
        ended: how it ended; None while it goes on.
    """

    def __init__(
        self,
        *,
        start_rps: float,
        resolution: float,
        window_s: float,
        confirmation_s: float,
        requests: int,
        limit_s: float = 0.0,
        most_steps: int = MOST_STEPS,
    ) -> None:
        """Begin.

        Args:
            start_rps: the first rate.
            resolution: the interval's upper end over its lower, less 1, at most.
            window_s: of a short trial, at least.
            confirmation_s: of the trial that confirms, at least.
            requests: that a window must hold so that the SLO can be told.
            limit_s: the SLO's longest limit on a percentile: a window must show an overload of half the resolution.
            most_steps: trials in all.
        """
        self.ended: Ended | None = None
        self._window_s = max(window_s, limit_s / (resolution / 2))
        self._confirmation_s = max(confirmation_s, self._window_s)
        self._requests = requests
        self._unseen = 1 + limit_s / self._confirmation_s
        self._ratio = (1 + resolution) / self._unseen
        self._most_steps = most_steps
        self._floor_rps = max(requests / LONGEST_S, start_rps / FACTOR_DOWN)
        self._start_rps = max(start_rps, self._floor_rps)
        self._tried: dict[float, _Tried] = {}
        self._confirmed: dict[float, int] = {}  # rate: confirmations met less those failed
        self._found: tuple[float | None, float | None] = (None, None)
        self._steps = 0

    @property
    def low_rps(self) -> float | None:
        """Highest rate known to meet the SLO; once the search has found something, the confirmed one."""
        return self._found[0]

    @property
    def high_rps(self) -> float | None:
        """Lowest rate above it known not to."""
        return self._found[1]

    def next(self) -> Step | None:
        """The next trial; None when the search has ended."""
        if self.ended is not None:
            return None
        if self._steps >= self._most_steps:
            self._end("too many trials")
            return None
        return self._choose()

    def tell(self, step: Step, assessment: Assessment) -> None:
        """Take what came of a trial.

        Args:
            step: from `next`.
            assessment: of its reports; `met` None says that the client, not the server, gave out: the search ends.
        """
        self._steps += 1
        if assessment.met is None:
            self._end("client gave out")
            return
        if step.purpose == "confirm":
            self._confirm(step.rate_rps, assessment.met)
            return
        tried = self._tried.setdefault(step.rate_rps, _Tried())
        tried.weights.append(step.window_s / self._window_of(step.rate_rps))
        tried.used.append(min(assessment.excess, MOST_USED))

    def _confirm(self, rate: float, met: bool) -> None:
        score = self._confirmed[rate] = self._confirmed.get(rate, 0) + (1 if met else -1)
        if score > 0:
            self._found = (rate, self._bracket()[1])
            self.ended = "found" if self._narrow(rate, self._found[1]) else "too many trials"
        elif score <= -CONFIRMATIONS:
            self._tried.setdefault(rate, _Tried()).refused = True

    def _narrow(self, low: float, high: float | None) -> bool:
        return high is not None and high / low <= self._ratio * self._unseen * (1 + 1e-9)

    def _end(self, how: Ended) -> None:
        low, high = self._bracket()
        confirmed = [rate for rate, score in self._confirmed.items() if score > 0]
        self._found = (max(confirmed, default=low), None if how == "client gave out" else high)
        self.ended = how

    def _choose(self) -> Step | None:
        """What to try next, by what is known so far."""
        pending = [rate for rate in self._tried if self._state(rate, LIKELY) == "open"]
        if pending:
            return self._repeat(min(pending))
        low, high = self._bracket()
        if high is None:
            return self._first(self._start_rps if low is None else 2 * low, "double")
        if low is None:
            return self._downwards(high)
        rate = self._between(low, high)
        if rate is not None:
            return self._first(rate, "bisect")
        for end in (low, high):
            if self._state(end, CLEAR) == "open" and not self._tried[end].exhausted:
                return self._repeat(end)
        confirm = low / self._unseen
        return Step(confirm, max(self._confirmation_s, self._requests / confirm), "confirm")

    def _downwards(self, high: float) -> Step | None:
        """Nothing was good enough yet."""
        if high > self._floor_rps * (1 + 1e-9):
            return self._first(max(high / 2, self._floor_rps), "double")
        if self._state(high, CLEAR) == "open" and not self._tried[high].exhausted:
            return self._repeat(high)
        self._end("none met")
        return None

    def _first(self, rate: float, purpose: Purpose) -> Step:
        return Step(rate, self._window_of(rate), purpose)

    def _repeat(self, rate: float) -> Step:
        tried = self._tried[rate]
        purpose: Purpose = "bisect" if self._bracket()[1] is not None else "double"
        return Step(rate, self._window_of(rate) * _REPEATS[len(tried.used)], purpose)

    def _window_of(self, rate: float) -> float:
        """Long enough for the SLO's percentiles."""
        return max(self._window_s, self._requests / rate)

    def _state(self, rate: float, errors: float) -> Literal["met", "not", "open"]:
        """What is known of a rate, at so many standard errors from the limit."""
        tried = self._tried[rate]
        if tried.refused:
            return "not"
        if not tried.used:
            return "open"
        off = (tried.mean - 1) * math.sqrt(tried.weight) / self._scatter()
        if errors >= CLEAR:
            met = off < 0
            return ("met" if met else "not") if abs(off) >= errors and tried.most_are(met) else "open"
        if abs(off) < errors and len(tried.used) < 3:
            return "open"
        return "met" if off < 0 else "not"

    def _scatter(self) -> float:
        """Standard deviation of what one short trial at the limit uses up, from all rates near it."""
        near = [tried for tried in self._tried.values() if tried.used and 0.05 < tried.mean < 5]
        squares = PRIOR_TRIALS + sum(tried.scatter for tried in near)
        return math.sqrt(squares / (PRIOR_TRIALS + sum(len(tried.used) - 1 for tried in near)))

    def _unclear(self, rate: float) -> bool:
        """Tried as often as it may, and still not settled."""
        return self._tried[rate].exhausted and self._state(rate, CLEAR) == "open"

    def _bracket(self) -> tuple[float | None, float | None]:
        """The highest rate that meets the SLO below the lowest that does not, and that one."""
        told = [
            rate for rate, tried in self._tried.items() if (tried.used or tried.refused) and not self._unclear(rate)
        ]
        high = min((rate for rate in told if self._state(rate, LIKELY) == "not"), default=None)
        met = (rate for rate in told if self._state(rate, LIKELY) == "met" and (high is None or rate < high))
        return max(met, default=None), high

    def _between(self, low: float, high: float) -> float | None:
        """The next rate of a bracket that is too wide; None where it is narrow enough, or cannot become so."""
        if high / low <= self._ratio * (1 + 1e-9):
            return None
        unclear = [rate for rate in self._tried if low < rate < high and self._unclear(rate)]
        return self._around(low, high, unclear) if unclear else math.sqrt(low * high)

    def _around(self, low: float, high: float, unclear: Sequence[float]) -> float | None:
        """A rate beside the unclear ones, as far from them as the resolution allows, on the side that is too far."""
        first, last = min(unclear), max(unclear)
        if last / first >= self._ratio:
            return None
        side = math.sqrt(self._ratio / (last / first))
        if low < first / side * (1 - 1e-9):
            return min(first / side, high / self._ratio) if high / self._ratio > low else first / side
        return max(last * side, low * self._ratio)
