"""`harness verify`: the conformance suite against one model, started as a trial would start it."""

import shutil
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from harness.conformance import CHECKS, FULL, SHORT, Bench, Outcome, State, held_at_most, run_checks
from harness.errors import SpecError
from harness.interrupt import Interruptible
from harness.runtime.base import make_owner
from harness.spec.catalogue import FILE, load_model
from harness.spec.document import read_document
from harness.spec.experiment import Scalar, Trial
from harness.spec.model import Difference, Model
from harness.spec.problems import Problems, did_you_mean, listed
from harness.spec.traffic import Load
from harness.spec.words import options_of
from harness.stage import Places, Wanted, set_stage
from harness.terminal import Display

_SHARED = ("base", "common")  # of images/: what a folder that lies elsewhere may build on


@dataclass(frozen=True)
class Verified:
    """All outcomes of one model."""

    model: str
    options: Mapping[str, Scalar]
    runtime: str
    short: bool
    outcomes: Sequence[Outcome]
    notes: Sequence[str]  # what went wrong in cleaning up

    @property
    def right(self) -> bool:
        """Whether no check failed."""
        return all(outcome.state != "failed" for outcome in self.outcomes)

    def count(self, state: str) -> int:
        """How many checks ended so."""
        return sum(outcome.state == state for outcome in self.outcomes)

    def as_json(self) -> dict[str, Any]:
        """For a script: plain values only."""
        checks = [
            {
                "name": outcome.check.name,
                "says": outcome.check.says,
                "state": outcome.state,
                "seconds": round(outcome.seconds, 3),
                "detail": outcome.detail,
            }
            for outcome in self.outcomes
        ]
        return {
            "model": self.model,
            "options": dict(self.options),
            "runtime": self.runtime,
            "short": self.short,
            "right": self.right,
            "checks": checks,
            "notes": list(self.notes),
        }


def verify_model(
    name: str,
    options: Sequence[str],
    wanted: Wanted,
    places: Places,
    display: Display,
    tell: Callable[[Outcome], None],
    *,
    short: bool = False,
) -> Verified:
    """Put a model to every check.

    Args:
        name: a folder of images/, or the path of a folder that holds a `model.yaml`.
        options: `K=V` each.
        wanted: the runtime.
        places: of the checkout.
        display: is told what is made ready.
        tell: is told each outcome as it comes.
        short: less of everything.

    Raises:
        SpecError: there is no such model, its `model.yaml` or an option is wrong.
        HarnessError: it cannot be run here, or does not answer at all.
    """
    with _images_with(name, places) as (images, folder), Interruptible("stopping"):
        model = load_model(images / folder)
        if model.protocol != "http":
            why = f"MODEL: {folder} speaks {model.protocol}, and what the conformance suite asks is HTTP"
            raise SpecError([why])
        values = _checked_options(folder, model, options)
        scale = SHORT if short else FULL
        trial = Trial(
            model=folder,
            options=values,
            load=Load(connections=held_at_most(scale)),
            network="host" if model.contract == "full" else "bridge",  # several run at once, each with the same port
        )
        owner = make_owner(f"verify-{folder}")
        there = replace(places, images=images)
        stage = set_stage([trial], {folder: model}, there, wanted, owner, display, tools=())
        outcomes: list[Outcome] = []
        try:
            bench = Bench(stage.runtime, model, trial, stage.cores(trial).server, scale)
            for outcome in run_checks(bench, differences(model, values)):
                outcomes.append(outcome)
                tell(outcome)
        finally:
            stage.close()
        return Verified(folder, values, stage.runtime.name, short, tuple(outcomes), tuple(bench.notes))


def line_of(outcome: Outcome) -> str:
    """An outcome for a person: what was asked where it went well, and the evidence below where it did not."""
    line = f"{outcome.state:16} {outcome.check.name:18} {outcome.seconds:5.1f} s  {outcome.check.says}"
    return line if outcome.state == "passed" else f"{line}\n{textwrap.indent(outcome.detail.strip(), ' ' * 8)}"


def summary_of(verified: Verified) -> str:
    """The last lines for a person."""
    counts = [f"{count} {state}" for state in get_args(State) if (count := verified.count(state))]
    options = "".join(f", {name}: {value}" for name, value in verified.options.items())
    seconds = sum(outcome.seconds for outcome in verified.outcomes)
    lines = [f"{verified.model}{options}: {', '.join(counts)}, in {seconds:.0f} s", *verified.notes]
    return "\n".join(lines)


def differences(model: Model, options: Mapping[str, Scalar]) -> dict[str, str]:
    """By check's name, why a model is meant to differ with these options.

    Raises:
        SpecError: `differs` names what is no check.
    """
    names = [check.name for check in CHECKS]
    entries = {
        name: entry if isinstance(entry, Difference) else Difference(reason=entry)
        for name, entry in model.differs.items()
    }
    fix = "see docs/conformance.md for their names"
    problems = [
        f"{FILE}: `differs`: there is no check {name!r}; {did_you_mean(name, names, fix)}"
        for name in entries
        if name not in names
    ] + [
        f"{FILE}: `differs`: {name}: there is no option {option!r}; {did_you_mean(option, model.options, 'name one of its own')}"
        for name, entry in entries.items()
        for option in entry.when
        if option not in model.options
    ]
    if problems:
        raise SpecError(problems)
    return {
        name: entry.reason
        for name, entry in entries.items()
        if all(options.get(option) == value for option, value in entry.when.items())
    }


def _checked_options(name: str, model: Model, words: Sequence[str]) -> dict[str, Scalar]:
    problems: list[str] = []
    values = options_of(name, model, words, problems)
    if problems:
        raise SpecError(problems)
    return values


@contextmanager
def _images_with(name: str, places: Places) -> Iterator[tuple[Path, str]]:
    """A folder of images that holds the named model, and the model's folder in it.

    A model of the checkout is used where it lies. One that lies elsewhere is copied into a temporary folder beside the
    checkout's `base` and `common` and whatever else it `uses`; what lies beside it goes before the checkout's.
    """
    if "/" not in name and (places.images / name / FILE).is_file():
        yield places.images, name
        return
    folder = Path(name).resolve()
    if not (folder / FILE).is_file():
        models = sorted(path.parent.name for path in places.images.glob(f"*/{FILE}"))
        fix = did_you_mean(name, models, f"write one of {listed(models)}, or the path of a folder with a {FILE}")
        raise SpecError([f"MODEL: there is no model {name!r}; {fix}"])
    if folder.parent == places.images.resolve():
        yield places.images, folder.name
        return
    with tempfile.TemporaryDirectory(prefix="ceiling-verify-") as temporary:
        images = Path(temporary)
        for used in {*_SHARED, *_uses(folder)} - {folder.name}:
            beside = folder.parent / used
            source = beside if beside.is_dir() and used != "base" else places.images / used
            if source.is_dir():
                shutil.copytree(source, images / used, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(folder, images / folder.name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        try:
            yield images, folder.name
        except SpecError as error:
            raise SpecError([line.replace(temporary, str(folder.parent)) for line in error.problems]) from None


def _uses(folder: Path) -> set[str]:
    """The folders that a `model.yaml` names as used, as far as they can be read; `load_model` says what is wrong."""
    path = folder / FILE
    plain = read_document(path, Problems(str(path)), "a model's description").plain()
    used = plain.get("uses") if isinstance(plain, dict) else None
    return (
        {word for word in used if isinstance(word, str) and word == Path(word).name}
        if isinstance(used, list)
        else set()
    )
