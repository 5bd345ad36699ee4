"""The answer in a sentence: what the numbers allow to be said, and not a word more."""

from collections import Counter
from dataclasses import dataclass

from harness.analysis.compare import SEARCHED, Against, Comparison, compare
from harness.analysis.statistics import MOST_REPEATS, RUNS_FOR_VERDICT, Estimate
from harness.analysis.study import Point, Study
from harness.report.advising import headline as scaling_headline
from harness.report.damage import list_sides
from harness.report.text import GAVE_OUT, amount, between, count, estimated, listed, place, times
from harness.spec.metrics import METRICS

MOST_NAMED = 4


@dataclass(frozen=True)
class Answer:
    """What the report opens with."""

    headline: str  # the answer in a sentence
    more: str  # a few further ones, shorter; may be empty
    findings: tuple[str, ...]  # a sentence for every place compared; may be empty


def make_answer(study: Study) -> Answer:
    """The answer of a run, from its numbers alone."""
    comparisons = compare(study)
    if not comparisons:
        return Answer(_nothing(study), "", ())
    single = all(not comparison.others and not comparison.empty for comparison in comparisons)
    if single and not any(comparison.outcome == "listed" for comparison in comparisons):
        headline, more = scaled if (scaled := scaling_headline(study)) else (_along(study, comparisons), "")
        return Answer(headline, more, ())
    findings = tuple(_sentence(study, comparison) for comparison in comparisons)
    first, *further = _headlines(comparisons)
    headline = f"{_everywhere(comparisons)} {findings[first]}".strip()
    said = comparisons[first].outcome
    more = " ".join(_sentence(study, comparisons[at], brief=comparisons[at].outcome == said) for at in further)
    return Answer(headline, more, findings if len(findings) > 1 else ())


def _nothing(study: Study) -> str:
    states = Counter(row.state for row in study.rows if row.state != "not needed")
    parts = [f"{n:,} {state}" for state, n in sorted(states.items())]
    ended = any(point.counted for point in study.points)
    why = "no trial answered a request" if ended else f"of {count(states.total(), 'trial')}: {', '.join(parts)}"
    return f"This run has no answer: {why}."


def _headlines(comparisons: tuple[Comparison, ...]) -> list[int]:
    """The far end of x in the first panel, its near end, and the far end of the second panel; what can be told apart first."""
    first = [at for at, comparison in enumerate(comparisons) if comparison.panel == comparisons[0].panel]
    chosen = [first[-1], *first[:1]] if len(first) > 1 else first
    if first[-1] + 1 < len(comparisons):
        panel = comparisons[first[-1] + 1].panel
        chosen.append(max(at for at, comparison in enumerate(comparisons) if comparison.panel == panel))
    return sorted(chosen, key=lambda at: comparisons[at].outcome not in ("wins", "leads"))


def _everywhere(comparisons: tuple[Comparison, ...]) -> str:
    leaders = {comparison.leader for comparison in comparisons}
    if len(comparisons) < 3 or len(leaders) > 1 or len({comparison.metric for comparison in comparisons}) > 1:
        return ""
    if not all(comparison.outcome == "wins" for comparison in comparisons):
        return ""
    return f"{leaders.pop()} has {_best(comparisons[0].metric)} at every one of the {len(comparisons)} places compared."


def _best(metric: str) -> str:
    if metric == "throughput_rps":
        return "the highest throughput"
    extreme = "highest" if METRICS[metric].better == "higher" else "lowest"
    return f"the {extreme} {_lower(METRICS[metric].title)}"


def _lower(title: str) -> str:
    return f"{title[:1].lower()}{title[1:]}"


def _sentence(study: Study, comparison: Comparison, brief: bool = False) -> str:
    """One place in a sentence; the brief form leaves out what the sentence before it has said already."""
    where = place(study.axes, comparison.panel, comparison.x)
    if comparison.outcome == "listed":
        return f"{f'At {where}: ' if where else ''}{list_sides(comparison)}{_empty(comparison)}{_doubted(comparison)}."
    start = f"At {where}, " if where else ""
    return f"{start}{_said(comparison, brief)}{_unended(comparison)}{_empty(comparison)}{_doubted(comparison)}."


