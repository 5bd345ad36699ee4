"""Reading histograms in HdrHistogram's bucket layout (Gil Tene, hdrhistogram.org), as the load client writes them.

Three significant decimal digits: 2,048 sub-buckets, so a bucket is at most 1/1,024 of its values wide. Values are
nanoseconds from 1 up. A histogram is a sparse mapping of bucket index to count; merging is adding, exactly.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

SUB_BUCKET_COUNT = 2_048
SUB_BUCKET_HALF_COUNT = SUB_BUCKET_COUNT // 2
_SUB_BUCKET_BITS = SUB_BUCKET_COUNT.bit_length() - 1

Counts = Mapping[int, int]


def index_of(value: int) -> int:
    """The bucket index (HdrHistogram's `countsArrayIndex`) of a value in its unit; values below 0 count as 0."""
    value = max(value, 0)
    bucket = max(value.bit_length() - _SUB_BUCKET_BITS, 0)
    return ((bucket + 1) * SUB_BUCKET_HALF_COUNT) + ((value >> bucket) - SUB_BUCKET_HALF_COUNT)


def bounds_of(index: int) -> tuple[int, int]:
    """Lowest and highest value that a bucket index stands for."""
    bucket = index // SUB_BUCKET_HALF_COUNT - 1
    sub_bucket = index % SUB_BUCKET_HALF_COUNT + SUB_BUCKET_HALF_COUNT
    if bucket < 0:
        bucket, sub_bucket = 0, sub_bucket - SUB_BUCKET_HALF_COUNT
    low = sub_bucket << bucket
    return low, low + (1 << bucket) - 1


def merge(histograms: Iterable[Counts]) -> dict[int, int]:
    """The histogram of all values together."""
    total: dict[int, int] = {}
    for histogram in histograms:
        for index, count in histogram.items():
            total[index] = total.get(index, 0) + count
    return dict(sorted(total.items()))


def mean(counts: Counts) -> float | None:
    """The mean of the recorded values, each taken to lie in the middle of its bucket; None of no value."""
    total = sum(counts.values())
    return sum(count * sum(bounds_of(index)) / 2 for index, count in counts.items()) / total if total else None


def percentile(counts: Counts, percent: float, censored: int = 0, beyond: int = 10) -> float | None:
    """The value at a percentile, in the histogram's unit, or None where the sample cannot carry it.

    Args:
        counts: bucket index to count.
        percent: 0 < percent < 100.
        censored: further requests known only to have taken longer than every recorded value (timed out, never
            sent): a rank among them has no value, and comes out as infinity.
        beyond: samples that must lie beyond the rank; with fewer, the percentile is not estimated (METHOD: 10).
    """
    return percentiles(counts, (percent,), censored, beyond)[0]


def percentiles(
    counts: Counts, percents: Sequence[float], censored: int = 0, beyond: int = 10
) -> tuple[float | None, ...]:
    """The values at several percentiles in one pass; each as `percentile` gives it."""
    indexes = sorted(counts)
    seen = list(accumulate(counts[index] for index in indexes))
    total = (seen[-1] if seen else 0) + censored

    def at(percent: float) -> float | None:
        if total * (100 - percent) / 100 < beyond - 1e-9:
            return None
        place = bisect_left(seen, percent / 100 * total - 1e-9)
        return sum(bounds_of(indexes[place])) / 2 if place < len(indexes) else float("inf")

    return tuple(at(percent) for percent in percents)
