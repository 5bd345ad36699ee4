"""How sure the differences are: the canary, outliers, and which repeats were made and why. In sentences."""

from collections.abc import Iterator
from math import exp, log

from harness.analysis.canary import Canary, Drift, canary
from harness.analysis.compare import SEARCHED, compare, places, ranks_nobody
from harness.analysis.outliers import FEWEST_RUNS, outliers
from harness.analysis.ranking import in_words
from harness.analysis.sequential import rule_for
from harness.analysis.study import Study
from harness.blocks import BlockDecision, OpenPair
from harness.plan import FEWEST_BLOCKS_WITH_CANARY
from harness.report.sections import Section
from harness.report.tables import Cell, Column, Table
from harness.report.text import amount, count, listed, number, place, times
from harness.spec.experiment import Repeats
from harness.spec.metrics import METRICS

TITLE = "How sure: A/A, drift, repeats, outliers"
COLUMNS = (Column("Trial"), Column("Value", True), Column("Median", True), Column("Score", True), Column("Seen then"))
DEFINITIONS = (
    ("Value", "Of the metric by which the sides are compared."),
    ("Median", "Of all runs of the same point."),
    ("Score", "0.6745 × (value − median) ÷ median absolute deviation."),
    ("Seen then", "Which of the trial's own checks failed; below, what the probe saw on the cores in its window."),
)
MOST_OUTLIERS = 50
MOST_PAIRS = 3


def sureness_section(study: Study) -> Section:
    """What bounds the differences of a run."""
    found = outliers(study)
    rows = tuple(
        (
            Cell(one.trial),
            Cell(amount(one.value, METRICS[one.metric].unit), METRICS[one.metric].title, f"{one.value:.6g}", True),
            Cell(amount(one.median, METRICS[one.metric].unit), key=f"{one.median:.6g}", numeric=True),
            Cell(f"{one.score:+.1f}", key=f"{one.score:.6g}", numeric=True),
            Cell(one.failed, one.seen),
        )
        for one in found[:MOST_OUTLIERS]
    )
    notes = (*_canary(study), *_repeats(study), _outliers(study, len(found)))
    return Section(
        "sure", "How sure", TITLE, notes, Table(COLUMNS, rows) if rows else None, DEFINITIONS if rows else ()
    )


def trust_banners(study: Study) -> Iterator[str]:
    """What has to be seen before any number: equal sides that came apart, repeats that time ended."""
    for found in canaries(study):
        if found.ratio is not None and found.ratio.excludes_one:
            yield f"Two equal sides came apart: the same point, measured twice in every block, differs by {_percent(found.bound)} in {_name(found.metric)} (A/A). {_chance()}"
    ended = study.run.blocks.ended
    if ended is not None and ended.ended == "budget":
        yield f"The time budget ended the repeats: {in_words(ended)}."


def _chance() -> str:
    return "In 1 run of 20 that is chance; else something besides the model makes trials differ here."


def drift_doubts(study: Study) -> Iterator[str]:
    """Where the canary moved by more than a difference that is claimed."""
    comparisons = compare(study)
    for found in canaries(study):
        claimed = [
            abs(log(other.ratio.ratio))
            for comparison in comparisons
            if comparison.metric == found.metric and comparison.outcome != "listed"
            for other in comparison.others
            if other.ratio is not None and other.behind(METRICS[found.metric].better)
        ]
        if claimed and found.drift is not None and log(found.drift.spread) > min(claimed):
            yield (
                f"The canary's {_name(found.metric)} moved by {_percent(log(found.drift.spread))} between blocks, and the smallest"
                f" difference claimed is {_percent(min(claimed))}: it rests on the sides being compared within each block."
            )


def canaries(study: Study) -> list[Canary]:
    """A/A by each metric that something is compared by."""
    metrics = dict.fromkeys(one.metric for one in compare(study) if not ranks_nobody(one.metric))
    return [found for metric in metrics if (found := canary(study, metric)) is not None]


def _canary(study: Study) -> Iterator[str]:
    experiment = study.run.plan.experiment
    if not study.canary:
        enough = len(study.points) > 1 and experiment.blocks >= FEWEST_BLOCKS_WITH_CANARY
        rule = f"that takes 2 points and {FEWEST_BLOCKS_WITH_CANARY} blocks"
        why = "the spec turns it off" if not experiment.canary else "the plan is older than that" if enough else rule
        yield f"No point was measured twice in a block (A/A): {why}. So nothing shows how far two equal sides come apart."
    found_by_metric = canaries(study)
    if study.canary and not found_by_metric:
        yield "A point was measured twice in every block (A/A), but nothing is compared here that it could bound."
    for found in found_by_metric:
        yield _apart(found)
        if found.drift is not None:
            yield _moved(found.metric, found.drift)


