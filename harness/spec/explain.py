"""Pydantic's errors in a person's words, each at its line."""

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from harness.spec.experiment import TAGS as REPEATS_TAGS
from harness.spec.experiment import Experiment, Record
from harness.spec.foreign import TAGS as SERVER_TAGS
from harness.spec.node import Node
from harness.spec.paths import elsewhere
from harness.spec.problems import Problems, did_you_mean, listed, nearest, shown

Where = tuple[object, ...]

_EXPECTED = {  # pydantic's error type: what is wanted, what to do
    "int_type": ("a whole number", "write digits only, such as `64`"),
    "int_from_float": ("a whole number", "write digits only, such as `64`"),
    "float_type": ("a number", "write digits only, such as `0.5`"),
    "bool_type": ("`true` or `false`", "write one of them"),
    "string_type": ("text", "write a word, or quote it to make it text"),
    "model_type": ("a mapping", "write `{key: value}` or indented `key: value` lines"),
    "dict_type": ("a mapping", "write `{key: value}` or indented `key: value` lines"),
    "list_type": ("a list", "write `[…]` or one `- …` a line"),
    "tuple_type": ("a list", "write `[…]` or one `- …` a line"),
}
_TOO = {
    "greater_than_equal": ("too small", "ge", "at least"),
    "less_than_equal": ("too large", "le", "at most"),
    "less_than": ("too large", "lt", "less than"),
    "greater_than": ("too small", "gt", "more than"),
}


def explain(
    errors: Iterable[ErrorDetails], record: type[Record], node: Node, problems: Problems, prefix: Where = ()
) -> set[Where]:
    """Note what pydantic found wrong with `record` made of `node`; return the paths that are broken.

    Args:
        errors: pydantic's.
        record: the type that `node` was to become.
        node: the value with its lines.
        problems: takes them.
        prefix: the part of each error's path that lies above `node`, to be taken off.
    """
    broken: set[Where] = set()
    for error in errors:
        where = [part for part in error["loc"] if part not in (*SERVER_TAGS, *REPEATS_TAGS)]
        place, path = node.reach(where[len(prefix) :])
        if error["type"] == "missing":
            path = (*path, where[-1])
        if path in broken:  # the other members of a union say the same again
            continue
        broken.add(path)
        what, fix = _sentence(error, record, (*prefix, *path))
        problems.add(place.place, what, fix)
    return broken


def as_options(errors: Iterable[ErrorDetails], record: type[Record]) -> list[str]:
    """The same words for what came from the command line, each under the option that it is about."""
    told = [(error["loc"], _sentence(error, record, error["loc"])) for error in errors]
    return [f"--{dotted(path)}: {what}; {fix}" for path, (what, fix) in told]


def _sentence(error: ErrorDetails, record: type[Record], path: Where) -> tuple[str, str]:  # noqa: PLR0911 (one answer a kind)
    kind, context = error["type"], error.get("ctx", {})
    name = dotted(path) or "this"
    if kind == "extra_forbidden":
        return _unknown_key(record, path)
    if kind == "missing":
        return _missing(record, path[:-1], str(path[-1]))
    if kind == "literal_error":
        return _not_a_choice(name, error["input"], context["expected"])
    if kind in _TOO:
        size, key, bound = _TOO[kind]
        return f"`{name}` is {size} ({shown(error['input'])})", f"write a number that is {bound} {context[key]}"
    if kind in ("too_short", "string_too_short"):
        return f"`{name}` is empty", "write at least one, or remove the key"
    if kind == "string_too_long":
        return f"`{name}` is too long", f"write at most {context['max_length']} characters"
    if kind == "value_error":
        what, _, fix = str(context["error"]).partition("; ")
        return f"`{name}`: {what}", fix or "correct it"
    return _wrong_type(name, kind, error, path)


