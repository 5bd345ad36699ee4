"""From a file to a checked experiment: the door of this package."""

from copy import deepcopy
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.spec.catalogue import load_model, load_models
from harness.spec.combinations import Combinations, Shelf
from harness.spec.document import read_document
from harness.spec.experiment import Experiment, Trial
from harness.spec.explain import Where, explain
from harness.spec.factors import Factor, read_exclusions, read_factors, within_limit
from harness.spec.foreign import ReadyImage, RunningServer, certificates
from harness.spec.levels import levels_of
from harness.spec.model import Model
from harness.spec.node import Node
from harness.spec.points import trial_at
from harness.spec.problems import Problems

__all__ = ["load_experiment", "load_model", "load_models", "load_used_models"]


def load_experiment(path: Path, images: Path) -> Experiment:
    """The experiment that a YAML file describes, checked to the last combination.

    Its `base` is complete: every option of the base's model is there with its value.

    Args:
        path: the spec.
        images: the folder whose folders are the models.

    Raises:
        SpecError: it is wrong; all problems at once, each `file:line: what; what to do`.
    """
    problems = Problems(str(path))
    root = read_document(path, problems, "an experiment")
    experiment, broken = _read(root, problems)
    factors = read_factors(root.child("factors"), problems)
    exclusions = read_exclusions(root.child("exclude"), factors, problems)
    shelf = Shelf(images, problems)
    _find_models(experiment.base, root, factors, shelf)
    _check_certificates(experiment.base, root, factors, path.parent, problems)
    base = _with_options(experiment.base, root, shelf, problems)
    line = root.reach(("factors",))[0].place
    if within_limit(factors, experiment.blocks, line, problems):
        doubtful = {str(parts[1]) for parts in broken if parts[:1] == ("base",) and len(parts) > 1}
        if ("base",) in broken or not all(factor.levels for factor in factors):
            doubtful |= set(Trial.model_fields)
        readable = [factor for factor in factors if factor.levels]
        Combinations(base, readable, exclusions, shelf).check(doubtful, problems, root)
    problems.raise_if_any()
    return experiment.model_copy(update={"base": base})


def load_used_models(experiment: Experiment, images: Path) -> dict[str, Model]:
    """The models that a checked experiment measures, by folder name.

    Raises:
        SpecError: a `model.yaml` is wrong.
    """
    levels = (level for levels in levels_of(experiment).values() for level in levels)
    named = [experiment.base.model, *(level.sets["model"] for level in levels if "model" in level.sets)]
    return {name: load_model(images / name) for name in sorted({name for name in named if isinstance(name, str)})}


def _read(root: Node, problems: Problems) -> tuple[Experiment, set[Where]]:
    """The experiment, as far as it can be read, and the paths that cannot."""
    plain: Any = root.plain()
    try:
        return Experiment.model_validate(plain), set()
    except ValidationError as error:
        broken = explain(error.errors(), Experiment, root, problems)
    return _salvage(plain, broken), broken


def _salvage(plain: dict[str, Any], broken: set[Where]) -> Experiment:
    """What remains without the broken parts, so that the rest can be checked in the same go."""
    rest = {key: deepcopy(value) for key, value in plain.items() if key in ("base", "repeats")}
    for path in sorted({_up_to_a_whole(path) for path in broken}, key=len, reverse=True):
        holder: Any = rest
        for part in path[:-1]:
            holder = holder.get(part, {}) if isinstance(holder, dict) else {}
        if path and isinstance(holder, dict):
            holder.pop(path[-1], None)
    return Experiment.model_validate({**rest, "version": 1, "title": "unreadable"})


def _up_to_a_whole(path: Where) -> Where:
    """What no part can be missed of: a server, the mapping of `repeats`, and a list, whose other entries would change their numbers."""
    for whole in (("base", "model"), ("repeats",)):
        if path[: len(whole)] == whole:
            return whole
    return next((path[:i] for i, part in enumerate(path) if isinstance(part, int)), path)


def _find_models(base: Trial, root: Node, factors: list[Factor], shelf: Shelf) -> None:
    """Read every model of images/ that is named or in force."""
    node, reached = root.reach(("base", "model"))
    always_set = any(factor.levels and all("model" in level.sets for level in factor.levels) for factor in factors)
    if isinstance(base.model, str) and (len(reached) == 2 or base.options or not always_set):
        shelf.find(base.model, node.place)
    for factor in factors:
        for level in factor.levels:
            if isinstance(name := level.sets.get("model"), str):
                shelf.find(name, factor.lines[level.label]["model"])


def _check_certificates(base: Trial, root: Node, factors: list[Factor], folder: Path, problems: Problems) -> None:
    """See that every `ca` is a file of certificates."""
    named = [(base.model, root.reach(("base", "model", "ca"))[0].place)]
    named += [
        (model, factor.lines[level.label]["model"])
        for factor in factors
        for level in factor.levels
        if isinstance(model := level.sets.get("model"), ReadyImage | RunningServer)
    ]
    for model, line in named:
        if isinstance(model, ReadyImage | RunningServer) and model.ca is not None:
            try:
                certificates(folder / model.ca)
            except ValueError as error:
                problems.add(line, f"`ca`: {error}", "name a PEM file, relative to the spec")


def _with_options(base: Trial, root: Node, shelf: Shelf, problems: Problems) -> Trial:
    """The base with every option of its model."""
    for name, value in base.options.items():
        found = shelf.option_contradiction(base.model, f"options.{name}", value)
        if found:
            problems.add(root.reach(("base", "options", name))[0].place, found.what, found.fix)
    return trial_at(base, {"model": base.model, **{f"options.{k}": v for k, v in base.options.items()}}, shelf.defaults)
