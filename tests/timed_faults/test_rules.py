"""Faults that a spec cannot have: each told at its line, with what to do."""

from pathlib import Path

import pytest

from harness.errors import SpecError
from harness.spec.experiment import Experiment
from harness.spec.load import load_experiment

ROOT = Path(__file__).resolve().parents[2]
HEAD = "version: 1\ntitle: Which?\nbase:\n"  # three lines; what follows starts in line 4
TWO = HEAD + "  servers: 2\n  balancer: haproxy-tcp\n"  # the same from line 6

BROKEN = [
    ("after the window", HEAD + "  faults:\n    - {at: 5 s, do: kill-server}\n", 5, "fault 1 of `faults`: it would come after the window"),
    ("of no server", TWO + "  faults:\n    - {at: 1 s, do: kill-server, server: 3}\n", 7, "fault 1 of `faults`: there is no such server"),
    ("the second of two", TWO + "  faults:\n    - {at: 1 s, do: kill-server}\n    - {at: 1 s, do: kill-server, server: 3}\n", 8, "fault 2 of `faults`: there is no such server"),
    ("delay without its length", HEAD + "  faults:\n    - {at: 1 s, do: delay}\n", 5, "`delay` goes with `do: delay`"),
    ("length without a delay", HEAD + "  faults:\n    - {at: 1 s, do: partition, delay: 1 ms}\n", 5, "`delay` goes with `do: delay`"),
    ("loss without a share", HEAD + "  faults:\n    - {at: 1 s, do: loss}\n", 5, "`share` goes with `do: loss`"),
    ("share of no loss", HEAD + "  faults:\n    - {at: 1 s, do: delay, delay: 1 ms, share: 0.1}\n", 5, "`share` goes with `do: loss`"),
    ("share of everything", HEAD + "  faults:\n    - {at: 1 s, do: loss, share: 1}\n", 5, "`base.faults.share` is too large"),
    ("a kill that ends", HEAD + "  model: prefork\n  faults:\n    - {at: 1 s, do: kill-worker, lasts: 1 s}\n", 6, "`lasts` has no effect"),
    ("a crash that ends", HEAD + "  model: prefork\n  faults:\n    - {at: 1 s, do: crash-handler, lasts: 1 s}\n", 6, "`lasts` has no effect"),
    ("two that meet", HEAD + "  faults:\n    - {at: 1 s, do: freeze-server, lasts: 1 s}\n    - {at: 1500 ms, do: kill-server}\n", 6, "fault 2 of `faults`: fault 1 of the same server is still in force then"),
    ("one that never ends", HEAD + "  faults:\n    - {at: 2 s, do: kill-server}\n    - {at: 1 s, do: freeze-server}\n", 5, "fault 1 of `faults`: fault 2 of the same server"),
    ("two at once", HEAD + "  faults:\n    - {at: 1 s, do: kill-server}\n    - {at: 1 s, do: freeze-server}\n", 6, "fault 2 of `faults`: fault 1 of the same server"),
    ("two of the network", HEAD + "  faults:\n    - {at: 1 s, do: partition}\n    - {at: 2 s, do: loss, share: 0.1}\n", 6, "fault 1 of the same server is still in force"),
    ("host frozen while it is cut off", HEAD + "  faults:\n    - {at: 1 s, do: partition, lasts: 2 s}\n    - {at: 2 s, do: freeze-host, lasts: 2 s}\n", 6, "fault 2 of `faults`: fault 1 of the same server is still in force then"),
    ("cut off while it is dead", HEAD + "  faults:\n    - {at: 2 s, do: partition}\n    - {at: 1 s, do: kill-host, lasts: 2 s}\n", 5, "fault 1 of `faults`: fault 2 of the same server is still in force then"),
    ("two kinds of request for a fault", HEAD + "  handler: {fault: leak}\n  faults:\n    - {at: 1 s, do: crash-handler}\n", 6, "`handler.fault` is another"),
    ("every request a crash", HEAD + "  request: {path: /-/fault}\n  faults: [{at: 1 s, do: crash-handler}]\n", 4, "every request would set the fault off"),
    ("no worker to spare", HEAD + "  model: prefork\n  options: {workers: 1}\n  faults: [{at: 1 s, do: crash-handler}]\n", 5, "has one worker here"),
    ("a crash of no handler of ours", HEAD + "  model: {image: 'acme/api:1', port: 80}\n  faults: [{at: 1 s, do: crash-handler}]\n", 4, "`crash-handler` of `faults` has no effect"),
    ("of what runs already", HEAD + "  model: {url: 'http://h'}\n  faults: [{at: 1 s, do: kill-server}]\n", 5, "is not broken on purpose"),
    ("in a search", HEAD + "  load: {kind: capacity, rate: 10/s}\n  slo: {p99: 50 ms}\n  faults: [{at: 1 s, do: kill-server}]\n", 4, "a search for capacity cannot have faults in it"),
    ("slip in what is done", HEAD + "  faults:\n    - {at: 1 s, do: kill-sever}\n", 5, "did you mean `kill-server`?"),
    ("no time", HEAD + "  faults:\n    - {do: kill-server}\n", 5, "`at` is missing"),
    ("as a level", HEAD + "  model: reactor\nfactors:\n  load.window: [4 s, 500 ms]\n  faults:\n    - label: none\n      set: {faults: []}\n    - label: kill\n      set: {faults: [{at: 1 s, do: kill-server}]}\n", 7, "it would come after the window"),
]  # fmt: skip

RIGHT = [
    "  faults: [{at: 1 s, do: freeze-server, lasts: 500 ms}, {at: 1500 ms, do: kill-server}]\n",
    "  model: prefork\n  faults: [{at: 1 s, do: kill-worker}, {at: 1 s, do: kill-worker}, {at: 2 s, do: freeze-server}]\n",
    "  servers: 2\n  balancer: direct\n  faults: [{at: 1 s, do: kill-server}, {at: 1 s, do: kill-server, server: 2}]\n",
    "  faults: [{at: 1 s, do: delay, delay: 5 ms}, {at: 2 s, do: kill-server, lasts: 1 s}]\n",
    "  model: {image: 'acme/api:1', port: 80}\n  faults: [{at: 1 s, do: freeze-server}]\n",
]


def load(folder: Path, text: str) -> Experiment:
    path = folder / "spec.yaml"
    path.write_text(text)
    return load_experiment(path, ROOT / "images")


@pytest.mark.parametrize(("text", "line", "words"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_a_fault_that_cannot_be_is_told_at_its_line(text: str, line: int, words: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load(tmp_path, text)
    (problem,) = caught.value.problems
    assert f"spec.yaml:{line}: " in problem
    assert words in problem


@pytest.mark.parametrize("text", RIGHT)
def test_faults_that_do_not_meet_may_follow_one_another(text: str, tmp_path: Path) -> None:
    assert load(tmp_path, HEAD + text).base.faults


def test_faults_are_a_factor_s_levels(tmp_path: Path) -> None:
    text = HEAD + (
        "  model: reactor\n"
        "factors:\n"
        "  faults:\n"
        "    - {label: nothing, set: {faults: []}}\n"
        "    - {label: kill, set: {faults: [{at: 1 s, do: kill-server, lasts: 1 s}]}}\n"
    )
    assert len(load(tmp_path, text).factors["faults"]) == 2
