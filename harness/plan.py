"""Experiment to trials: pure, seeded, the same for the same spec.

A trial's id depends on the names of the factors and on its own levels only, and its place within a block on the
seed, the block and its id: adding a level, an exclusion or a repeat changes neither the ids of the other trials
nor the order among them.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from pydantic import Field

from harness.spec.experiment import Experiment, Record, Trial
from harness.spec.levels import digest, levels_of
from harness.spec.model import Model
from harness.spec.paths import split
from harness.spec.points import Point, defaults_from, exclusions_of, points, settings_of, trial_at

CANARY = "canary"
"""The point of the canary's trials, which no combination of levels can be called."""

FEWEST_BLOCKS_WITH_CANARY = 3
MAX_POINT_LENGTH = 120  # of a file name's 255 bytes
EXPECTED_OVERHEAD_S = 1.5  # of a trial, until a run's own trials have shown theirs
SHORT_STEPS, LONG_STEPS = 12, 4
"""Of a search for capacity where chance plays no part; up to four times as many where it does."""


class PlannedTrial(Record):
    """One trial of the plan."""

    id: str = Field(
        description="Readable, stable, unique; a folder name: the point and the repeat (`model-ppc.connections-32.r1`)."
    )
    point: str = Field(description="The id without the repeat: what repeats are pooled under; `canary` of the canary.")
    repeat: int = Field(ge=1, description="1 …")
    block: int = Field(ge=1, description="Each block holds every point once, and the canary; equal to the repeat.")
    order: int = Field(ge=1, description="Place in the run's order: 1 …")
    factors: dict[str, str] = Field(description="Factor: label of its level.")
    canary: bool = Field(
        False,
        description="A second trial of the first point (A/A): it tells how far two equal sides come apart, and is no point of its own.",
    )
    trial: Trial = Field(description="The complete trial.")


class Plan(Record):
    """Every trial of an experiment, in the order in which they run."""

    format: Literal[1] = Field(1, description="Version of this record.")
    name: str = Field(description="Name of the experiment: the spec's file name without its ending.")
    experiment: Experiment = Field(description="The spec, its base completed.")
    factors: dict[str, tuple[str, ...]] = Field(description="Factor: labels of its levels, in the spec's order.")
    trials: tuple[PlannedTrial, ...] = Field(description="In the order in which they run.")


def make_plan(experiment: Experiment, name: str, models: Mapping[str, Model]) -> Plan:
    """Every trial of a checked experiment: blocks one after the other, each with every point once, shuffled.

    With `until: ranked` these are the blocks that may be run (harness/blocks.py). From 2 points and 3 blocks on each
    block has a canary, a second trial of the first point, if the spec does not turn it off.

    Args:
        experiment: from `load_experiment`.
        name: of the experiment.
        models: at least those that the experiment uses, by folder name.
    """
    factors = levels_of(experiment)
    defaults = defaults_from(models)
    names = short_names(list(factors))
    made = []
    for point in points(factors, exclusions_of(experiment, factors)):
        labels = {factor: level.label for factor, level in zip(factors, point, strict=True)}
        made.append((point_id(names, point), labels, trial_at(experiment.base, settings_of(point), defaults)))
    if experiment.canary and len(made) > 1 and experiment.blocks >= FEWEST_BLOCKS_WITH_CANARY:
        made.append((CANARY, *made[0][1:]))
    trials: list[PlannedTrial] = []
    for block in range(1, experiment.blocks + 1):
        for point_name, labels, trial in sorted(made, key=lambda one: _place(experiment.seed, block, one[0])):
            trials.append(
                PlannedTrial(
                    id=f"{point_name}.r{block}",
                    point=point_name,
                    repeat=block,
                    block=block,
                    order=len(trials) + 1,
                    factors=labels,
                    canary=point_name == CANARY,
                    trial=trial,
                )
            )
    labels_of = {factor: tuple(level.label for level in levels) for factor, levels in factors.items()}
    return Plan(name=name, experiment=experiment, factors=labels_of, trials=tuple(trials))


def estimate_s(trials: Iterable[Trial], overhead_s: float) -> float:
    """How long these trials take one after the other, seconds.

    Args:
        trials: complete trials.
        overhead_s: of each trial, beyond warm-up and window.
    """
    return sum(_loaded_s(trial) + overhead_s for trial in trials)


def _loaded_s(trial: Trial) -> float:
    """Warm-up and window of a trial; of a search, those of the steps that one usually takes, each with a client of its own."""
    load = trial.load
    if load.kind != "capacity":
        return load.warmup.s + load.window.s
    longest_s = max((limit.s for limit in trial.slo.latencies.values()), default=0.0)
    short_s = max(load.window.s, longest_s / (load.resolution.fraction / 2))
    each_s = load.warmup.s + EXPECTED_OVERHEAD_S
    return SHORT_STEPS * (each_s + short_s) + LONG_STEPS * (each_s + max(load.confirmation.s, short_s))


def point_id(names: Sequence[str], point: Point) -> str:
    """A point's name, safe as a folder's: `model-ppc.connections-32`; `base` where nothing is varied."""
    readable = ".".join(f"{name}-{level.slug}" for name, level in zip(names, point, strict=True)) or "base"
    if len(readable) <= MAX_POINT_LENGTH:
        return readable
    return f"{readable[: MAX_POINT_LENGTH - 9].rstrip('.-')}-{digest(readable)}"


def short_names(factors: Sequence[str]) -> list[str]:
    """The last part of each factor's path, or all of it where two share the last part."""
    last = [_safe(split(factor)[-1]) for factor in factors]
    return [
        short if last.count(short) == 1 and short[:1].isalpha() else _safe("-".join(split(factor)))
        for factor, short in zip(factors, last, strict=True)
    ]


def _safe(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in name)


def _place(seed: int, block: int, point: str) -> bytes:
    """A sort key that is random in the seed, and the same in every version of Python."""
    return hashlib.sha256(f"{seed}:{block}:{point}".encode()).digest()
