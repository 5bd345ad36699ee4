"""The window's stationarity by simulation: what noise must not set off, and what must be found. Seeds are fixed."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from harness.judging.checks.steady import steady
from harness.judging.evidence import STALL_S, Evidence
from harness.judging.stationarity import gather, longest_stall_s, shift, trend
from harness.spec.experiment import Trial
from tests.run.records import client_report, evidence

Floats = npt.NDArray[np.float64]
SLICES_PER_S = 10


def noise(random: np.random.Generator, count: int, spread: float, memory: float) -> Floats:
    """A first-order autoregressive series around 1."""
    shocks = random.normal(size=count + 50) * math.sqrt(1 - memory**2)
    values = np.zeros(count + 50)
    for index in range(1, len(values)):
        values[index] = memory * values[index - 1] + shocks[index]
    return 1 + spread * values[50:]


def counts(
    random: np.random.Generator,
    seconds: float,
    per_s: float,
    spread: float = 0.05,
    memory: float = 0.3,
    shape: Floats | float = 1.0,
) -> list[int]:
    """Answers per 100 ms: chance, noise that lasts, and the shape of the window."""
    count = round(seconds * SLICES_PER_S)
    means = per_s / SLICES_PER_S * noise(random, count, spread, memory) * shape
    return random.poisson(np.maximum(0, means)).tolist()  # type: ignore[no-any-return]


def moved(per_100ms: list[int]) -> bool:
    values = gather(per_100ms)
    return bool(values) and (trend(values).matters or shift(values).matters)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [2.0, 5.0, 20.0])
@pytest.mark.parametrize(
    ("per_s", "spread", "memory"), [(300, 0.1, 0.0), (5_000, 0.05, 0.3), (5_000, 0.2, 0.5), (20_000, 0.4, 0.5)]
)
def test_noise_that_is_stationary_raises_no_more_than_one_alarm_in_a_hundred(
    seconds: float, per_s: float, spread: float, memory: float
) -> None:
    random = np.random.default_rng(5)
    series = [counts(random, seconds, per_s, spread, memory) for _ in range(400)]
    assert sum(moved(one) or longest_stall_s(one) >= STALL_S for one in series) <= 4


def over(shape: Callable[[Floats], Floats], seconds: float = 10.0) -> Floats:
    return shape(np.arange(round(seconds * SLICES_PER_S)) / (seconds * SLICES_PER_S))


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(over(lambda at: 1 + 0.15 * (at - 0.5)), id="a drift of 15 %"),
        pytest.param(over(lambda at: 1 - 0.15 * (at - 0.5)), id="the same downwards"),
        pytest.param(over(lambda at: np.where(at < 1 / 3, 0.8, 1.0)), id="a step of 20 % at a third"),
        pytest.param(over(lambda at: np.where(at < 0.8, 1.0, 0.8)), id="a step down, late"),
        pytest.param(over(lambda at: 1 - 0.5 * np.exp(-at / 0.1)), id="a warm-up that was too short"),
        pytest.param(over(lambda at: 1 - 0.3 * np.exp(-at / 0.2)), id="one that was much too short"),
    ],
)
def test_what_is_not_stationary_is_found(shape: Floats) -> None:
    random = np.random.default_rng(6)
    found = sum(moved(counts(random, 10.0, 10_000, spread=0.02, memory=0.2, shape=shape)) for _ in range(40))
    assert found >= 36


def test_a_small_change_is_let_be_however_certain() -> None:
    random = np.random.default_rng(7)
    shape = over(lambda at: 1 + 0.05 * at)
    assert not any(moved(counts(random, 10.0, 100_000, spread=0.0, shape=shape)) for _ in range(20))


def test_a_stall_is_found_and_gaps_of_a_thin_stream_are_none() -> None:
    random = np.random.default_rng(8)
    stalled = counts(random, 10.0, 1_000)
    stalled[40:47] = [0] * 7
    assert longest_stall_s(stalled) == pytest.approx(0.7)
    assert longest_stall_s(counts(random, 60.0, 5)) == 0.0
    assert longest_stall_s([0] * 20) == 0.0


def test_a_closed_loop_in_step_answers_in_waves_and_does_not_stall() -> None:
    """2,000 connections that all wait 1 s for a backend: nothing for 0.9 s, then everything at once."""
    waves = [2_000 if index % 10 == 0 else 0 for index in range(600)]
    assert longest_stall_s(waves, response_s=1.0) == 0.0
    values = gather(waves, response_s=1.0)
    assert not trend(values).matters
    assert not shift(values).matters


def test_too_few_answers_or_too_short_a_window_tell_nothing() -> None:
    assert gather([1] * 30) == []
    assert gather([100] * 19) == []
    assert len(gather([100] * 20)) == 20
    assert len(gather([10] * 20)) == 0
    assert len(gather([1_000] * 600)) == 50


def queue(
    random: np.random.Generator, rate: float, load: float, seconds: float, *, poisson: bool = False, exact: bool = False
) -> Evidence:
    """An open loop against one server with a queue, from 1 s before the window on: service by chance, or always the same."""
    count = round(rate * (seconds + 1) * 1.3)
    gaps = random.exponential(1 / rate, count) if poisson else np.full(count, 1 / rate)
    arrivals = np.cumsum(gaps)
    service = np.full(count, load / rate) if exact else random.exponential(load / rate, count)
    worked = np.cumsum(service)
    ends = worked + np.maximum.accumulate(arrivals - (worked - service))  # Lindley's recursion
    offered = int(np.count_nonzero((arrivals >= 1) & (arrivals < 1 + seconds)))
    inside = ends[(ends >= 1) & (ends < 1 + seconds)]
    per_100ms, _ = np.histogram(inside - 1, bins=round(seconds * SLICES_PER_S), range=(0, seconds))
    words = {"kind": "open", "rate": f"{rate}/s", "connections": 10, "window": f"{seconds} s"}
    client = client_report(
        schedule=offered,
        intended=offered,
        sent=offered,
        ok=offered,
        completed_in_window=len(inside),
        per_100ms=tuple(per_100ms.tolist()),
        window_end_ns=1_000_000_000 + round(seconds * 1e9),
        residence_s=0.001 * len(inside),
    )
    return evidence(trial=Trial.model_validate({"load": words}), client=client)


@pytest.mark.slow
@pytest.mark.parametrize("poisson", [False, True])
@pytest.mark.parametrize(("rate", "load"), [(200, 0.9), (1_000, 0.5), (1_000, 0.95), (5_000, 0.98)])
def test_a_queue_that_swings_is_no_growing_backlog(rate: float, load: float, poisson: bool) -> None:
    random = np.random.default_rng(9)
    judged = [steady(queue(random, rate, load, 20.0, poisson=poisson)) for _ in range(150)]
    assert sum(check.passed is False for check in judged) <= 1


@pytest.mark.parametrize("poisson", [False, True])
def test_two_per_cent_too_many_over_20_s_are_found(poisson: bool) -> None:
    random = np.random.default_rng(10)
    judged = [steady(queue(random, 2_000, 1.02, 20.0, poisson=poisson, exact=True)) for _ in range(20)]
    assert sum(check.passed is False for check in judged) >= 19
    assert "the backlog grew by" in judged[0].detail
    assert "of those offered" in judged[0].detail


def staircase(middle: tuple[int, ...]) -> Evidence:
    """Three rates, each for 3 s, the second as given."""
    parts = ((100,) * 30, middle, (300,) * 30)
    phases = [
        {
            "from_ns": 1_000_000_000 + index * 3_000_000_000,
            "to_ns": 4_000_000_000 + index * 3_000_000_000,
            "rate_per_s": 1_000.0 * (index + 1),
            "intended": 3_000 * (index + 1),
            "sent": 3_000 * (index + 1),
            "ok": 3_000 * (index + 1),
            "errors": {},
            "completed": sum(part),
            "histograms": {},
        }
        for index, part in enumerate(parts)
    ]
    client = client_report(
        phases=tuple(phases),
        per_100ms=sum(parts, ()),
        schedule=18_000,
        intended=18_000,
        completed_in_window=sum(map(sum, parts)),
        residence_s=18.0,
        window_end_ns=10_000_000_000,
    )
    words = {"kind": "open", "rates": ["1000/s", "2000/s", "3000/s"], "connections": 10, "window": "9 s"}
    return evidence(trial=Trial.model_validate({"load": words}), client=client)


def test_a_staircase_is_judged_step_by_step() -> None:
    sound = steady(staircase((200,) * 30))
    assert sound.passed is True, sound.detail
    assert "in every part" in sound.detail
    stalled = steady(staircase((200,) * 10 + (0,) * 8 + (366,) * 6 + (200,) * 6))
    assert stalled.passed is False
    assert "no answer came for 0.8 s of part 2 of the window" in stalled.detail
    late = steady(staircase((190, 191, 189, 190, 190) * 6))
    assert late.passed is False
    assert "the backlog grew by 300 requests over part 2" in late.detail


def test_a_ramp_is_excused_but_for_stalls() -> None:
    ramp = tuple(range(100, 200))
    words = {"kind": "open", "rates": ["1000/s", "2000/s"], "shape": "ramp", "connections": 10, "window": "10 s"}
    client = client_report(per_100ms=ramp, schedule=15_000, intended=15_000, completed_in_window=sum(ramp))
    judged = evidence(trial=Trial.model_validate({"load": words}), client=client)
    assert steady(judged).passed is None
    stalled = client.model_copy(update={"per_100ms": (*ramp[:50], *(0,) * 6, *ramp[56:])})
    assert steady(evidence(trial=judged.trial, client=stalled)).passed is False
