"""Whether a load met what service is good enough, and by which numbers. Pure.

Three things are asked (docs/method.md, "Capacity"): the percentiles that the SLO names, from intended send times, the share of
requests without a right answer, and that no backlog grew. Each is put as a share of the requests: a p99 of at most 50 ms
says that at most 1 % of them may take longer. How much of what is allowed was used up tells how close a trial came.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness import readings
from harness.histogram import bounds_of, percentile
from harness.raw import ClientReport
from harness.spec.metrics import PERCENTILES
from harness.spec.traffic import Slo

BACKLOG = 0.01
"""Share of the window's requests by which the unanswered ones may grow in it: half of an overload of 2 %."""

BACKLOG_LEAST = 10.0
"""Requests by which they always may: so many come and go with chance."""

BEYOND = 10
"""Requests that must lie beyond a percentile (METHOD: 3)."""

REQUESTS_LEAST = 1_000
"""Requests of a window in which an overload of 2 % is more than `BACKLOG_LEAST`."""

_PERCENTS = dict(PERCENTILES)
_NEVER_ENDED = ("timeout", "connect-timeout", "unsent")  # all other errors have ended, and are no backlog


@dataclass(frozen=True)
class Assessment:
    """What came of one load, held against an SLO."""

    met: bool | None  # None: it cannot be told
    why: str  # by which numbers, in a sentence
    excess: float  # the largest part used up of what is allowed: 1 is at the limit; infinite: nothing was, and something came
    percentiles_us: Mapping[str, float | None]  # those of the SLO; None: not carried; infinite: beyond the timeout
    errors: float  # share of requests without a right answer in time


@dataclass(frozen=True)
class _Demand:
    """One of the things asked, and how it stands."""

    used: float  # of what is allowed
    said: str
    known: bool = True  # whether there were enough requests to tell

    @property
    def met(self) -> bool | None:
        """Whether it is; a failure may be known where success cannot be."""
        return (True if self.known else None) if self.used <= 1 else False


def assess(slo: Slo, client: ClientReport) -> Assessment:
    """Hold what a load client counted against an SLO.

    A percentile with fewer than 10 requests beyond it is never met: that cannot be told (`met` is None), unless more than
    10 requests, and more than its share of them, took longer than its limit.

    Args:
        slo: with at least one limit.
        client: what was counted, of an open load.
    """
    demands = [*_latencies(slo, client), _errors(slo, client), _backlog(client)]
    outcomes = [demand.met for demand in demands]
    met = False if False in outcomes else None if None in outcomes else True
    return Assessment(
        met=met,
        why="; ".join(demand.said for demand in demands if demand.met is met),
        excess=max(demand.used for demand in demands),
        percentiles_us={name: _percentile_us(name, client) for name in slo.latencies},
        errors=_error_share(client),
    )


def requests_needed(slo: Slo) -> int:
    """Requests that a window must hold so that all of an SLO can be told."""
    needed = [math.ceil(BEYOND / (1 - _PERCENTS[name] / 100) - 1e-6) for name in slo.latencies]
    if slo.errors is not None and slo.errors.fraction:
        needed.append(math.ceil(BEYOND / slo.errors.fraction))
    return max([REQUESTS_LEAST, *needed])


def fails_without_lag(slo: Slo, client: ClientReport) -> bool:
    """Whether a percentile of an SLO is missed even if the client's own delay is taken off every response time.

    Of any two delays, P(response - lag > limit) >= P(response > limit + x) - P(lag > x), for every x; here x is p99 of the lag.
    """
    lag_ns = percentile(client.histograms.get("send_lag", {}), 99.0)
    if lag_ns is None or math.isinf(lag_ns):
        return False
    for name, limit in slo.latencies.items():
        beyond, total = _beyond(client, limit.ns + lag_ns)
        if total and beyond / total > 1 - _PERCENTS[name] / 100 + 0.01:
            return True
    return False


def _beyond(client: ClientReport, limit_ns: float) -> tuple[int, int]:
    """Requests that took longer, those without an answer in time among them; and all that count."""
    counts, censored = client.histograms.get("response", {}), readings.censored("response", client)
    longer = sum(count for index, count in counts.items() if sum(bounds_of(index)) / 2 > limit_ns)
    return longer + censored, sum(counts.values()) + censored


def _latencies(slo: Slo, client: ClientReport) -> Iterator[_Demand]:
    for name, limit in slo.latencies.items():
        allowed = 1 - _PERCENTS[name] / 100
        beyond, total = _beyond(client, limit.ns)
        enough = total * allowed >= BEYOND - 1e-9
        used = beyond / (total * allowed) if total else math.inf
        value_us = _percentile_us(name, client)
        label = name.replace("_", ".")
        if value_us is None and (beyond <= BEYOND or used <= 1):
            needed = math.ceil(BEYOND / allowed - 1e-6)
            yield _Demand(min(used, 1.0), f"{label} needs {needed:,} requests, there were {total:,}", known=False)
            continue
        found = f"{beyond:,} of {total:,} beyond it" if value_us is None else _shown(value_us)
        yield _Demand(used, f"{label} {found}, at most {limit}", known=enough)


def _shown(value_us: float) -> str:
    if math.isinf(value_us):
        return "beyond the timeout"
    return f"{value_us / 1e3:.3g} ms" if value_us >= 1_000 else f"{value_us:.0f} us"


def _percentile_us(name: str, client: ClientReport) -> float | None:
    censored = readings.censored("response", client)
    value_ns = percentile(client.histograms.get("response", {}), _PERCENTS[name], censored, BEYOND)
    return None if value_ns is None else value_ns / 1e3


def _error_share(client: ClientReport) -> float:
    return sum(client.errors.values()) / client.intended if client.intended else 0.0


def _errors(slo: Slo, client: ClientReport) -> _Demand:
    allowed, share = slo.errors.fraction if slo.errors is not None else 0.0, _error_share(client)
    used = share / allowed if allowed else (math.inf if share else 0.0)
    return _Demand(used, f"errors {share:.3%}, at most {allowed:.3%}")


def _backlog(client: ClientReport) -> _Demand:
    """Requests that came and were not done with in the window: more of them than before say that the rate is too high."""
    ended = sum(count for kind, count in client.errors.items() if kind not in _NEVER_ENDED)
    growth = client.intended - client.completed_in_window - ended
    allowed = max(BACKLOG_LEAST, BACKLOG * client.intended)
    return _Demand(max(0.0, growth / allowed), f"the backlog grew by {growth:,} requests, at most {allowed:,.0f}")