def _apart(found: Canary) -> str:
    name, point = _name(found.metric), found.point.id
    if found.ratio is None:
        return f"A/A: {point} was to be measured twice in every block, but no block holds two runs of it that count and can be compared in {name}; nothing bounds a difference."
    inside = f" [{times(found.ratio.low)}–{times(found.ratio.high)}]" if found.ratio.low and found.ratio.high else ""
    said = f"A/A: {point} was measured twice in each of {count(found.ratio.blocks, 'block')}. In {name} the second is {times(found.ratio.ratio)} × the first{inside}."
    if found.ratio.excludes_one:
        said += f" The interval excludes 1, though the two are equal. {_chance()}"
    return f"{said} A difference is claimed only where a ratio's interval lies wholly beyond that distance from 1, {_percent(found.bound)}{_grain(found.metric)}."


def _grain(metric: str) -> str:
    return ", and beyond the resolution of the search" if metric in SEARCHED else ""


def _moved(metric: str, drift: Drift) -> str:
    unit = METRICS[metric].unit
    said = f"Drift: over {count(drift.blocks, 'block')} the canary's {_name(metric)} lay between {amount(drift.least, unit)} and {amount(drift.most, unit)} ({_percent(log(drift.spread))})"
    if drift.trend is None or drift.low is None or drift.high is None:
        return f"{said}; a trend takes 5 blocks."
    if not drift.is_trend:
        return f"{said}, without a trend that would show among its ups and downs."
    way = "rose" if drift.trend > 1 else "fell"
    return f"{said}, and {way} from the first block to the last to {times(drift.trend)} × [{times(drift.low)}–{times(drift.high)}]."


def _outliers(study: Study, found: int) -> str:
    most = max((len(point.counted) for point in study.points), default=0)
    if most < FEWEST_RUNS:
        return f"No outliers are told: with fewer than {FEWEST_RUNS} runs of a point nothing tells one from the spread."
    rule = "a modified z-score beyond 3.5, by the median absolute deviation (Iglewicz and Hoaglin)"
    if not found:
        return f"No run lies far from the others of its point ({rule})."
    more = f" The first {MOST_OUTLIERS} are shown." if found > MOST_OUTLIERS else ""
    if found == 1:
        return f"1 run lies far from the others of its point: {rule}. It stays in every mean and every ratio."
    return (
        f"{found} runs lie far from the others of their point: {rule}. They stay in every mean and every ratio.{more}"
    )


def _repeats(study: Study) -> Iterator[str]:
    repeats, blocks = study.run.plan.experiment.repeats, study.run.blocks
    if study.run.damaged:
        yield f"{study.run.damaged}: what was decided about further blocks is not known."
    if not isinstance(repeats, Repeats):
        return
    budget = f" within {repeats.within}" if repeats.within else ""
    yield (
        f"Repeats until the sides are ranked: {repeats.min} blocks in any case, at most {repeats.max}{budget}. As the numbers are looked at"
        f" after every block, each look has to be surer than 95 %: a ratio's interval is at {_levels(study)}, so that all"
        " looks together rank equal sides in at most 5 of 100 runs."
    )
    for decision in blocks.decisions:
        yield _decision(study, decision)
    if not blocks.decisions:
        yield "Nothing was decided beyond that."
    elif blocks.ended is None and blocks.decisions[-1].block == repeats.max:
        yield f"Block {repeats.max} was the last that the spec allows."


def _levels(study: Study) -> str:
    experiment = study.run.plan.experiment
    sizes = sorted({len(points) for points in places(study).values()} - {1}) or [2]
    levels = {size: f"{100 * (1 - rule_for(experiment, size).alpha):.4g} %" for size in sizes}
    if len(levels) == 1:
        return f"{levels.popitem()[1]}"
    return listed([f"{level} where there are {size} sides" for size, level in levels.items()])


def _decision(study: Study, decision: BlockDecision) -> str:
    said = in_words(decision)
    named = [_pair(study, pair) for pair in decision.open[:MOST_PAIRS]]
    if more := decision.open[MOST_PAIRS:]:
        named.append(f"and {count(len(more), 'more pair')}")
    open_ = f" Open: {'; '.join(named)}." if named else ""
    return f"{said[:1].upper()}{said[1:]}.{open_}"


def _pair(study: Study, pair: OpenPair) -> str:
    points, axes = {point.id: point for point in study.points}, study.axes
    one, other = points.get(pair.one), points.get(pair.other)
    text = f"{pair.one} against {pair.other}"
    if one is not None and other is not None and axes.series:
        where = place(axes, axes.panel_of(one.factors), one.factors[axes.x] if axes.x else None)
        text = f"{axes.series_of(one.factors)} against {axes.series_of(other.factors)}{f' at {where}' if where else ''}"
    if pair.ratio is None or pair.low is None or pair.high is None:
        return f"{text} ({count(pair.blocks, 'block')} in common)"
    return f"{text}, {times(pair.ratio)} [{times(pair.low)}–{times(pair.high)}]"


def _name(metric: str) -> str:
    title = METRICS[metric].title
    return f"{title[:1].lower()}{title[1:]}"


def _percent(distance: float) -> str:
    """A distance on the natural logarithm, as a share."""
    return f"{number(100 * (exp(distance) - 1), 2)} %"
