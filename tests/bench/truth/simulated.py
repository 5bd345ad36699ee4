"""A server of known capacity on a simulated clock: one request at a time, each takes as long, arrivals by chance (M/D/1).

Everything is in units of the time that it takes for a request, so that a capacity only stretches the clock. A trial is held
against its limit as `harness/slo.py` does it: by the requests that took longer, and by the backlog that grew.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.capacity import Step
from harness.slo import BACKLOG, BACKLOG_LEAST, Assessment

ALLOWED = 0.01  # of the requests may take longer: a p99
WARMUP = 0.25  # of a window goes before it

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Simulated:
    """One such server.

    Attributes:
        capacity_rps: requests that it does in a second.
        limit_s: what the p99 of the response time may be.
    """

    capacity_rps: float
    limit_s: float

    def trial(self, step: Step, chance: np.random.Generator) -> Assessment:
        """What comes of one trial, from an idle server on."""
        used = float(self.used(step.rate_rps, step.window_s, 1, chance)[0])
        return Assessment(met=used <= 1, why="simulated", excess=used, percentiles_us={}, errors=0.0)

    def used(self, rate_rps: float, window_s: float, trials: int, chance: np.random.Generator) -> Floats:
        """How much of what is allowed each of some trials uses up."""
        warm_s = WARMUP * window_s
        count = math.ceil((warm_s + window_s) * rate_rps * 1.1 + 10 * math.sqrt(window_s * rate_rps) + 10)
        arrived = np.cumsum(chance.exponential(1 / rate_rps, (trials, count)), axis=1)
        done = _departures(arrived, 1 / self.capacity_rps)
        end_s = warm_s + window_s
        inside = (arrived >= warm_s) & (arrived < end_s)
        intended = np.count_nonzero(inside, axis=1)
        late = np.count_nonzero(inside & (done - arrived > self.limit_s), axis=1)
        completed = np.count_nonzero((done >= warm_s) & (done < end_s), axis=1)
        backlog = (intended - completed) / np.maximum(BACKLOG_LEAST, BACKLOG * intended)
        result: Floats = np.maximum(late / (ALLOWED * intended), backlog)
        return result

    def truth_rps(self, window_s: float, chance: np.random.Generator, trials: int = 500) -> float:
        """The rate at which half of so many windows of this length meet the limit, to a thousandth."""
        low, high = 0.5 * self.capacity_rps, 2 * self.capacity_rps
        while high / low > 1.0005:
            middle = math.sqrt(low * high)
            met = sum(self.used(middle, window_s, 1, chance)[0] <= 1 for _ in range(trials)) >= trials / 2
            low, high = (middle, high) if met else (low, middle)
        return math.sqrt(low * high)


def _departures(arrived: Floats, service_s: float) -> Floats:
    """When each request is done: a time of service after it came, or after the one before it was done."""
    work = service_s * np.arange(arrived.shape[1])
    done: Floats = np.maximum.accumulate(arrived - work, axis=1) + work + service_s
    return done
