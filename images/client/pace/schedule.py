"""The schedules of an open loop: pure functions of configuration, seed and start, never of what happened before."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, count, repeat, takewhile
from math import inf, sqrt
from typing import Protocol

import numpy as np

from client.books.buckets import Ints
from client.config import Config
from client.pace.rates import UNITS, Floats, Piece, Rates, rates_of

_NS_TIMES_MILLI = 10**12  # nanoseconds per second × thousandths per request
_AT_ONCE = 16_384  # random numbers made together, in about 0.15 ms
_HANDED_OUT = 256  # of these, made numbers of Python's together, in about 5 µs
_NEVER_NS = 1 << 62
_ARRIVALS = 1  # the stream of random numbers, among those of one seed


@dataclass(frozen=True)
class ConstantRate:
    """Request `i` is intended at `start_ns + i / rate`, rounded down to a nanosecond: no error adds up.

    Attributes:
        start_ns: intended time of request 0, CLOCK_MONOTONIC.
        milli_rate: requests per 1,000 seconds, so that rates down to 0.001/s are exact.
    """

    start_ns: int
    milli_rate: int

    @classmethod
    def per_second(cls, rate_per_s: float, start_ns: int) -> "ConstantRate":
        """The schedule of a rate in requests per second, to a thousandth."""
        return cls(start_ns, round(rate_per_s * 1_000))

    def intended_ns(self, i: int) -> int:
        """When request `i` is intended."""
        return self.start_ns + i * _NS_TIMES_MILLI // self.milli_rate

    def first_at_or_after(self, time_ns: int) -> int:
        """Number of the first request intended at this time or later."""
        elapsed = max(time_ns - self.start_ns, 0)
        return -(-elapsed * self.milli_rate // _NS_TIMES_MILLI)

    def count(self, from_ns: int, to_ns: int) -> int:
        """How many requests are intended in [from, to)."""
        return self.first_at_or_after(to_ns) - self.first_at_or_after(from_ns)


@dataclass(frozen=True)
class Share:
    """Which part of a load one of several processes makes: of a numbered whole, every `of`-th from `index` on."""

    index: int = 0
    of: int = 1

    def number(self, i: int) -> int:
        """The number in the whole of this part's `i`-th."""
        return self.index + i * self.of

    def below(self, number: int) -> int:
        """How many of the first `number` of the whole belong to this part."""
        return max(-(-(number - self.index) // self.of), 0)


WHOLE = Share()


class Schedule(Protocol):
    """When requests are intended."""

    def times(self) -> Iterator[int]:
        """All intended times, ns, in order and without end.

        They are asked for one by one while the load runs: each is made in less than a microsecond.
        """

    def count(self, from_ns: int, to_ns: int) -> int:
        """How many are intended in [from, to)."""


@dataclass(frozen=True)
class Regular:
    """Constant arrivals: request `i` is due when the cumulated rate reaches `i`. The parts together are the whole."""

    rates: Rates
    share: Share

    def times(self) -> Iterator[int]:
        """Every number's time, exact."""
        number, step = self.share.index, self.share.of
        for piece, end in zip(self.rates.pieces, [*self.rates.befores[1:], None], strict=True):
            last = None if end is None else -(-end // UNITS)  # the first number beyond the piece
            numbers = count(number, step) if last is None else range(number, last, step)
            if piece.slope:
                yield from (piece.reached_ns(number * UNITS) for number in numbers)
            else:
                yield from _evenly(piece, numbers, step)
            number += len(numbers) * step if isinstance(numbers, range) else 0

    def count(self, from_ns: int, to_ns: int) -> int:
        """By arithmetic."""
        first, last = (self.share.below(self.rates.first_at_or_after(edge)) for edge in (from_ns, to_ns))
        return last - first


def _evenly(piece: Piece, numbers: Iterable[int], step: int) -> Iterator[int]:
    """The times of these numbers in a piece of one rate: whole nanoseconds are added up, and what is left over, too."""
    rate = 2 * piece.from_milli
    whole_step, rest_step = divmod(step * UNITS, rate)
    time_ns = rest = None
    for number in numbers:
        if time_ns is None or rest is None:
            whole, rest = divmod(number * UNITS - piece.before, rate)
            time_ns = piece.start_ns + whole
        else:
            time_ns, rest = time_ns + whole_step, rest + rest_step
            if rest >= rate:
                time_ns, rest = time_ns + 1, rest - rate
        yield time_ns


@dataclass(frozen=True)
class Poisson:
    """Exponential gaps: a Poisson process of rate 1 whose time is the cumulated rate.

    Each part has a stream of random numbers of its own and its share of the rate, so that together they are a Poisson
    process of the whole. Times are cumulated before they are rounded (down to a nanosecond): no gap is rounded by itself.
    """

    rates: Rates
    share: Share
    seed: int

    def times(self) -> Iterator[int]:
        """All times of the process."""
        chance, of = generator(self.seed, _ARRIVALS, self.share), self.share.of
        gaps = one_by_one(chance.standard_exponential)
        reached = next(gaps)
        for piece, end in zip(self.rates.pieces, [*self.rates.cumulated_before[1:].tolist(), inf], strict=True):
            before, start_ns, rate = piece.before / UNITS, piece.start_ns, piece.from_milli / 1e12
            bend, last_ns = piece.bend, _NEVER_NS if end == inf else start_ns + piece.length_ns
            while (cumulated := reached * of) < end:
                rest = cumulated - before
                elapsed = 2 * rest / (rate + sqrt(max(rate * rate + rest * bend, 0.0))) if bend else rest / rate
                yield min(start_ns + int(elapsed), last_ns)
                reached += next(gaps)

    def count(self, from_ns: int, to_ns: int) -> int:
        """By making the schedule once more, in bulk."""
        count = 0
        for block in self.blocks():
            first, last = np.searchsorted(block, (from_ns, to_ns))
            count += int(last - first)
            if last < len(block):
                return count
        raise AssertionError("a schedule has no end")

    def blocks(self) -> Iterator[Ints]:
        """The same times, in bulk and by the same arithmetic."""
        chance = generator(self.seed, _ARRIVALS, self.share)
        reached = 0.0
        while True:
            cumulated: Floats = np.cumsum(np.append(reached, chance.standard_exponential(_AT_ONCE)))[1:]
            reached = float(cumulated[-1])
            yield self.rates.times_of(cumulated * self.share.of)


def generator(seed: int, stream: int, share: Share) -> np.random.Generator:
    """Random numbers of one purpose (`stream`) in one process, independent of those of every other."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(stream, share.of, share.index))))


def one_by_one(draw: Callable[[int], Floats]) -> Iterator[float]:
    """Random numbers as the load runs: drawn in bulk, as a cold call takes 0.1 ms however few it makes."""
    return chain.from_iterable(
        block[i : i + _HANDED_OUT].tolist()
        for block in map(draw, repeat(_AT_ONCE))
        for i in range(0, _AT_ONCE, _HANDED_OUT)
    )


def schedule_of(config: Config, share: Share, start_ns: int) -> Schedule:
    """What a configuration asks for, from the start of the load on."""
    rates = rates_of(config, start_ns)
    return Poisson(rates, share, config.seed) if config.arrivals == "poisson" else Regular(rates, share)


def growth_at(rate_per_s: float, share: Share, start_ns: int) -> Schedule:
    """When new connections come: evenly, from the start of the load on."""
    return Regular(Rates(start_ns, [], round(rate_per_s * 1_000)), share)


def newcomers_of(config: Config, share: Share) -> int:
    """How many new connections come over warm-up and window."""
    if config.growth_per_s is None:
        return 0
    length_ns = round(config.warmup_s * 1e9) + round(config.window_s * 1e9)
    return growth_at(config.growth_per_s, share, 0).count(0, length_ns)


def times_until(schedule: Schedule, end_ns: int) -> Iterator[int]:
    """The intended times before the end, one by one."""
    return takewhile(end_ns.__gt__, schedule.times())
