"""A window in parts: what each rate of a staircase, or each tenth of a ramp, brought."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness import readings
from harness.analysis.statistics import Estimate, estimate
from harness.histogram import percentiles
from harness.raw import ClientReport, Phase


@dataclass(frozen=True)
class Part:
    """One part of one run's window."""

    offered_rps: float  # intended in it, over its length
    throughput_rps: float
    errors: float  # share of those intended
    p50_us: float | None
    p99_us: float | None  # None: the sample cannot carry it; infinite: beyond the timeout
    send_lag_p99_us: float | None


@dataclass(frozen=True)
class PartEstimate:
    """The same part over the runs of a point."""

    offered_rps: float
    throughput_rps: Estimate | None
    errors: Estimate | None
    p50_us: Estimate | None
    p99_us: Estimate | None
    send_lag_p99_us: Estimate | None


def parts_of(client: ClientReport) -> tuple[Part, ...]:
    """Every part of a run's window, in order; none where there was one rate."""
    return tuple(_part(phase) for phase in client.phases)


def _part(phase: Phase) -> Part:
    length_s = (phase.to_ns - phase.from_ns) / 1e9
    censored = readings.censored_among(phase.errors)
    p50, p99 = percentiles(phase.histograms.get("response", {}), (50.0, 99.0), censored)
    (lag,) = percentiles(phase.histograms.get("send_lag", {}), (99.0,))
    return Part(
        offered_rps=phase.intended / length_s,
        throughput_rps=phase.completed / length_s,
        errors=sum(phase.errors.values()) / phase.intended if phase.intended else 0.0,
        p50_us=None if p50 is None else p50 / 1e3,
        p99_us=None if p99 is None else p99 / 1e3,
        send_lag_p99_us=None if lag is None else lag / 1e3,
    )


def estimate_parts(runs: Sequence[Sequence[Part]], seed: int, timeout_us: float) -> tuple[PartEstimate, ...]:
    """Part by part over the runs of a point, all of the same schedule.

    Args:
        runs: the parts of each run that counts.
        seed: the plan's, for the bootstrap.
        timeout_us: what a percentile beyond the timeout is known to exceed.
    """
    return tuple(_estimate(same, seed, timeout_us) for same in zip(*runs, strict=True))


def _estimate(runs: Sequence[Part], seed: int, timeout_us: float) -> PartEstimate:
    def over(values: Iterable[float | None]) -> Estimate | None:
        found = list(values)
        known = [value for value in found if value is not None]
        return estimate(known, seed, timeout_us) if len(known) == len(found) else None  # a run without it was slow

    return PartEstimate(
        offered_rps=sum(part.offered_rps for part in runs) / len(runs),
        throughput_rps=over(part.throughput_rps for part in runs),
        errors=over(part.errors for part in runs),
        p50_us=over(part.p50_us for part in runs),
        p99_us=over(part.p99_us for part in runs),
        send_lag_p99_us=over(part.send_lag_p99_us for part in runs),
    )