def _wrong_type(name: str, kind: str, error: ErrorDetails, path: Where) -> tuple[str, str]:
    value = error["input"]
    if len(path) >= 2 and path[-2] == "options":
        return f"`{name}` is {shown(value)}, not a single value", "write a number, a word, `true` or `false`"
    wanted, fix = _EXPECTED.get(kind, (error["msg"], "correct it"))
    if value is None:
        return f"`{name}` has no value", f"give it one ({wanted}), or remove the key"
    if kind in ("int_type", "bool_type") and _is_quoted(value, kind):
        return f'`{name}` is the text "{value}", not {wanted}', f"write it without quotes: `{value}`"
    if kind.startswith("int") and (digits := _digits(value)):
        fix = f"did you mean `{digits}`?"
    if kind == "string_type" and isinstance(value, bool | int | float):
        fix = f'quote it to make it text: "{str(value).lower()}"'
    if kind in ("list_type", "tuple_type") and not isinstance(value, dict):
        fix = f"write `[{str(value)[:40]}]`"
    return f"`{name}` is {shown(value)}, not {wanted}", fix


def _is_quoted(value: object, kind: str) -> bool:
    """Whether this text would be a right value if it were not quoted."""
    return isinstance(value, str) and bool(re.fullmatch(r"[0-9]{1,19}" if kind == "int_type" else "true|false", value))


def _digits(value: object) -> str | None:
    """The whole number meant by `1_000`, `1,000`, `64.0`, `4k` or `64 connections`."""
    match = re.fullmatch(r"\s*(\d[\d_,' ]*?)(?:\.0*)?\s*(k|[A-Za-z ]{2,})?\s*", str(value)[:40])
    if match is None:
        return None
    digits = re.sub(r"\D", "", match[1])
    return digits + "000" if match[2] == "k" else digits


def _unknown_key(record: type[Record], path: Where) -> tuple[str, str]:
    key, parent = str(path[-1]), path[:-1]
    known = list(fields_at(record, parent))
    what = f"unknown key {shown(key)}" + (f" in `{dotted(parent)}`" if parent else "")
    word, colon, _ = key.partition(":")
    if colon and word in known:
        return what, f"put a space after the colon: `{word}: {key[len(word) + 1 :].strip()}`"
    homes = elsewhere(key) if record is Experiment else []
    near = nearest(key, known)
    if homes and not (near and near not in ("base", "factors") and len(homes) > 1):
        return what, f"did you mean {' or '.join(f'`{home}`' for home in homes)}?"
    return what, f"did you mean `{near}`?" if near else f"known here: {listed(known)}"


def _missing(record: type[Record], path: Where, key: str) -> tuple[str, str]:
    where = f" in `{dotted(path)}`" if path else ""
    field = fields_at(record, path).get(key)
    meaning = f" ({field.description.rstrip('.')})" if field is not None and field.description else ""
    value = "1" if key == "version" else "…"
    return f"`{key}` is missing{where}", f"add `{key}: {value}`{meaning}"


def _not_a_choice(name: str, value: object, expected: str) -> tuple[str, str]:
    choices = re.findall(r"'([^']*)'", expected) or [expected]
    what = f"`{name}` is {shown(value)}, which is not one of {listed(choices)}"
    if len(choices) == 1:
        return f"`{name}` is {shown(value)}", f"write {listed(choices)}, all there is in this version"
    return what, did_you_mean(str(value), choices, f"write one of them: {listed(choices)}")


def fields_at(record: type[BaseModel], path: Sequence[object]) -> dict[str, Any]:
    """The fields of the record that lies at `path` within `record`, or of each that may; none where that is no record."""
    kind: Any = record
    for part in path:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            field = kind.model_fields.get(str(part))
            kind = field.annotation if field else None
        else:
            members = [member for member in get_args(kind) if member is not Ellipsis]  # of `tuple[X, ...]`
            kind = members[-1] if members and get_origin(kind) in (dict, list, tuple) else None
    if get_origin(kind) is Union:
        records = (get_args(member)[0] if get_origin(member) is Annotated else member for member in get_args(kind))
        return {name: field for one in records for name, field in fields_at(one, ()).items()}
    return dict(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else {}


def dotted(path: Iterable[object]) -> str:
    """A path for a sentence, with list indices left out: the line says which item."""
    return ".".join(str(part) for part in path if not isinstance(part, int))
