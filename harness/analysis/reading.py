"""A run as it lies on the disk, read so that nothing that was planned can vanish.

A trial that never finished, or whose record cannot be read, becomes an `Absent` that the report names; only a
record written by a newer version stops the reading, because its numbers would be misread.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from harness.blocks import Blocks, not_needed
from harness.errors import ResultError, SpecError
from harness.plan import Plan, PlannedTrial
from harness.result import TrialResult
from harness.spec.document import read_document
from harness.spec.inventory import Inventory
from harness.spec.problems import Problems
from harness.store import read_blocks, read_environment, read_plan, read_trial

COUNTED = ("ok", "marked")
"""States of trials that enter means and comparisons; marked ones are named wherever they do."""

_FORMAT = TrialResult.model_fields["format"].default


@dataclass(frozen=True)
class Absent:
    """A planned trial without a readable record."""

    state: Literal["missing", "unreadable", "not needed"]
    reason: str


Found = TrialResult | Absent


@dataclass(frozen=True)
class Run:
    """What is stored of a run besides its trials."""

    id: str
    plan: Plan
    environment: dict[str, Any]
    spec_text: str
    strays: tuple[str, ...] = ()  # folders of trials that the plan does not hold
    blocks: Blocks = field(default_factory=Blocks)  # what was decided about further blocks
    damaged: str = ""  # why these decisions cannot be read
    inventory: Inventory | None = None  # the hosts it ran on; None: this machine, or it cannot be read


def read_run(folder: Path) -> Run:
    """Read a run, without its trials.

    Raises:
        ResultError: there is no readable plan.
    """
    plan, environment = read_plan(folder), _environment(folder)
    blocks, damaged = _blocks(folder)
    about = environment.get("run")
    stated = about.get("id") if isinstance(about, dict) else None
    return Run(
        id=str(stated or folder.resolve().name),
        plan=plan,
        environment=environment,
        spec_text=_spec_text(folder),
        strays=_strays(folder, {planned.id for planned in plan.trials}),
        blocks=blocks,
        damaged=damaged,
        inventory=_inventory(folder),
    )


def each_trial(folder: Path, plan: Plan, blocks: Blocks) -> Iterator[tuple[PlannedTrial, Found]]:
    """Every planned trial with what is stored of it, one at a time: histograms of a long run fill gigabytes.

    Raises:
        ResultError: a trial was stored by a newer version.
    """
    unneeded = not_needed(plan, blocks)
    for planned in plan.trials:
        yield planned, _read_trial(folder, planned, planned.id in unneeded)


def _read_trial(folder: Path, planned: PlannedTrial, unneeded: bool) -> Found:
    path = folder / "trials" / planned.id / "trial.json"
    if not path.is_file():
        begun = path.parent.is_dir()
        if unneeded:
            return Absent("not needed", "left out by the decision before its block")
        return Absent("missing", "it was begun and did not finish" if begun else "it was not run")
    try:
        trial = read_trial(path)
    except ResultError:
        _refuse_newer(path)
        return Absent("unreadable", "its trial.json is damaged; remove its folder and run with RESUME=1")
    if (trial.id, trial.point) != (planned.id, planned.point):
        return Absent("unreadable", f"its trial.json is that of another trial, {trial.id}")
    return trial


def _refuse_newer(path: Path) -> None:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return
    stored = content.get("format") if isinstance(content, dict) else None
    if isinstance(stored, int) and stored > _FORMAT:
        raise ResultError(
            f"{path}: written in format {stored}, and this version reads format {_FORMAT};"
            " make the report with the version that made the run, or a newer one"
        )


def _blocks(folder: Path) -> tuple[Blocks, str]:
    try:
        return read_blocks(folder), ""
    except ResultError:
        return Blocks(), "blocks.json is damaged, or of a newer format"


def _inventory(folder: Path) -> Inventory | None:
    """The hosts and their prices; nothing that a trial rests on, so a damaged file hinders no report."""
    path = folder / "inventory.yaml"
    if not path.is_file():
        return None
    try:
        plain = read_document(path, Problems(str(path)), "an inventory").plain()
        return Inventory.model_validate_json(
            json.dumps(plain)
        )  # a strict record takes a list for a tuple from JSON only
    except (SpecError, ValidationError):
        return None


def _environment(folder: Path) -> dict[str, Any]:
    try:
        content = read_environment(folder)
    except (OSError, ValueError):
        return {"unreadable": "environment.json is damaged"}
    return content if isinstance(content, dict) else {"unreadable": "environment.json is damaged"}


def _spec_text(folder: Path) -> str:
    try:
        return (folder / "spec.yaml").read_bytes().decode("utf-8", errors="replace")
    except OSError:
        return ""


def _strays(folder: Path, planned: set[str]) -> tuple[str, ...]:
    home = folder / "trials"
    if not home.is_dir():
        return ()
    return tuple(sorted(path.name for path in home.iterdir() if path.is_dir() and path.name not in planned))
