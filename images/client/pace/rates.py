"""How the offered rate goes over time: steps or straight lines, cumulated and inverted in whole numbers, exactly."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import isqrt

import numpy as np
import numpy.typing as npt

from client.books.buckets import Ints
from client.config import Config

Floats = npt.NDArray[np.float64]

UNITS = 2 * 10**12
"""Of the cumulated rate per request: half of a thousandth of a request per second for a nanosecond, so that all that is
cumulated over a step or a line is a whole number."""


@dataclass(frozen=True)
class Piece:
    """A rate that goes from one value to another along a straight line.

    Attributes:
        start_ns: where it begins, CLOCK_MONOTONIC.
        length_ns: how long it lasts.
        from_milli: rate at its start, requests per 1,000 seconds, so that rates down to 0.001/s are exact.
        to_milli: rate at its end.
        before: what is cumulated before it, in `UNITS` per request.
    """

    start_ns: int
    length_ns: int
    from_milli: int
    to_milli: int
    before: int

    @property
    def slope(self) -> int:
        """By how much the rate grows over its whole length."""
        return self.to_milli - self.from_milli

    @property
    def bend(self) -> float:
        """Twice its change per nanosecond, requests per square nanosecond."""
        return 2 * self.slope / 1e12 / self.length_ns

    def reached_ns(self, units: int) -> int:
        """When so much is cumulated, rounded down to a nanosecond."""
        rest, rate, slope, length_ns = units - self.before, self.from_milli, self.slope, self.length_ns
        if not slope:
            return self.start_ns + rest // (2 * rate)
        # The root of slope t² + 2 rate length t = rest length.
        under = (rate * length_ns) ** 2 + slope * rest * length_ns
        if slope > 0:
            return self.start_ns + (isqrt(under) - rate * length_ns) // slope
        return self.start_ns + (rate * length_ns - _root_up(under)) // -slope

    def scaled(self, time_ns: int) -> int:
        """What is cumulated by then, times the length of the piece: a whole number."""
        elapsed = time_ns - self.start_ns
        return (self.before + 2 * self.from_milli * elapsed) * self.length_ns + self.slope * elapsed * elapsed


class Rates:
    """A rate over time, from its start on; after its last piece it stays as it is there."""

    def __init__(self, start_ns: int, spans: Iterable[tuple[int, int, int]], last_milli: int) -> None:
        """Make one.

        Args:
            start_ns: where it begins.
            spans: of each piece (length in ns, rate at its start, rate at its end), rates in thousandths.
            last_milli: the rate after them.
        """
        self.pieces: list[Piece] = []
        before = 0
        for length_ns, from_milli, to_milli in spans:
            if length_ns:
                self.pieces.append(Piece(start_ns, length_ns, from_milli, to_milli, before))
            start_ns, before = start_ns + length_ns, before + (from_milli + to_milli) * length_ns
        self.pieces.append(Piece(start_ns, 1, last_milli, last_milli, before))
        self._starts = [piece.start_ns for piece in self.pieces]
        self.befores = [piece.before for piece in self.pieces]
        self.cumulated_before: Floats = np.array(self.befores, np.float64) / UNITS

    def first_at_or_after(self, time_ns: int) -> int:
        """Number of the first request of a regular stream at this time or later."""
        piece = self._at(time_ns)
        return -(-piece.scaled(max(time_ns, piece.start_ns)) // (UNITS * piece.length_ns))

    def expected(self, from_ns: int, to_ns: int) -> float:
        """Requests in [from, to) on average."""
        return self._cumulated(to_ns) - self._cumulated(from_ns)

    def times_of(self, cumulated: Floats) -> Ints:
        """When so many requests are cumulated (in order), each rounded down to a nanosecond; in bulk, to within 1 ns."""
        first, last = np.searchsorted(self.cumulated_before, cumulated[[0, -1]], side="right") - 1
        if first == last:  # as nearly always
            return self._times_in(int(first), cumulated)
        which = np.searchsorted(self.cumulated_before, cumulated, side="right") - 1
        return np.concatenate([self._times_in(piece, cumulated[which == piece]) for piece in range(first, last + 1)])

    def _times_in(self, number: int, cumulated: Floats) -> Ints:
        piece = self.pieces[number]
        rest = cumulated - self.cumulated_before[number]
        rate = piece.from_milli / 1e12  # per nanosecond
        if piece.slope:
            under = rate * rate + rest * piece.bend
            elapsed = (2 * rest / (rate + np.sqrt(np.maximum(under, 0)))).astype(np.int64)
        else:
            elapsed = (rest / rate).astype(np.int64)
        times: Ints = elapsed + piece.start_ns
        # No rounding passes the next piece, so that times stay in order.
        return times if piece is self.pieces[-1] else np.minimum(times, piece.start_ns + piece.length_ns)

    def _at(self, time_ns: int) -> Piece:
        return self.pieces[max(bisect_right(self._starts, time_ns) - 1, 0)]

    def _cumulated(self, time_ns: int) -> float:
        piece = self._at(time_ns)
        return piece.scaled(max(time_ns, piece.start_ns)) / (UNITS * piece.length_ns)


def _root_up(square: int) -> int:
    """The square root, rounded up."""
    root = isqrt(square)
    return root + (root * root < square)


def edges_of(start_ns: int, length_ns: int, parts: int) -> list[int]:
    """The edges of equal parts of a span, each to a nanosecond."""
    return [start_ns + length_ns * part // parts for part in range(parts + 1)]


def rates_of(config: Config, start_ns: int) -> Rates:
    """The rate that a configuration asks for, from the start of the load on: the warm-up runs at the first one."""
    millis = [round(rate * 1_000) for rate in config.rates_per_s or [config.rate_per_s or 0]]
    spans = [(round(config.warmup_s * 1e9), millis[0], millis[0])]
    lines = list(pairwise(millis)) if config.shape == "ramp" else [(milli, milli) for milli in millis]
    if len(millis) > 1:
        edges = edges_of(0, round(config.window_s * 1e9), len(lines))
        spans += [(to - since, *line) for (since, to), line in zip(pairwise(edges), lines, strict=True)]
        return Rates(start_ns, spans, millis[-1])
    return Rates(start_ns, [], millis[0])


def phases_of(config: Config, window_start_ns: int) -> list[int]:
    """The edges of the parts that a window with several rates is reported in: its steps, or tenths of a ramp."""
    parts = 10 if config.shape == "ramp" else len(config.rates_per_s)
    return edges_of(window_start_ns, round(config.window_s * 1e9), parts) if len(config.rates_per_s) > 1 else []
