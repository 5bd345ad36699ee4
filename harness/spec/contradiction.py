"""What a rule says when two keys of a trial exclude each other."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from harness.spec.experiment import Trial


@dataclass(frozen=True)
class Contradiction:
    """Keys whose values exclude each other. `what` names no values: it is told once for all combinations."""

    paths: tuple[str, ...]
    what: str
    fix: str


Rule = Callable[[Trial, Collection[str]], Contradiction | None]
"""Of a complete trial, and the dotted paths that factors set."""
