"""What is wrong with an input, collected so that all of it is told in one go."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn

from harness.errors import SpecError


@dataclass(frozen=True)
class Problem:
    """One mistake: where, what, and what to do about it."""

    file: str
    line: int | None  # None: the file as a whole, which could not be read
    what: str
    fix: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.what}; {self.fix}"


class Problems:
    """The mistakes found in one file and in the files it names."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._found: dict[Problem, None] = {}
        self._elsewhere: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._found) + len(self._elsewhere)

    def add(self, line: int | None, what: str, fix: str) -> None:
        """Note a mistake in this file."""
        self._found.setdefault(Problem(self.file, line, what, fix))

    def fail(self, line: int | None, what: str, fix: str) -> NoReturn:
        """Note a mistake after which nothing further can be checked, and tell all found so far.

        Raises:
            SpecError: always.
        """
        self.add(line, what, fix)
        raise SpecError(self.all())

    def include(self, error: SpecError) -> None:
        """Note the mistakes of a file that this one names."""
        self._elsewhere.update(dict.fromkeys(error.problems))

    def all(self) -> list[str]:
        """Every mistake: this file's from the top down, then those of other files."""
        own = sorted(self._found, key=lambda problem: problem.line or 0)
        return [*map(str, own), *self._elsewhere]

    def raise_if_any(self) -> None:
        """Tell them all.

        Raises:
            SpecError: there is at least one.
        """
        if len(self):
            raise SpecError(self.all())


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` is most likely a slip of."""
    by_folded = {_folded(name): name for name in known}
    found = difflib.get_close_matches(_folded(word), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str], otherwise: str) -> str:
    """A suggestion, or what to do when nothing is near."""
    near = nearest(word, known)
    return f"did you mean `{near}`?" if near else otherwise


def listed(names: Iterable[str]) -> str:
    """Names for a sentence: `a`, `b`, `c`."""
    return ", ".join(f"`{name}`" for name in names)


def shown(value: object, length: int = 60) -> str:
    """A value for a sentence, on one line and not too long."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = str(value)
    text = text if text.isprintable() else repr(text)
    return f"`{text if len(text) <= length else text[: length - 1] + '…'}`"


def _folded(word: str) -> str:
    return word.lower()[:80].replace("_", "").replace("-", "").replace(" ", "")