def _said(comparison: Comparison, brief: bool) -> str:
    if comparison.estimate.at_least:
        return f"{METRICS[comparison.metric].title.partition(', ')[2]} is beyond the timeout on every side"
    limit = "" if brief else _limit(comparison.point)
    leader, value, ratios = comparison.leader, _value(comparison), _ratios(comparison)
    match comparison.outcome:
        case "alone":
            return f"{leader} is the only one to judge: {value}{limit}"
        case "tie":
            return _tie(comparison, brief)
        case "spread":
            chance = f" ({count(comparison.blocks, 'repeat')}: no interval below 3, so this may be chance)"
            extreme = "highest" if METRICS[comparison.metric].better == "higher" else "lowest"
            return f"{leader} was {extreme} with {value}, {ratios}{'' if brief else chance}"
        case "leads":
            return f"{leader} leads in these runs with {value}, {ratios}{'' if brief else _short(comparison)}{limit}"
        case _:
            return f"{leader} has {_best(comparison.metric)}: {value}, {ratios}{limit}"


def _short(comparison: Comparison) -> str:
    return f" ({count(comparison.blocks, 'repeat')}: no verdict below {RUNS_FOR_VERDICT})"


def _value(comparison: Comparison) -> str:
    text = value_in_words(comparison.metric, comparison.estimate, comparison.point.saturated)
    above = comparison.point.estimates["capacity_high_rps"] if comparison.metric == "capacity_rps" else None
    return f"{text} (and not {estimated('capacity_high_rps', above)})" if above is not None else text


def value_in_words(metric: str, found: Estimate, at_saturation: bool) -> str:
    """`8,710 requests/s [8,600–8,820]`."""
    inside = between(metric, found)
    if metric == "throughput_rps":
        text = amount(found.mean, "requests/s").replace("/s", " requests/s")
    else:
        saturated = " at saturation" if at_saturation and METRICS[metric].quantile_of else ""
        title = METRICS[metric].title
        name = title.rpartition(", ")[2] if METRICS[metric].quantile_of else _lower(title)
        text = f"{name}{saturated} {estimated(metric, found)}"
    return f"{text} [{inside}]" if inside else text


def _ratios(comparison: Comparison) -> str:
    """The nearest other side and the furthest; all of them where they are few."""
    others = [other for other in comparison.others if other.ratio is not None]
    named = others if len(others) < MOST_NAMED else [others[0], others[-1]]
    return listed([_ratio(other, full=at == 0) for at, other in enumerate(named)])


def _ratio(other: Against, full: bool) -> str:
    found = other.ratio
    if found is None:
        return other.side
    inside = f" [{times(found.low)}–{times(found.high)}]" if full and found.low and found.high else ""
    return f"{times(found.ratio)} × {other.side}'s{inside}"


def _tie(comparison: Comparison, brief: bool) -> str:
    level = comparison.level_with
    names = [comparison.leader, *(other.side for other in level)]
    text = f"{_names(names)} cannot be told apart ({_value(comparison)} for {comparison.leader}"
    text += f", {_ratio(level[0], full=True)}{'' if brief and not _barely(level) else _more(level, comparison.metric)})"
    behind = [other for other in comparison.others if other.ratio is not None and other not in level]
    if behind:
        text += f"; {_names([other.side for other in behind])} {'is' if len(behind) == 1 else 'are'} behind"
        text += f" ({comparison.leader} has {_ratio(behind[0], full=True)})"
        text += _short(comparison) if comparison.blocks < RUNS_FOR_VERDICT and not brief else ""
    return text


def _names(names: list[str]) -> str:
    return listed(names) if len(names) <= MOST_NAMED else f"{names[0]} and {len(names) - 1} others"


def _barely(level: tuple[Against, ...]) -> bool:
    """Whether the interval excludes 1, and only the A/A ratio keeps the nearest side level."""
    return level[0].ratio is not None and level[0].ratio.excludes_one


