"""The points of an experiment: every combination of levels that is not excluded, as complete trials."""

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from harness.spec.experiment import Experiment, Record, Scalar, Trial
from harness.spec.foreign import Foreign
from harness.spec.levels import Level, Value, matching
from harness.spec.model import Model
from harness.spec.paths import HEADERS, OPTIONS

Point = tuple[Level, ...]  # one level of each factor, in the spec's order
Changed = TypeVar("Changed", bound=Record)
Defaults = Callable[[str | Foreign], Mapping[str, Scalar]]  # model: its options with their defaults


class Exclusions:
    """The combinations to leave out, arranged so that asking is cheap however many entries there are."""

    def __init__(self, factors: Sequence[str]) -> None:
        self._factors = list(factors)
        self._by_factors: dict[tuple[int, ...], set[tuple[str, ...]]] = {}

    def add(self, entry: Mapping[str, Level]) -> None:
        """Leave out every combination that has all of these levels."""
        indices = tuple(sorted(self._factors.index(factor) for factor in entry))
        labels = tuple(entry[self._factors[index]].label for index in indices)
        self._by_factors.setdefault(indices, set()).add(labels)

    def cover(self, entry: Mapping[str, Level]) -> bool:
        """Whether all that `entry` would leave out is left out already, by an equal or wider entry."""
        return any(
            all(self._factors[index] in entry for index in indices)
            and tuple(entry[self._factors[index]].label for index in indices) in labels
            for indices, labels in self._by_factors.items()
        )

    def __contains__(self, point: Point) -> bool:
        return any(
            tuple(point[index].label for index in indices) in labels for indices, labels in self._by_factors.items()
        )


def exclusions_of(experiment: Experiment, factors: Mapping[str, Sequence[Level]]) -> Exclusions:
    """The `exclude` of an experiment that has been checked."""
    exclusions = Exclusions(list(factors))
    for entry in experiment.exclude:
        levels = {factor: matching(factors[factor], factor, raw) for factor, raw in entry.items()}
        exclusions.add({factor: level for factor, level in levels.items() if level is not None})
    return exclusions


def points(factors: Mapping[str, Sequence[Level]], exclusions: Collection[Point] | Exclusions) -> Iterator[Point]:
    """Every combination that is not excluded, the last factor varying fastest; one, empty, without factors."""
    return (point for point in itertools.product(*factors.values()) if point not in exclusions)


def settings_of(point: Point) -> dict[str, Value]:
    """Everything that the levels of a point set together."""
    return {path: value for level in point for path, value in level.sets.items()}


def trial_at(base: Trial, settings: Mapping[str, Value], defaults: Defaults) -> Trial:
    """The complete trial: `base` with these changes; a change of `model` first resets the options.

    Args:
        base: a complete trial.
        settings: dotted path: typed value, checked before.
        defaults: tells a model's options.
    """
    trial = base
    options: dict[str, Any] = dict(defaults(model_in(settings, base)) if "model" in settings else base.options)
    headers: dict[str, Any] = dict(base.request.headers)
    for path, value in settings.items():
        if path.startswith(OPTIONS):
            options[path.removeprefix(OPTIONS)] = value
        elif path.startswith(HEADERS):
            headers[path.removeprefix(HEADERS)] = value
        else:
            trial = _changed(trial, path.split("."), value)
    if headers != base.request.headers:
        trial = _changed(trial, ["request", "headers"], headers)
    return trial.model_copy(update={"options": options})


def model_in(settings: Mapping[str, Value], base: Trial) -> str | Foreign:
    """The model that is in force with these settings."""
    return settings.get("model", base.model)  # type: ignore[return-value]  # a typed value of that path


def _changed(record: Changed, path: Sequence[str], value: object) -> Changed:
    """A copy of a record, however deep the key that changes."""
    key, *deeper = path
    return record.model_copy(update={key: _changed(getattr(record, key), deeper, value) if deeper else value})


def defaults_from(models: Mapping[str, Model]) -> Defaults:
    """Options with their defaults, looked up once a model; what is no folder of images/ has none."""
    known = {name: {key: option.default for key, option in model.options.items()} for name, model in models.items()}
    return lambda model: known[model] if isinstance(model, str) else {}
