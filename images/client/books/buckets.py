"""Histograms in HdrHistogram's bucket layout, filled in bulk; the same layout as the harness reads them in."""

import numpy as np
import numpy.typing as npt

SUB_BUCKET_COUNT = 2_048  # three significant decimal digits
SUB_BUCKET_HALF_COUNT = SUB_BUCKET_COUNT // 2
SUB_BUCKET_BITS = SUB_BUCKET_COUNT.bit_length() - 1

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def indices_of(values_ns: Ints) -> Ints:
    """The bucket index of each value; values below 0 count as 0. Exact below 2**53 ns (104 days)."""
    values = np.maximum(values_ns, 0)
    bit_lengths = np.frexp(values.astype(np.float64))[1].astype(np.int64)
    buckets = np.maximum(bit_lengths - SUB_BUCKET_BITS, 0)
    sub_buckets: Ints = np.right_shift(values, buckets, dtype=np.int64)
    return (buckets + 1) * SUB_BUCKET_HALF_COUNT + sub_buckets - SUB_BUCKET_HALF_COUNT


class Histogram:
    """Counts per bucket, in nanoseconds."""

    def __init__(self) -> None:
        self._counts: Ints = np.zeros(0, np.int64)

    def add(self, values_ns: Ints) -> None:
        """Count all of these values."""
        if not len(values_ns):
            return
        fresh = np.bincount(indices_of(values_ns)).astype(np.int64)
        if len(fresh) > len(self._counts):
            fresh, self._counts = self._counts, fresh
        self._counts[: len(fresh)] += fresh

    def sparse(self) -> dict[int, int]:
        """Bucket index: count, without the empty buckets."""
        used = np.flatnonzero(self._counts)
        return dict(zip(used.tolist(), self._counts[used].tolist(), strict=True))
