"""The keys of a trial as dotted paths: which there are, and what someone meant who wrote another."""

from collections.abc import Iterator
from typing import Any

from pydantic.fields import FieldInfo

from harness.spec.experiment import Experiment, Record, Trial
from harness.spec.problems import listed, nearest, shown

OPTIONS = "options."
HEADERS = "request.headers."


def leaves(record: type[Record], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key of a record that holds a value, as a dotted path, with its field."""
    for name, field in record.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, Record):
            yield from leaves(annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


LEAVES = dict(leaves(Trial))
SETTABLE = tuple(path for path in LEAVES if path not in ("options", "request.headers"))
"""What a factor can vary, beside `options.<name>` and `request.headers.<name>`."""

# What people call things elsewhere, and where that is here.
_MEANT = {
    "concurrency": "base.load.connections",
    "users": "base.load.connections",
    "vus": "base.load.connections",
    "duration": "base.load.window",
    "time": "base.load.window",
    "rps": "base.load.rate",
    "qps": "base.load.rate",
    "throughput": "base.load.rate",
    "rampup": "base.load.warmup",
    "keepalive": "base.load.lifetime",
    "url": "base.model",
    "payload": "base.request.body",
    "cpus": "base.limits.cores",
    "ram": "base.limits.memory",
    "mem": "base.limits.memory",
    "server": "base.model",
    "image": "base.model",
    "name": "title",
    "question": "title",
    "description": "title",
    "runs": "repeats",
    "iterations": "repeats",
    "repetitions": "repeats",
    "trials": "repeats",
    "matrix": "factors",
    "axes": "factors",
    "sweep": "factors",
    "vary": "factors",
    "skip": "exclude",
    "except": "exclude",
}


def is_settable(path: str) -> bool:
    """Whether a factor or a level may set this path."""
    for prefix in (OPTIONS, HEADERS):
        if path.startswith(prefix):
            return len(path) > len(prefix)
    return path in SETTABLE


def nest(path: str, value: object) -> dict[str, Any]:
    """A partial trial that sets one path."""
    parts = split(path)
    for part in reversed(parts):
        value = {part: value}
    return value  # type: ignore[return-value]  # a path has at least one part


def split(path: str) -> list[str]:
    """The parts of a path; a header's or option's name is one part whatever it holds."""
    for prefix in (OPTIONS, HEADERS):
        if path.startswith(prefix):
            return [*prefix[:-1].split("."), path[len(prefix) :]]
    return path.split(".")


def unknown_path(path: str) -> tuple[str, str]:
    """What is wrong with a path that is not settable, and what to do."""
    what = f"{shown(path)} is not a key that a factor can vary"
    inside = [known for known in SETTABLE if known.startswith(f"{path}.")]
    if path in ("options", "request.headers"):
        return what, f"name one of them, as in `{path}.NAME`"
    if inside:
        return what, f"name one of its keys: {listed(inside)}"
    without_base = path.removeprefix("base.").removeprefix("trial.")
    meant = _MEANT.get(_folded(without_base.rpartition(".")[2]), "").removeprefix("base.")
    same_end = [known for known in SETTABLE if _folded(known.rpartition(".")[2]) == _folded(without_base)]
    near = nearest(without_base, SETTABLE)
    if is_settable(without_base):
        return what, f"write it without `base.`: `{without_base}`"
    candidates = same_end or [known for known in (meant, near) if known in SETTABLE][:1] or _near_end(without_base)
    if candidates:
        return what, f"did you mean {' or '.join(f'`{known}`' for known in candidates)}?"
    return what, f"factors are the keys of `base`: {listed(SETTABLE)}, `options.NAME`, `request.headers.NAME`"


def elsewhere(key: str) -> list[str]:
    """Where in a spec a key of this name belongs, as paths from the top."""
    folded = _folded(key)
    paths = [f"base.{path}" for path in LEAVES] + [f"base.{section}" for section in Trial.model_fields]
    paths += list(Experiment.model_fields)
    found = [path for path in dict.fromkeys(paths) if _folded(path.rpartition(".")[2]) == folded]
    return found or ([_MEANT[folded]] if folded in _MEANT else [])


def _near_end(word: str) -> list[str]:
    ends = {known.rpartition(".")[2]: known for known in reversed(SETTABLE)}
    near = nearest(word.rpartition(".")[2], ends)
    return [ends[near]] if near else []


def _folded(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "").replace(" ", "")
