"""The schedules of an open loop: pure functions of configuration, seed and start, never of what happened before."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

import numpy as np

from client.buckets import Ints
from client.config import Config
from client.rates import UNITS, Floats, Rates, rates_of

_NS_TIMES_MILLI = 10**12  # nanoseconds per second × thousandths per request
_AT_ONCE = 512  # times made together, in about 50 µs
_AT_ONCE_ON_A_LINE = 32  # the same where each takes a root of its own in whole numbers
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

    def blocks(self) -> Iterator[Ints]:
        """All intended times, ns, in order and without end, from the first one on, some at a time."""

    def count(self, from_ns: int, to_ns: int) -> int:
        """How many are intended in [from, to)."""


@dataclass(frozen=True)
class Regular:
    """Constant arrivals: request `i` is due when the cumulated rate reaches `i`. The parts together are the whole."""

    rates: Rates
    share: Share

    def blocks(self) -> Iterator[Ints]:
        """Every number's time, exact; pieces of one rate in bulk."""
        number = self.share.index
        pieces = self.rates.pieces
        for piece, end in zip(pieces, [*self.rates.befores[1:], None], strict=True):
            while end is None or number * UNITS < end:
                most = _AT_ONCE_ON_A_LINE if piece.slope else _AT_ONCE
                left = most if end is None else -(-(end - number * UNITS) // (self.share.of * UNITS))
                numbers = range(number, number + min(left, most) * self.share.of, self.share.of)
                if piece.slope:
                    yield np.array([piece.reached_ns(each * UNITS) for each in numbers], np.int64)
                else:
                    # All but the first division in 64 bits: only the remainder goes on.
                    whole, rest = divmod(number * UNITS - piece.before, 2 * piece.from_milli)
                    steps = np.arange(len(numbers), dtype=np.int64) * (self.share.of * UNITS)
                    yield piece.start_ns + whole + (rest + steps) // (2 * piece.from_milli)
                number = numbers[-1] + self.share.of

    def count(self, from_ns: int, to_ns: int) -> int:
        """By arithmetic."""
        first, last = (self.share.below(self.rates.first_at_or_after(edge)) for edge in (from_ns, to_ns))
        return last - first


@dataclass(frozen=True)
class Poisson:
    """Exponential gaps: a Poisson process of rate 1 whose time is the cumulated rate.

    Each part has a stream of random numbers of its own and its share of the rate, so that together they are a Poisson
    process of the whole. Times are cumulated before they are rounded (down to a nanosecond): no gap is rounded by itself.
    """

    rates: Rates
    share: Share
    seed: int

    def blocks(self) -> Iterator[Ints]:
        """All times of the process."""
        chance = generator(self.seed, _ARRIVALS, self.share)
        reached = 0.0
        while True:
            cumulated: Floats = reached + np.cumsum(chance.standard_exponential(_AT_ONCE))
            reached = float(cumulated[-1])
            yield self.rates.times_of(cumulated * self.share.of)

    def count(self, from_ns: int, to_ns: int) -> int:
        """By making the schedule once more."""
        count = 0
        for block in self.blocks():
            first, last = np.searchsorted(block, (from_ns, to_ns))
            count += int(last - first)
            if last < len(block):
                return count
        raise AssertionError("a schedule has no end")


def generator(seed: int, stream: int, share: Share) -> np.random.Generator:
    """Random numbers of one purpose (`stream`) in one process, independent of those of every other."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(stream, share.of, share.index))))


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
    """The intended times before the end, one by one; a block is made when the one before is used up."""
    return chain.from_iterable(_until(schedule, end_ns))


def _until(schedule: Schedule, end_ns: int) -> Iterator[list[int]]:
    for block in schedule.blocks():
        inside = int(np.searchsorted(block, end_ns))
        yield block[:inside].tolist()
        if inside < len(block):
            return
