"""How long each answer is to take, and how long it really took."""

import random
from collections import Counter
from collections.abc import Callable
from typing import Final

from backend.config import Config

_SUB_BUCKET_HALF_COUNT: Final = 1_024  # of HdrHistogram's layout at three significant digits
_SUB_BUCKET_BITS: Final = 11


def draws(config: Config) -> Callable[[], int]:
    """A source of delays in nanoseconds. The same configuration gives the same delays in the same order."""
    generator = random.Random(config.seed)  # noqa: S311 - a load, not a secret
    usual_ns, slow_ns = round(config.delay_s * 1e9), round(config.slow_s * 1e9)
    if config.distribution == "exponential":
        return lambda: round(usual_ns * generator.expovariate(1.0))
    if config.distribution == "bimodal":
        return lambda: slow_ns if generator.random() < config.slow_share else usual_ns
    return lambda: usual_ns


class Made:
    """The delays that were made, in HdrHistogram's bucket layout, as the load client's histograms are."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def add(self, delay_ns: int) -> None:
        """Count one."""
        bucket = max(delay_ns.bit_length() - _SUB_BUCKET_BITS, 0)
        self._counts[bucket * _SUB_BUCKET_HALF_COUNT + (delay_ns >> bucket)] += 1

    def sparse(self) -> dict[int, int]:
        """Bucket index: count."""
        return dict(sorted(self._counts.items()))
