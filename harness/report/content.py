"""What both pages say in words beside charts and tables: facts, banners, environment."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

from harness.analysis.study import Study
from harness.report.doubts import DOUBTED
from harness.report.sureness import trust_banners
from harness.report.text import STATES as MEANING
from harness.report.text import count, number

PARTS = ("run", "host", "audit", "walls", "runtime", "images", "packages", "git", "calibration")
"""Parts of environment.json in the order in which they are shown; others follow."""

PROCESS_BANNER = "Measured as local processes, without containers."


@dataclass(frozen=True)
class Part:
    """One part of the environment, flattened to names and values."""

    title: str
    rows: tuple[tuple[str, str], ...]


def title_of(study: Study) -> str:
    """The question, as the spec asks it."""
    return study.run.plan.experiment.title


def facts(study: Study) -> str:
    """When, what and how much, in a line or two."""
    run = study.run
    parts = [f"Experiment {run.plan.name}, run {run.id}"]
    if study.started:
        parts.append(f"started {study.started}")
    unneeded = sum(row.state == "not needed" for row in study.rows)
    parts.append(f"{len(study.finished):,} of {count(len(study.rows) - unneeded, 'trial')} finished")
    if unneeded:
        parts[-1] += f" ({unneeded:,} more {'was' if unneeded == 1 else 'were'} not needed)"
    if study.runtimes:
        parts.append(f"runtime {' and '.join(study.runtimes)}")
    parts.append(f"seed {run.plan.experiment.seed}")
    return ", ".join(parts) + "." + _overhead(study)


def _overhead(study: Study) -> str:
    found = [row.values["overhead_s"] for row in study.rows if row.counted]
    known = [value for value in found if value is not None]
    return f" Median overhead per trial beyond warm-up and window: {number(median(known))} s." if known else ""


def banners(study: Study) -> list[str]:
    """What a reader must see before any number."""
    said = [PROCESS_BANNER] if "process" in study.runtimes else []
    if len(study.runtimes) > 1:
        said.append("This run mixes runtimes: some trials ran in containers, some as processes.")
    states = Counter(row.state for row in study.rows)
    odd = [f"{states[state]:,} {state}" for state in DOUBTED if states[state]]
    if odd:
        said.append(f"Of {count(len(study.rows) - states['not needed'], 'trial')}: {', '.join(odd)}. See the doubts.")
    return [*said, *trust_banners(study)]


def states_in_words(study: Study) -> str:
    """What the states that occur mean."""
    states = Counter(row.state for row in study.rows)
    return " ".join(f"{states[state]:,} {MEANING[state]}." for state in DOUBTED if states[state])


def environment(study: Study) -> list[Part]:
    """Every stored fact; keys this version does not know are shown like all others."""
    stored = study.run.environment
    names = [name for name in PARTS if name in stored] + sorted(name for name in stored if name not in PARTS)
    return [Part(name, tuple(_flat(stored[name], ""))) for name in names]


def _flat(value: Any, name: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any JSON
    if isinstance(value, dict) and value:
        for key in value:
            yield from _flat(value[key], f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for at, item in enumerate(value):
            yield from _flat(item, f"{name}[{at}]")
    else:
        yield name, _in_words(value)


def _in_words(value: Any) -> str:  # noqa: ANN401 - any JSON
    match value:
        case None:
            return "unknown"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(_in_words(item) for item in value) or "none"
        case dict():
            return "none"
        case _:
            return str(value)
