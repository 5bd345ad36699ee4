"""A mix of requests, kind by kind: what each brought, a row for each kind of each point."""

from collections.abc import Iterator

from harness import readings
from harness.analysis.statistics import Estimate, estimate
from harness.analysis.study import Point, Study
from harness.histogram import percentile
from harness.raw import MixShare
from harness.report.sections import Section
from harness.report.tables import Cell, Column, Table, level_heads, levels
from harness.report.text import NOTHING, amount, between, estimated

TITLE = "Kind by kind"
NOTE = (
    "Each kind of request of the mix by itself, over the runs that count. Which kind is next is drawn by the weights, so its"
    " requests are a share of all by chance. The kinds go over the same connections: a slow one keeps the others waiting."
)
DEFINITIONS = (
    ("Kind", "Method and path; below, its share by the weights."),
    ("Requests", "Intended in the windows of all these runs."),
    ("Errors", "Of these, without a right answer in time."),
    ("p50", "Of its response times, mean over the runs. Printed where at least 10 requests of a run lie beyond it."),
    ("p99", "The same, 99th percentile."),
)
_PERCENTILES = (("response_p50_us", 50.0), ("response_p99_us", 99.0))


def kinds_section(study: Study) -> Section | None:
    """The table; None where no trial that counts has a mix."""
    rows = tuple(row for point in study.points for row in _rows(study, point))
    if not rows:
        return None
    heads = (Column("Kind"), *(Column(head, numeric=True) for head in ("Requests", "Errors", "p50", "p99")))
    return Section("kinds", "Kinds", TITLE, (NOTE,), Table((*level_heads(study), *heads), rows), DEFINITIONS)


def _rows(study: Study, point: Point) -> Iterator[tuple[Cell, ...]]:
    trial, seed = point.rows[0].planned.trial, study.run.plan.experiment.seed
    kinds = trial.request.kinds
    mixes = [row.result.client.mix for row in point.counted if row.result and row.result.client]
    runs = [mix for mix in mixes if len(mix) == len(kinds)]
    weights = sum(kind.weight for kind in kinds)
    for number, kind in enumerate(kinds if runs else ()):
        shares = [run[number] for run in runs]
        requests = sum(share.intended for share in shares)
        failed = sum(sum(share.errors.values()) for share in shares)
        found = ((metric, _estimate(shares, percent, seed, trial.load.timeout.us)) for metric, percent in _PERCENTILES)
        yield (
            *levels(study, point),
            Cell(f"{kind.method} {kind.path}", f"{kind.weight / weights:.1%}"),
            Cell(f"{requests:,}", "", f"{requests}", numeric=True),
            Cell(amount(failed / requests, "share") if requests else NOTHING, key=f"{failed}", numeric=True),
            *(_cell(metric, one) for metric, one in found),
        )


def _estimate(shares: list[MixShare], percent: float, seed: int, timeout_us: float) -> Estimate | None:
    """Over the runs; None as soon as one of them has too few requests."""
    values = [percentile(share.response, percent, readings.censored_among(share.errors)) for share in shares]
    known = [value / 1e3 for value in values if value is not None]
    return estimate(known, seed, timeout_us) if len(known) == len(values) else None


def _cell(metric: str, found: Estimate | None) -> Cell:
    if found is None:
        return Cell(NOTHING, key="", numeric=True)
    return Cell(estimated(metric, found), between(metric, found), f"{found.mean:.6g}", numeric=True)
