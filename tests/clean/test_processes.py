"""Services of plain processes go with their run; those of a live one stay."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from harness.clean import PROCESS, Cleaned, Wanted, clean_here, show
from harness.runtime.base import Owner, ServiceSpec, make_owner
from harness.runtime.leftovers import marked_processes
from harness.runtime.process import ProcessRuntime
from harness.stage import Places

ME = make_owner("live")


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """A checkout of its own, and no engine."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    folder = tmp_path / "images" / "waits"
    folder.mkdir(parents=True)
    (folder / "main.py").write_text("import time\ntime.sleep(600)\n")
    return Places.under(tmp_path)


@pytest.fixture
def dead(places: Places) -> Iterator[Path]:
    """The folder of a service that runs, and whose owner does not."""
    yield start(places, ME)
    ProcessRuntime(ME, places.images, places.state / "work").clean()


def start(places: Places, owner: Owner) -> Path:
    runtime = ProcessRuntime(owner, places.images, places.state / "work")
    runtime.start(ServiceSpec(name="s", role="tool", image="waits", config={}, cores=()))
    (folder,) = (places.state / "work").iterdir()
    record = replace(owner, pid=2**22 + 1).labels()
    (folder / "owner.json").write_text(json.dumps(record))
    return folder


def test_a_dead_runs_processes_and_folders_go(places: Places, dead: Path) -> None:
    assert marked_processes(dead.name)
    cleaned = clean_here(places, Wanted())
    assert cleaned.removed[PROCESS] == [dead.name]
    assert marked_processes(dead.name) == []
    assert not dead.exists()


def test_a_dry_run_leaves_them(places: Places, dead: Path) -> None:
    assert clean_here(places, Wanted(dry_run=True)).removed[PROCESS] == [dead.name]
    assert marked_processes(dead.name)
    assert dead.exists()


def test_a_live_runs_stay_unless_everything_is_to_go(places: Places, dead: Path) -> None:
    (dead / "owner.json").write_text(json.dumps(ME.labels()))
    cleaned = clean_here(places, Wanted())
    assert cleaned.removed[PROCESS] == []
    assert any("run live is live" in line for line in cleaned.left)
    assert clean_here(places, Wanted(everything=True)).removed[PROCESS] == [dead.name]


def test_without_an_engine_that_is_said_and_no_failure(places: Places) -> None:
    cleaned = clean_here(places, Wanted())
    assert cleaned.note.startswith("no engine: ")
    assert cleaned.failed == []


def test_what_was_removed_is_a_table_with_what_was_left_below() -> None:
    cleaned = [
        Cleaned("alpha", {"container": ["a", "b"]}, left=("container c: run r is live",)),
        Cleaned("beta", {}, failed=("beta: unreachable",)),
    ]
    page = io.StringIO()
    show(cleaned, Wanted(), Console(file=page, width=120))
    lines = page.getvalue().splitlines()
    assert lines[0].split() == ["removed", "containers", "networks", "volumes", "images", "processes"]
    assert [line.split() for line in lines[1:3]] == [
        ["alpha", "2", "0", "0", "0", "0"],
        ["beta", "0", "0", "0", "0", "0"],
    ]
    assert lines[3:] == ["alpha: left alone: container c: run r is live", "beta: unreachable"]
