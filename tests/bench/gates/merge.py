"""Gate: merged histograms are the histogram of all values together, and a bucket is narrow enough."""

import numpy as np

from client.books.buckets import Histogram, Ints
from harness.histogram import bounds_of, index_of, merge
from tests.bench.gates.bench import Bench, Gate, Measured
from tests.bench.gates.record import at_most

VALUES = 1_000_000
PARTS = 7
MOST_WIDE = 0.001

METHOD = f"""\
{VALUES:,} values from 1 ns to 1 h, log-uniform, and among them every power of two and its neighbours, are cut into {PARTS} unequal parts. Each part is put into a histogram by the client's code, and
the parts are merged by the harness's; both are other code than the reference, which puts each value of the whole by itself. Every bucket must hold the same count. Quantisation is the most by which a value
differs from the middle of its bucket, in relation to the value, from 2,048 ns on (below, buckets are whole nanoseconds)."""


def measure(_bench: Bench) -> Measured:
    """Both rows; nothing of them depends on the machine."""
    values = sample()
    cuts = np.sort(np.random.default_rng(5).choice(len(values), PARTS - 1, replace=False))
    merged = merge(_histogram(part) for part in np.split(values, cuts))
    whole: dict[int, int] = {}
    for value in values.tolist():
        index = index_of(value)
        whole[index] = whole.get(index, 0) + 1
    differing = sum(merged.get(index) != whole.get(index) for index in merged.keys() | whole.keys())
    rows = [
        at_most("buckets that differ", "", differing, 0, note=f"of {len(whole):,} buckets in use"),
        at_most("quantisation", "", quantisation(values, merged), MOST_WIDE),
    ]
    return Measured(rows, facts={"values": len(values), "parts": PARTS})


def sample() -> Ints:
    """The values, ns, in random order."""
    generator = np.random.default_rng(4)
    spread = np.exp(generator.uniform(0, np.log(3_600e9), VALUES)).astype(np.int64)
    powers = np.array([(1 << bits) + near for bits in range(1, 42) for near in (-1, 0, 1)], np.int64)
    return generator.permutation(np.concatenate([spread, powers]))


def quantisation(values: Ints, counts: dict[int, int]) -> float:
    """The most that any of these values is off by, once it is only known by its bucket; as a share of the value."""
    indexes = np.array(sorted(counts))
    lows, highs = np.array([bounds_of(int(index)) for index in indexes]).T
    large = values[values >= 2_048]
    place = np.searchsorted(lows, large, side="right") - 1
    middle = (lows[place] + highs[place]) / 2
    return float(np.max(np.abs(middle - large) / large))


def _histogram(values: Ints) -> dict[int, int]:
    histogram = Histogram()
    histogram.add(values)
    return histogram.sparse()


GATE = Gate("merge", "Merging", METHOD, measure, needs=())