def _more(level: tuple[Against, ...], metric: str) -> str:
    nearest, bound = level[0].ratio, "A/A, or the resolution of the search" if metric in SEARCHED else "A/A"
    if nearest is None or nearest.low is None:
        return ""
    if 1 / nearest.bound <= nearest.ratio <= nearest.bound and nearest.bound > 1:
        return f"; two equal sides came as far apart in this run or further ({bound}), {times(nearest.bound)} ×"
    apart = f" (the interval would have to lie beyond {times(nearest.bound)}, {bound})" if nearest.excludes_one else ""
    needed = nearest.more_repeats
    about = f"about {count(needed, 'more repeat')}" if needed else f"more than {MOST_REPEATS:,} further repeats"
    return f"; {about} would settle a difference of this size{apart}"


def _empty(comparison: Comparison) -> str:
    beyond = [other.side for other in comparison.others if other.ratio is None]
    known = beyond and not comparison.estimate.at_least and comparison.outcome != "listed"
    text = f"; no ratio to {listed(beyond)}: a run there is beyond the timeout or zero" if known else ""
    if comparison.empty:
        text += f"; no figure for {listed(list(comparison.empty))}: no run counts, or one that does carries none"
    return text


def _limit(point: Point) -> str:
    if point.limited_by is None:
        return ""
    said = GAVE_OUT.get(point.limited_by, f"{point.limited_by} gave out first")
    of = "" if point.limited_runs == point.judged_runs else f" in {point.limited_runs} of {point.judged_runs} runs"
    return f"; {said}{of}"


def _unended(comparison: Comparison) -> str:
    """Whose growth went on to the end of the window: what they held is how far it came, and no wall of theirs."""
    if comparison.metric != "connections_held":
        return ""
    going = [side for side, point, _ in comparison.sides if not point.by_block("connections_at_failure")]
    of = f" of {listed(going)}" if any(going) else ""
    return (
        f"; no new connection{of} failed in the window, so that is how far the growth came, not where it ends"
        if going
        else ""
    )


def _doubted(comparison: Comparison) -> str:
    point = comparison.point
    marked, runs = point.states["marked"], count(len(point.counted), "run")
    whose = f"{comparison.leader}'s" if comparison.leader else "the"
    if marked and len(point.counted) == 1:
        return f"; {whose} only run is marked: see the doubts"
    return f"; {marked} of {whose} {runs} {'is' if marked == 1 else 'are'} marked: see the doubts" if marked else ""


def _along(study: Study, comparisons: tuple[Comparison, ...]) -> str:
    """One side only: where along x it does best and worst."""
    best = _ranked(comparisons)
    text = _one(study, best[0])
    if len(best) > 1 and best[0].metric == best[-1].metric:
        worst = best[-1]
        text += f" The other end is {value_in_words(worst.metric, worst.estimate, worst.point.saturated)}"
        text += f" at {place(study.axes, worst.panel, worst.x)}."
    runs = min(comparison.estimate.runs for comparison in comparisons)
    return text + (
        f" ({count(runs, 'repeat')}: no verdict below {RUNS_FOR_VERDICT}.)" if runs < RUNS_FOR_VERDICT else ""
    )


def _ranked(comparisons: tuple[Comparison, ...]) -> list[Comparison]:
    sign = -1 if METRICS[comparisons[0].metric].better == "higher" else 1
    return sorted(comparisons, key=lambda comparison: (comparison.estimate.at_least, sign * comparison.estimate.mean))


def _one(study: Study, comparison: Comparison) -> str:
    where = place(study.axes, comparison.panel, comparison.x)
    who = comparison.leader or comparison.point.rows[0].planned.trial.model_name
    verb = "does best, with" if where else "reaches"
    text = f"{f'At {where}, ' if where else ''}{who} {verb} {_value(comparison)}"
    p99 = comparison.point.estimates["response_p99_us"]
    if p99 is not None and comparison.metric != "response_p99_us":
        text += f" and a response time of {value_in_words('response_p99_us', p99, comparison.point.saturated)}"
    return f"{text}{_limit(comparison.point)}{_unended(comparison)}{_doubted(comparison)}."
