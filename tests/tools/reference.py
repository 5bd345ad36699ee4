"""Tables of the documentation, made of the types that they document."""

import itertools
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from harness.blocks import Blocks
from harness.conformance import CHECKS
from harness.hosts.settings import HostAudit
from harness.plan import Plan, PlannedTrial
from harness.result import TrialResult
from harness.spec.catalogue import load_models
from harness.spec.experiment import Experiment, LevelSet, Scalar
from harness.spec.foreign import ReadyImage, RunningServer
from harness.spec.inventory import Inventory, InventoryHost
from harness.spec.metrics import METRICS
from harness.spec.model import Difference, Model, Option
from harness.spec.quantities import Between, Duration, Quantity, Rate, Size

IMAGES = Path(__file__).resolve().parents[2] / "images"
Record = type[BaseModel]
_PLAIN = {int: "whole number", float: "number", str: "text", bool: "`true`, `false`", types.NoneType: "`null`"}


def spec_keys() -> str:
    """Every key of a spec: type, default, meaning."""
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for path, field in _fields(Experiment, ""):
        lines.append(_spec_row(path, field))
        if path == "base.model":
            lines += [_spec_row(f"{path}.{key}", field) for key, field in _server_fields().items()]
    lines += [_spec_row(f"factors.….{path}", field) for path, field in _fields(LevelSet, "")]
    return "\n".join(lines)


def inventory_keys() -> str:
    """Every key of an inventory: type, default, meaning."""
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for prefix, record in (("", Inventory), ("hosts.NAME.", InventoryHost)):
        lines += [_spec_row(path, field) for path, field in _fields(record, prefix)]
    return "\n".join(lines)


def model_keys() -> str:
    """Every key of a `model.yaml`."""
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for prefix, record in (("", Model), ("options.name.", Option), ("differs.check.", Difference)):
        lines += [_spec_row(path, field) for path, field in _fields(record, prefix)]
    return "\n".join(lines)


def models() -> str:
    """Every model of images/: its place on the two axes, and its options."""
    parts = []
    for name, model in load_models(IMAGES).items():
        axes = f"Connections: {model.axes.connections}. Requests: {model.axes.requests}."
        bound = " × ".join(f"`{option}`" for option in model.workers)
        held = "It serves any number of connections."
        if model.concurrency == "workers":
            at_once = (
                f"At once it serves {bound} connections" if bound else "How many it serves at once, its options say"
            )
            held = f"{at_once}; more wait."
        rows = [_option_row(key, option) for key, option in model.options.items()]
        parts.append("\n".join([f"### `{name}`: {model.title}", "", f"{axes} {held}", "", *rows]).rstrip())
    return "\n\n".join(parts)


def _option_row(name: str, option: Option) -> str:
    values = ", ".join(f"`{choice}`" for choice in option.choices) or option.type
    default = "true" if option.default is True else "false" if option.default is False else option.default
    return f"- `{name}` ({values}; default `{default}`): {option.says}"


def checks() -> str:
    """Every check of the conformance suite, under what each group is about."""
    parts = []
    for module, group in itertools.groupby(CHECKS, key=lambda check: check.run.__module__):
        rows = [f"| `{check.name}` | {check.says} |" for check in group]
        about = (sys.modules[module].__doc__ or "").strip()
        parts.append("\n".join([f"**{about}**", "", "| check | asks |", "|---|---|", *rows]))
    return "\n\n".join(parts)


def quantities() -> str:
    """The units of every kind of quantity."""
    kinds: tuple[type[Quantity], ...] = (Duration, Size, Rate)
    lines = ["| quantity | units | example |", "|---|---|---|"]
    for kind in kinds:
        units = ", ".join(f"`{unit}`" for unit in reversed(list(kind.units)))
        lines.append(f"| {kind.noun} | {units} | `{kind.example}` |")
    return "\n".join(lines)


def trial_record() -> str:
    """Every field of `trial.json`, record by record."""
    return "\n\n".join(_record_table(record) for record in _records(TrialResult, set()))


def plan_record() -> str:
    """Every field of `plan.json`."""
    return "\n\n".join(_record_table(record) for record in (Plan, PlannedTrial))


