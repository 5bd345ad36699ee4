"""Searches for capacity on a simulated clock: one server, first come first served, with requests and services drawn from a seed.

A step is assessed by what the real client would have reported of it. The capacity that the interval has to cover is found
without any search: the rate at which half of the windows of the confirmation's length meet the SLO, by simulating
thousands of them.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from harness.capacity import Ended, Search, Step
from harness.raw import ClientReport
from harness.slo import Assessment, assess, requests_needed
from harness.spec.traffic import Slo

WARMUP_S = 1.0
WINDOW_S = 5.0
CONFIRMATION_S = 30.0
RESOLUTION = 0.05
HICCUP_S = 0.3
TRUTH_WINDOWS = 600
_ACCURACY = 1.0005  # of a truth

Law = Literal["constant", "exponential"]


@dataclass(frozen=True)
class Queue:
    """A server and those who come to it."""

    name: str
    per_s: float  # services, one after the other
    service: Law
    arrivals: Law
    limit_ms: int  # of the SLO's p99
    hiccups: float = 0.01  # share of the trials in which nothing is served for a while

    @property
    def slo(self) -> Slo:
        """What service is good enough."""
        return Slo.model_validate({"p99": f"{self.limit_ms} ms"})


QUEUES = (
    Queue("D/D/1, 1,000/s, p99 of 50 ms", 1_000, "constant", "constant", 50),
    Queue("M/D/1, 1,000/s, p99 of 50 ms", 1_000, "constant", "exponential", 50),
    Queue("D/M/1, 1,000/s, p99 of 100 ms", 1_000, "exponential", "constant", 100),
    Queue("M/M/1, 1,000/s, p99 of 50 ms", 1_000, "exponential", "exponential", 50),
    Queue("M/M/1, 3,000/s, p99 of 50 ms", 3_000, "exponential", "exponential", 50),
)


@dataclass(frozen=True)
class Found:
    """What one search came to."""

    low_rps: float | None
    high_rps: float | None
    ended: Ended | None
    steps: int
    windows_s: float  # all of them together

    def covers(self, rate_rps: float) -> bool:
        """Whether a rate lies in the interval."""
        return self.low_rps is not None and self.high_rps is not None and self.low_rps <= rate_rps <= self.high_rps


def searches(queue: Queue, number: int, seed: int = 1) -> Iterator[Found]:
    """So many searches, each with its own chance and its own first rate, which every other takes for a good guess."""
    needed = requests_needed(queue.slo)
    for one in range(number):
        random = np.random.default_rng((seed, one))
        search = Search(
            start_rps=50 * 8 ** random.random(),
            resolution=RESOLUTION,
            window_s=WINDOW_S,
            confirmation_s=CONFIRMATION_S,
            requests=needed + 4 * round(needed**0.5),
            limit_s=queue.limit_ms / 1e3,
            guessed=one % 2 == 1,
        )
        steps, windows_s = 0, 0.0
        while (step := search.next()) is not None:
            search.tell(step, assessed(queue, step, random))
            steps, windows_s = steps + 1, windows_s + step.window_s
        yield Found(search.low_rps, search.high_rps, search.ended, steps, windows_s)


def truth(queue: Queue) -> float:
    """The queue's capacity, requests a second."""
    if queue.service == queue.arrivals == "constant":
        return queue.per_s
    random = np.random.default_rng(20_261_125)
    low, high = queue.per_s / 2, queue.per_s * 1.05
    while high / low > _ACCURACY:
        rate = (low * high) ** 0.5
        met = sum(_meets(queue, rate, random) for _ in range(TRUTH_WINDOWS))
        low, high = (rate, high) if met > TRUTH_WINDOWS / 2 else (low, rate)
    return math.sqrt(low * high)


def assessed(queue: Queue, step: Step, random: np.random.Generator) -> Assessment:
    """What comes of a step: the report that a client would have made, held against the SLO."""
    arrivals_s, done_s = simulate(queue, step.rate_rps, step.window_s, random, random.random() < queue.hiccups)
    return assess(queue.slo, _report(arrivals_s, done_s, step.window_s))


def simulate(
    queue: Queue, rate_rps: float, window_s: float, random: np.random.Generator, hiccup: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """When requests come and when they are done, from the start of an empty server's warm-up, seconds."""
    length_s = WARMUP_S + window_s
    if queue.arrivals == "constant":
        arrivals_s = np.arange(int(rate_rps * length_s)) / rate_rps
    else:
        gaps = random.exponential(1 / rate_rps, int(rate_rps * length_s * 1.2) + 100)
        arrivals_s = np.cumsum(gaps)
        arrivals_s = arrivals_s[arrivals_s < length_s]
    mean_s = 1 / queue.per_s
    constant = queue.service == "constant"
    services_s = np.full(arrivals_s.size, mean_s) if constant else random.exponential(mean_s, arrivals_s.size)
    if hiccup:
        services_s[random.integers(arrivals_s.size)] += HICCUP_S
    work_s = np.cumsum(services_s)  # Lindley: done = max over all before of (arrival + the work from it on)
    return arrivals_s, work_s + np.maximum.accumulate(arrivals_s - (work_s - services_s))


def _meets(queue: Queue, rate_rps: float, random: np.random.Generator) -> bool:
    arrivals_s, done_s = simulate(queue, rate_rps, CONFIRMATION_S, random)
    counted = arrivals_s >= WARMUP_S
    late = (done_s - arrivals_s)[counted] > queue.limit_ms / 1e3
    return bool(late.mean() <= 0.01)


def _report(arrivals_s: np.ndarray, done_s: np.ndarray, window_s: float) -> ClientReport:
    """The part of a client's report that an SLO is held against."""
    counted = arrivals_s >= WARMUP_S
    response_ns = np.rint((done_s - arrivals_s)[counted] * 1e9).astype(np.int64)
    completed = int(((done_s >= WARMUP_S) & (done_s < WARMUP_S + window_s)).sum())
    told: dict[str, Any] = {
        "window_end_ns": round(window_s * 1e9),
        "intended": int(counted.sum()),
        "ok": int(counted.sum()),
        "errors": {},
        "completed_in_window": completed,
        "histograms": {"response": _histogram(response_ns)},
    }
    return ClientReport.model_construct(**{**dict.fromkeys(ClientReport.model_fields, 0), **told})


def _histogram(values_ns: np.ndarray) -> dict[int, int]:
    """HdrHistogram's buckets (harness/histogram.py), many values at once."""
    bits = np.frexp(np.maximum(values_ns, 1).astype(float))[1]  # the bit length
    bucket = np.maximum(bits - 11, 0)
    index, counts = np.unique((bucket + 1) * 1_024 + (values_ns >> bucket) - 1_024, return_counts=True)
    return dict(zip(index.tolist(), counts.tolist(), strict=True))
