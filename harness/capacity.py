"""The search for capacity: the highest open-loop rate that meets an SLO, as an interval. Pure: rates out, findings in.

The rate is doubled until a trial fails (or halved until one is good enough), then the bracket is bisected on the log
scale, all by short trials. Where somebody has said where to begin, it is taken for a guess that may be right: the first
stride is one resolution, each further one twice as long on the log scale, up to a doubling (J. L. Bentley and A. C.-C. Yao,
"An almost optimal algorithm for unbounded searching", 1976). An end of the interval counts only when long trials, as long as the confirmation, say so
together: each has a vote, half a vote where it came close to the limit, and three votes more than the other side decide. A
rate that stays undecided is no end: rates a little below and above it are tried instead. What is searched for is
therefore the rate at which half of the windows of that length meet the SLO.

The ideas are those of MLRsearch (RFC 9971): short trials where they suffice, long ones where the answer is given, bounds by
majority, an undecided load in between. Its library is not used: it calls the measurement back, where a search here has
to run on a simulated clock as on a server; it knows loss ratios only, and no trial that says nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from harness.slo import Assessment

Purpose = Literal["double", "bisect", "confirm"]
Ended = Literal["found", "client gave out", "too many trials", "none met"]
State = Literal["met", "not", "open"]

VOTES = 3.0
"""By so many votes more than the other side a rate is decided."""

MOST_VOTERS = 9
"""Long trials of a rate; undecided after these, it is close to the capacity."""

NEAR = 2.0
"""A trial that used up between 1/2 and 2 times what is allowed has half a vote."""

FAR = 5.0
"""Two trials, however short, that used up as many times what is allowed decide against a rate if none was for it."""

GUESS = 3.0
"""A single short trial between 1/3 and 3 times what is allowed does not even guide the search: it is repeated."""

DOUBLING = 2.0
"""Longest stride, as a ratio, while nothing is known about one side."""

MOST_STEPS = 80
"""Trials of a search."""

LONGEST_S = 300.0
"""Below the rate at which a trial of this length holds enough requests nothing is searched."""

FACTOR_DOWN = 1_024
"""Nor below this part of the rate at which the search began."""


@dataclass(frozen=True)
class Step:
    """One trial that is to be made."""

    rate_rps: float
    window_s: float
    purpose: Purpose


@dataclass
class _Tried:
    """What is known of one rate: how much of what is allowed each of its trials used up."""

    short: list[float] = field(default_factory=list)
    long: list[float] = field(default_factory=list)

    @property
    def decided(self) -> State:
        """By long trials, or by an overload that no trial could miss."""
        votes = sum(_vote(used) for used in self.long)
        if abs(votes) >= VOTES:
            return "met" if votes > 0 else "not"
        every = [*self.short, *self.long]
        return "not" if min(every, default=0.0) > 1 and sum(used >= FAR for used in every) >= 2 else "open"

    @property
    def undecidable(self) -> bool:
        """Tried as often as it may."""
        return len(self.long) >= MOST_VOTERS and self.decided == "open"

    @property
    def disputed(self) -> bool:
        """Not decided, with trials for it and against it: no end of an interval that had to be given early."""
        return self.decided == "open" and len({used <= 1 for used in [*self.short, *self.long]}) > 1

    @property
    def guess(self) -> State:
        """What guides the search: the long trials where there are any, else the short ones."""
        if self.decided != "open":
            return self.decided
        if len(self.short) == 1 and not self.long and 1 / GUESS < self.short[0] < GUESS:
            return "open"
        votes = sum(_vote(used) for used in self.long) or sum(math.copysign(1, 1 - used) for used in self.short)
        return "open" if not votes else "met" if votes > 0 else "not"


def _vote(used: float) -> float:
    """For a rate or against it; all of what is allowed may be used up, so 1 is for it."""
    weight = 0.5 if 1 / NEAR < used < NEAR else 1.0
    return weight if used <= 1 else -weight


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
        guessed: bool = False,
    ) -> None:
        """Begin.

        Args:
            start_rps: the first rate.
            resolution: the interval's upper end over its lower, less 1, at most.
            window_s: of a short trial, at least.
            confirmation_s: of a long one, at least.
            requests: that a window must hold so that the SLO can be told (`slo.requests_needed`).
            limit_s: the SLO's longest limit on a percentile: a window must be so long that an overload of half the
                resolution makes requests wait for longer.
            most_steps: trials in all.
            guessed: the first rate is thought to be near the capacity.
        """
        self.ended: Ended | None = None
        self._window_s = max(window_s, limit_s / (resolution / 2))
        self._confirmation_s = max(confirmation_s, self._window_s)
        self._requests = requests
        self._ratio = 1 + resolution
        self._first_stride = self._ratio if guessed else DOUBLING
        self._most_steps = most_steps
        self._floor_rps = max(requests / LONGEST_S, start_rps / FACTOR_DOWN)
        self._start_rps = max(start_rps, self._floor_rps)
        self._tried: dict[float, _Tried] = {}
        self._last: tuple[Step, bool] | None = None
        self._steps = 0

    @property
    def low_rps(self) -> float | None:
        """Highest rate that met the SLO so far, below all that did not; confirmed once the search has found its interval."""
        return None if self.ended == "none met" else self._bracket()[0]

    @property
    def high_rps(self) -> float | None:
        """Lowest rate that did not; None where none did, or where a client that gave out leaves the upper end open."""
        return None if self.ended == "client gave out" else self._bracket()[1]

    def next(self) -> Step | None:
        """The next trial; None when the search has ended."""
        step = None if self.ended else self._choose()
        if step is not None and self._steps >= self._most_steps:
            self.ended = "too many trials"
            return None
        return step

    def tell(self, step: Step, assessment: Assessment) -> None:
        """Take what came of a trial.

        Args:
            step: from `next`.
            assessment: of its reports; `met` None says that the client, not the server, gave out: the search ends.
        """
        self._steps += 1
        if assessment.met is None:
            self.ended = "client gave out"
            return
        tried = self._tried.setdefault(step.rate_rps, _Tried())
        (tried.long if step.purpose == "confirm" else tried.short).append(assessment.excess)
        self._last = (step, assessment.met)

    def _choose(self) -> Step | None:
        """What to try next, by what is known so far."""
        low, high = self._bracket()
        if low is not None and self._steps == self._most_steps - 1:
            return self._long(low)
        pending = [rate for rate, tried in self._tried.items() if tried.guess == "open" and not tried.undecidable]
        if pending:
            return self._again(min(pending))
        if high is None:
            return self._short(self._start_rps if low is None else low * self._stride, "double")
        if low is None:
            return self._downwards(high)
        if high / low > self._ratio * (1 + 1e-9):
            step = self._within(low, high)
            if step is not None:
                return step
        return self._settle(low, high)

    @property
    def _stride(self) -> float:
        """From the last rate to the next while the capacity is on one side of all that were tried."""
        lengthened = math.log(self._first_stride) * 2.0 ** min(len(self._tried) - 1, 32)
        return math.exp(min(lengthened, math.log(DOUBLING)))

    def _downwards(self, high: float) -> Step | None:
        """Nothing was good enough yet."""
        if high > self._floor_rps * (1 + 1e-9):
            return self._short(max(high / self._stride, self._floor_rps), "double")
        if self._tried[high].decided == "open":
            return self._again(high)
        self.ended = "none met"
        return None

    def _within(self, low: float, high: float) -> Step | None:
        """A rate between the ends of a bracket that is too wide; None where chance alone is wider than the resolution."""
        unclear = [rate for rate, tried in self._tried.items() if low < rate < high and tried.undecidable]
        if not unclear:
            return self._short(math.sqrt(low * high), "bisect")
        rate = self._beside(low, high, unclear)
        return None if rate is None else self._long(rate)

    def _beside(self, low: float, high: float, unclear: Sequence[float]) -> float | None:
        """As far from the undecided rates as the resolution allows, on the side where the end is too far away."""
        first, last = min(unclear), max(unclear)
        if last / first >= self._ratio:
            return None
        side = math.sqrt(self._ratio / (last / first))
        if low < first / side * (1 - 1e-9):
            return min(first / side, max(high / self._ratio, low * (1 + 1e-6)))
        return max(last * side, low * self._ratio)

    def _settle(self, low: float, high: float) -> Step | None:
        """Have both ends decided, the lower one last: its last trial is what a report shows."""
        for end in (high, low):
            if self._tried[end].decided == "open":
                return self._again(end)
        if self._last is None or (self._last[0].rate_rps, self._last[0].purpose, self._last[1]) != (
            low,
            "confirm",
            True,
        ):
            return self._long(low)
        self.ended = "found" if high / low <= self._ratio * (1 + 1e-9) else "too many trials"
        return None

    def _again(self, rate: float) -> Step:
        """One more trial: short ones until they guide the search or show an overload, then long ones."""
        tried = self._tried[rate]
        overload = tried.short and min(tried.short) >= FAR
        if not tried.long and (overload or tried.guess == "open") and len(tried.short) < 3:
            return self._short(rate, "bisect" if self._bracket()[1] else "double")
        return self._long(rate)

    def _short(self, rate: float, purpose: Purpose) -> Step:
        return Step(rate, max(self._window_s, self._requests / rate), purpose)

    def _long(self, rate: float) -> Step:
        return Step(rate, max(self._confirmation_s, self._requests / rate), "confirm")

    def _bracket(self) -> tuple[float | None, float | None]:
        """The highest rate that meets the SLO below the lowest that does not, and that one."""
        doubtless = self.ended == "too many trials"
        guesses = {
            rate: tried.guess
            for rate, tried in self._tried.items()
            if not tried.undecidable and not (doubtless and tried.disputed)
        }
        high = min((rate for rate, guess in guesses.items() if guess == "not"), default=None)
        met = (rate for rate, guess in guesses.items() if guess == "met" and (high is None or rate < high))
        return max(met, default=None), high
