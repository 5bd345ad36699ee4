"""What the gates compute, against values known from elsewhere."""

import math

import numpy as np
import pytest
from scipy import stats

from harness.histogram import index_of
from tests.bench.beside import Measured
from tests.bench.gates.anderson import limiting, p_value, statistic
from tests.bench.gates.merge import quantisation, sample
from tests.bench.gates.peers import who_was_full
from tests.bench.gates.quantiles import added, known, of_values, quantile_us
from tests.bench.gates.record import GateResult, Line
from tests.bench.gates.same import different
from tests.bench.gates.schedule import SEEDS, p_values, times_of, variation
from tests.bench.gates.stall import ideal_s
from tests.bench.gates.table import GATES
from tests.bench.peers import wrk_latencies
from tests.bench.plots import draw, specs_of


@pytest.mark.parametrize(
    ("a_squared", "beyond"), [(1.933, 0.10), (2.492, 0.05), (3.070, 0.025), (3.878, 0.01), (5.967, 0.001)]
)
def test_the_limiting_distribution_has_the_tabled_critical_values(a_squared: float, beyond: float) -> None:
    """The table for a distribution that is fully known (D'Agostino and Stephens, Goodness-of-Fit Techniques, 1986)."""
    assert 1 - limiting(a_squared) == pytest.approx(beyond, rel=0.01)


def test_the_statistic_is_that_of_scipy() -> None:
    values = np.random.default_rng(3).uniform(size=500)
    ours = statistic(values)
    theirs = stats.goodness_of_fit(
        stats.uniform, values, known_params={"loc": 0, "scale": 1}, statistic="ad", n_mc_samples=2
    ).statistic
    assert ours == pytest.approx(theirs, rel=1e-9)


def test_uniform_values_are_seldom_refused_and_others_always() -> None:
    generator = np.random.default_rng(1)
    p = [p_value(generator.uniform(size=200)) for _ in range(1_000)]
    assert 70 < sum(each < 0.1 for each in p) < 130
    assert p_value(generator.uniform(size=5_000) ** 1.1) < 0.001


def test_a_poisson_schedule_passes_and_an_even_one_does_not() -> None:
    assert min(min(p_values(times_of(seed, 1_000.0), 1_000.0)) for seed in SEEDS) >= 0.001
    even = np.arange(20_000, dtype=np.int64) * 1_000_000 + 1
    assert p_values(even, 1_000.0)[0] < 0.001


def test_gaps_that_are_all_the_same_do_not_vary() -> None:
    assert variation(np.arange(100, dtype=np.int64) * 1_000) == 0
    assert variation(np.array([0, 1_000, 3_000], np.int64)) == pytest.approx(math.sqrt(2) / 3)


@pytest.mark.parametrize(
    ("percent", "seconds"), [(99, 1.4 - 0.2 * 0.95), (99.9, 1.4 - 0.02 * 0.95), (90, 0.0), (50, 0.0)]
)
def test_response_times_of_a_stall(percent: float, seconds: float) -> None:
    assert ideal_s(percent, 1.4, 20.0, 0.05) == pytest.approx(seconds)


def test_percentiles_are_told_only_where_ten_values_lie_beyond() -> None:
    counts = {2_000: 1_000}
    assert quantile_us(counts, 99) == pytest.approx(2.0, abs=0.01)
    assert quantile_us(counts, 99.9) is None
    assert list(known(counts, (50, 99, 99.9))) == [50, 99]
    assert (of_values(list(range(1_000)), 99), of_values(list(range(1_000)), 99.9)) == (989.0, None)


def test_a_bucket_hides_less_than_a_thousandth_and_more_than_nothing() -> None:
    values = np.array([2_049, 1 << 40], np.int64)
    counts = {index_of(int(value)): 1 for value in values}
    assert 0 < quantisation(values, counts) <= 0.001
    assert len(sample()) > 1_000_000


def test_a_pair_is_called_different_only_where_its_interval_leaves_out_one() -> None:
    same = [(100.0, 101.0), (101.0, 100.0), (99.0, 100.0), (100.0, 99.0), (100.0, 100.0)]
    apart = [(100.0, 111.0), (101.0, 110.0), (99.0, 110.0), (100.0, 109.0), (100.0, 110.0)]
    assert different([same, apart, same]) == 1


@pytest.mark.parametrize(
    ("cpu_s", "server", "told"),
    [
        (2.0, 0.5, "busy with the client: its core 100%, the server's 50%"),
        (1.0, 0.95, "busy with the client: its core 50%, the server's 95%"),
        (1.0, 0.5, ""),  # nobody's core was full: that explains nothing
    ],
)
def test_a_difference_is_explained_only_by_a_core_that_was_full(cpu_s: float, server: float, told: str) -> None:
    assert who_was_full({"the client": [Measured(1_000, cpu_s, 2.0)]}, {"the client": [server]}) == told


def test_what_wrk_prints_is_read() -> None:
    output = (
        "  Latency Distribution\n     50%  110.00us\n     90%    1.20ms\n     99%    1.31s \n  12 requests in 2.00s"
    )
    assert wrk_latencies(output) == {50.0: 110.0, 90.0: 1_200.0, 99.0: 1_310_000.0}


def test_every_plot_that_a_gate_may_have_can_be_drawn() -> None:
    """Also where a line has a single point, or all its values are the same."""
    lone = Line(name="only", panel="1 ms", x=(50.0,), y=(1.0,), low=(1.0,), high=(1.0,))
    flat = Line(name="flat", panel="1 ms", x=(50.0, 90.0), y=(1.0, 1.0), low=(0.9, 0.9), high=(1.1, 1.1))
    gates = [GateResult(name=gate.name, rows=(), lines=(lone, flat), seconds=0) for gate in GATES]
    drawn = specs_of(gates)
    assert set(drawn) == {"send-lag", "stall", "known-delay", "peers", "capacity", "same"}
    assert all(draw(spec).startswith("<svg") for spec in drawn.values())


def test_what_a_constant_lateness_adds_is_itself_and_rare_lateness_shows_where_a_distribution_is_thin() -> None:
    constant = {index_of(1_000_000): 10_000}
    assert added(constant, [70_000], 50) == pytest.approx(70_000, rel=1e-3)
    late = [10_000] * 992 + [2_000_000] * 8
    assert added(constant, late, 99) == pytest.approx(10_000, rel=1e-2)
    bimodal = {index_of(1_000_000): 9_950, index_of(100_000_000): 50}
    assert added(bimodal, late, 99) == pytest.approx(2_000_000, rel=1e-2)  # 0.8 % late and 0.5 % slow are more than 1 %
    assert added(constant, late, 99.99) is None
