"""Experiment to trials: pure, seeded, the same for the same spec."""

from typing import Literal

from pydantic import Field

from harness.spec.experiment import Experiment, Record, Trial


class PlannedTrial(Record):
    """One trial of the plan."""

    id: str = Field(
        description="Readable, stable, unique; a folder name: the point and the repeat (`model-ppc.connections-32.r1`)."
    )
    point: str = Field(description="The id without the repeat: what repeats are pooled under.")
    repeat: int = Field(ge=1, description="1 …")
    block: int = Field(ge=1, description="Each block holds every point once; equal to the repeat.")
    order: int = Field(ge=1, description="Place in the run's order: 1 …")
    factors: dict[str, str] = Field(description="Factor: label of its level.")
    trial: Trial = Field(description="The complete trial.")


class Plan(Record):
    """Every trial of an experiment, in the order in which they run."""

    format: Literal[1] = 1
    name: str = Field(description="Name of the experiment: the spec's file name without its ending.")
    experiment: Experiment
    factors: dict[str, tuple[str, ...]] = Field(description="Factor: labels of its levels, in the spec's order.")
    trials: tuple[PlannedTrial, ...]
