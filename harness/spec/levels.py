"""The levels of a factor: what each sets, and what it is called."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.spec.experiment import Experiment, LevelSet, Scalar, Trial
from harness.spec.foreign import Foreign, ReadyImage, RunningServer
from harness.spec.paths import HEADERS, OPTIONS, nest
from harness.spec.quantities import Quantity

Value = Scalar | Quantity | Foreign

_AMOUNT = re.compile(r"([0-9.]+)(?: ([A-Za-z]+)|(/s))")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.]+|(?<![0-9])\.|\.(?![0-9])")


@dataclass(frozen=True)
class Level:
    """One level of a factor."""

    label: str
    sets: Mapping[str, Value]  # dotted path: typed value

    @property
    def slug(self) -> str:
        """The label as part of a folder's name: only letters, digits, `_`, `-`, and `.` within a number."""
        amount = _AMOUNT.fullmatch(self.label)
        if amount:
            return amount[1] + (amount[2] or "-per-s")
        slug = _UNSAFE.sub("-", self.label).strip("-")[:60]
        if re.fullmatch(r"[A-Za-z0-9_. -]+", self.label) and len(self.label) <= 60 and slug:
            return slug
        return f"{slug[:40]}-{digest(self.label)}".strip("-")


def digest(text: str) -> str:
    """Eight hexadecimal digits that stand for a text which a folder's name cannot hold."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def typed_value(path: str, raw: object) -> Value:
    """A raw value as the trial's key `path` holds it: `"5 s"` becomes a `Duration`, `{url: …}` a `RunningServer`.

    Raises:
        pydantic.ValidationError: the key cannot hold it; positions as in a partial trial.
    """
    trial = Trial.model_validate(nest(path, raw))
    if path.startswith(OPTIONS):
        return trial.options[path.removeprefix(OPTIONS)]
    if path.startswith(HEADERS):
        return trial.request.headers[path.removeprefix(HEADERS)]
    value: object = trial
    for part in path.split("."):
        value = getattr(value, part)
    return value  # type: ignore[return-value]  # every other leaf of a trial is one of them


def is_single_value(path: str, raw: object) -> bool:
    """Whether what stands as a level is a value of `path`, not a set of several keys."""
    return not isinstance(raw, dict) or (path == "model" and bool({"image", "url"} & set(raw)))


def make_level(path: str, raw: object) -> Level:
    """A level from what the spec says: a value of `path`, or `{label, set}`.

    Raises:
        pydantic.ValidationError: a value is wrong.
    """
    if not is_single_value(path, raw):
        chosen = LevelSet.model_validate(raw)
        return Level(chosen.label, {key: typed_value(key, value) for key, value in chosen.set.items()})
    value = typed_value(path, raw)
    return Level(label_of(value), {path: value})


def label_of(value: Value) -> str:
    """How a value is called in tables: `none`, `true`, `64`, `50 us`, `keep-alive`, `acme/api:1.2`."""
    if value is None:
        return "none"
    if isinstance(value, ReadyImage | RunningServer):
        return value.name
    return str(value).lower() if isinstance(value, bool) else str(value)


def levels_of(experiment: Experiment) -> dict[str, tuple[Level, ...]]:
    """Every factor's levels, of an experiment that has been checked."""
    return {factor: tuple(make_level(factor, raw) for raw in levels) for factor, levels in experiment.factors.items()}


def matching(levels: Sequence[Level], path: str, raw: object) -> Level | None:
    """The level that an `exclude` entry means: by its label, or by the value it sets."""
    for level in levels:
        if isinstance(raw, str) and raw == level.label:
            return level
    try:
        label = label_of(typed_value(path, raw))
    except ValueError:  # pydantic's is one
        return None
    return next((level for level in levels if level.label == label and path in level.sets), None)
