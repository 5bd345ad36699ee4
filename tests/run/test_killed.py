"""SIGKILL at random moments: no finished trial is lost, no file is torn, and the next command leaves nothing behind."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import psutil
import pytest

from harness import store
from harness.blocks import decided
from harness.resume import is_finished
from harness.runtime.leftovers import MARK

ROOT = Path(__file__).resolve().parents[2]
SPEC = """\
version: 1
title: Does anything get lost?
base:
  load: {connections: 4, warmup: 50 ms, window: 150 ms}
factors:
  model: [ppc, tpc, reactor]
repeats: 2
"""
KILLS = {"process": 45, "docker": 5}
LONGEST_LIFE_S = {"process": 4.0, "docker": 9.0}  # about as long as the whole run takes: every stage gets its share


def command(spec: Path, results: Path, runtime: str, *more: str) -> list[str]:
    """`harness run` with its results apart."""
    return [sys.executable, "-m", "harness", "run", str(spec), "--runtime", runtime, "--results", str(results), *more]


def finished(results: Path) -> dict[Path, bytes]:
    """Every committed trial with its bytes."""
    return {path: path.read_bytes() for path in results.glob("*/2*/trials/*/trial.json")}


def torn(results: Path) -> list[Path]:
    """JSON files under their final names that do not read."""
    wrong = []
    for path in results.glob("*/2*/**/*.json"):
        try:
            json.loads(path.read_bytes())
        except ValueError:
            wrong.append(path)
    return wrong


def still_running(owners: Iterable[int]) -> list[psutil.Process]:
    """Processes of services that these harness processes started."""
    needles = [f".{pid}." for pid in owners]
    found = []
    for process in psutil.process_iter():
        try:
            mark = process.environ().get(MARK, "")
        except psutil.Error:
            continue
        if any(needle in mark for needle in needles):
            found.append(process)
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("runtime", ["process", pytest.param("docker", marks=pytest.mark.docker)])
def test_sigkill_at_any_time_loses_no_finished_trial(tmp_path: Path, runtime: str) -> None:
    spec, results = tmp_path / f"killed-{runtime}.yaml", tmp_path / "results"
    spec.write_text(SPEC)
    chance = random.Random(20260101)
    resume: list[str] = []
    kept, owners = 0, set()
    for _ in range(KILLS[runtime]):
        before = finished(results)
        victim = subprocess.Popen(
            command(spec, results, runtime, *resume), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        owners.add(victim.pid)
        time.sleep(chance.uniform(0.2, LONGEST_LIFE_S[runtime]))
        victim.send_signal(signal.SIGKILL)
        victim.wait(timeout=30)
        after = finished(results)
        assert before.items() <= after.items(), "a finished trial was lost or changed"
        assert torn(results) == []
        runs = store.runs_of(results, spec.stem)
        unfinished = bool(runs) and len(store.read_trials(runs[-1])) < len(store.read_plan(runs[-1]).trials)
        resume = ["--resume"] if unfinished else []
        kept = max(kept, len(after))
    assert kept > 0, "no trial ever finished: the kills came too early to show anything"
    last = subprocess.run(
        command(spec, results, runtime, *resume), cwd=ROOT, capture_output=True, text=True, timeout=180, check=False
    )
    assert last.returncode == 0, last.stderr
    assert finished(results).keys() >= before.keys()
    assert still_running(owners) == []
    if runtime == "docker":
        assert containers_of(spec.stem) == []


def containers_of(name: str) -> list[str]:
    """Containers of the runs of this spec, whatever became of their owners."""
    from harness.images import connect

    found = connect().containers.list(all=True, filters={"label": "ceiling.run"})
    return [str(one.name) for one in found if name in one.labels["ceiling.run"]]


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done_and_reports_it(tmp_path: Path) -> None:
    spec, results = tmp_path / "interrupted.yaml", tmp_path / "results"
    spec.write_text(SPEC.replace("repeats: 2", "repeats: 20"))
    victim = subprocess.Popen(
        command(spec, results, "process"), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    deadline = time.monotonic() + 60
    while len(finished(results)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    victim.send_signal(signal.SIGINT)
    output, _ = victim.communicate(timeout=60)
    assert victim.returncode == 130, output
    done = len(finished(results))
    assert 2 <= done < 60
    assert "report:" in output
    assert (results / "interrupted" / "latest" / "report" / "index.html").is_file()
    assert still_running([victim.pid]) == []


@pytest.mark.slow
def test_ctrl_c_twice_leaves_at_once_and_the_next_command_cleans_up(tmp_path: Path) -> None:
    spec, results = tmp_path / "twice.yaml", tmp_path / "results"
    spec.write_text(SPEC.replace("150 ms", "20 s"))
    victim = subprocess.Popen(
        command(spec, results, "process"), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    deadline = time.monotonic() + 60
    while not still_running([victim.pid]) and time.monotonic() < deadline:
        time.sleep(0.05)
    victim.send_signal(signal.SIGINT)
    os.kill(victim.pid, signal.SIGTERM)
    output, _ = victim.communicate(timeout=60)
    assert victim.returncode == 130, output
    spec.write_text(SPEC)
    subprocess.run(command(spec, results, "process"), cwd=ROOT, capture_output=True, timeout=120, check=True)
    assert still_running([victim.pid]) == []


RANKED = """\
version: 1
title: Does a decision change when its block is cut off?
base:
  load: {connections: 4, warmup: 50 ms, window: 150 ms}
factors:
  request.headers.X-Side: [one, other]
repeats: {min: 3, max: 5}
"""


@pytest.mark.slow
@pytest.mark.parametrize("later", [0.0, 2.5], ids=str)
def test_sigkill_in_a_further_block_leaves_its_decision_as_it_is(tmp_path: Path, later: float) -> None:
    spec, results = tmp_path / "ranked.yaml", tmp_path / "results"
    spec.write_text(RANKED)
    victim = subprocess.Popen(
        command(spec, results, "process"), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 90
    while not list(results.glob("*/2*/blocks.json")) and victim.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(later)
    victim.send_signal(signal.SIGKILL)
    victim.wait(timeout=30)
    [run] = store.runs_of(results, spec.stem)
    before, plan = store.read_blocks(run).decisions, store.read_plan(run)
    assert before, "no block beyond the least was decided about"
    if not is_finished(run):
        subprocess.run(
            command(spec, results, "process", "--resume"), cwd=ROOT, capture_output=True, timeout=120, check=True
        )
    after = store.read_blocks(run)
    assert after.decisions[: len(before)] == before
    assert is_finished(run)
    assert {trial.id for trial in store.read_trials(run)} == {planned.id for planned in decided(plan, after)}
    assert "canary.r3" in {trial.id for trial in store.read_trials(run)}