def blocks_record() -> str:
    """Every field of `blocks.json`."""
    return "\n\n".join(_record_table(record) for record in _records(Blocks, set()))


def audit_record() -> str:
    """Every field of `audit` in `environment.json`."""
    return "\n\n".join(_record_table(record) for record in _records(HostAudit, set()))


def metrics() -> str:
    """Every metric: name, unit, definition."""
    lines = ["| metric | unit | definition |", "|---|---|---|"]
    lines += [f"| `{metric.name}` | {metric.unit} | {_cell(metric.definition)} |" for metric in METRICS.values()]
    return "\n".join(lines)


def _server_fields() -> dict[str, FieldInfo]:
    """The keys of a `model` that is no folder of images/, those first that say which it is."""
    fields = {**RunningServer.model_fields, **ReadyImage.model_fields}
    return dict(sorted(fields.items(), key=lambda item: item[0] in ("ca", "insecure")))


def _fields(record: Record, prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in record.model_fields.items():
        yield prefix + name, field
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _fields(field.annotation, f"{prefix}{name}.")


def _spec_row(path: str, field: FieldInfo) -> str:
    return f"| `{path}` | {_type(field.annotation, field.metadata)} | {_default(field)} | {_cell(field.description)} |"


def _record_table(record: Record) -> str:
    lines = [f"### {record.__name__}", "", _first_sentence(record), "", "| field | value | meaning |", "|---|---|---|"]
    for name, field in record.model_fields.items():
        lines.append(f"| `{name}` | {_type(field.annotation, field.metadata)} | {_cell(field.description)} |")
    return "\n".join(lines)


def _records(record: Record, seen: set[Record]) -> Iterator[Record]:
    """The record and every record within it, but those of a spec, which docs/spec.md documents."""
    if record in seen or record.__module__.startswith("harness.spec."):
        return
    seen.add(record)
    yield record
    for field in record.model_fields.values():
        for inner in _inner(field.annotation):
            yield from _records(inner, seen)


def _inner(annotation: object) -> Iterator[Record]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _inner(argument)


def _type(annotation: Any, metadata: list[Any]) -> str:  # noqa: PLR0911 (any annotation; one answer a kind)
    """A type in words, as a cell of a table."""
    bounds = _bounds(metadata)
    origin = get_origin(annotation)
    if origin is Annotated:
        return _type(get_args(annotation)[0], [*get_args(annotation)[1:]])
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(annotation))
    if annotation == Scalar:
        return "single value"
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_type(member, []) for member in get_args(annotation))
    if origin is dict:
        key, value = get_args(annotation)
        return f"mapping of {_type(key, [])} to {_type(value, [])}"
    if origin in (list, tuple):
        return f"list of {_type(get_args(annotation)[0], [])}"
    if annotation in _PLAIN:
        return _PLAIN[annotation] + bounds
    if isinstance(annotation, type) and issubclass(annotation, Quantity):
        return annotation.noun.removeprefix("a ") + bounds
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (
            "mapping"
            if annotation.__module__.startswith("harness.spec.")
            else f"[{annotation.__name__}](#{annotation.__name__.lower()})"
        )
    return "any value"


def _bounds(metadata: list[Any]) -> str:
    low: object = None
    high: object = None
    for bound in metadata:
        if isinstance(bound, Between):
            low, high = bound.low, bound.high
        elif isinstance(bound, annotated_types.Ge):
            low = bound.ge
        elif isinstance(bound, annotated_types.Le):
            high = bound.le
        elif isinstance(bound, annotated_types.Lt):
            high = f"below {bound.lt}"
    if low is None and high is None:
        return ""
    return f", {low} …" + (f" {high}" if high is not None else "")


def _default(field: FieldInfo) -> str:
    default = field.default
    if default is PydanticUndefined:
        return "required"
    if isinstance(default, BaseModel):
        return ""
    if default is None or isinstance(default, bool):
        return {None: "`null`", True: "`true`", False: "`false`"}[default]
    if isinstance(default, tuple) and all(isinstance(entry, str) for entry in default):
        return f"`[{', '.join(default)}]`"
    return f"`{default}`"


def _first_sentence(record: Record) -> str:
    return " ".join((record.__doc__ or "").split("\n\n")[0].split())


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|").replace("\n", " ")
