"""The schedule of an open loop: a pure function of the request's number, never of what happened before."""

from dataclasses import dataclass

_NS_TIMES_MILLI = 10**12  # nanoseconds per second × thousandths per request


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
