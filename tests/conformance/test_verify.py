"""`harness verify` as a person uses it: what it prints, which folders it takes, how it exits."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from harness.new import new_model

ROOT = Path(__file__).resolve().parents[2]
IGNORES_CLOSE = """\
import common.head
common.head._keep_alive = lambda options, http_1_0: not http_1_0 or b"keep-alive" in options
"""
RUN = "\nfrom tpc.server import main\nmain()\n"


def verify(*words: str, folder: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-P", "-m", "harness", "verify", *words],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A person's own model, far from the checkout, which builds on its `common`."""
    folder = tmp_path / "elsewhere" / "mine"
    shutil.copytree(ROOT / "images" / "tpc", folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def spoil(folder: Path, **changes: object) -> None:
    """Make a model ignore `Connection: close`, and change its model.yaml."""
    (folder / "server.py").write_text(IGNORES_CLOSE + RUN)
    model = yaml.safe_load((folder / "model.yaml").read_text())
    (folder / "model.yaml").write_text(yaml.safe_dump(model | {"uses": ["common", "tpc"]} | changes))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_right_server_is_a_line_per_check_and_exit_0(own: Path) -> None:
    done = verify(str(own), "--short", "--runtime", "process", "--option", "stats=lock")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("passed           answer")
    assert lines[-1].startswith("mine, ")
    assert "stats: lock: " in lines[-1]
    assert " failed" not in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_wrong_server_is_its_evidence_and_exit_1(own: Path) -> None:
    spoil(own)
    done = verify(own.name, "--short", "--runtime", "process", folder=own.parent)
    assert done.returncode == 1, done.stdout + done.stderr
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("failed")] == ["close"]
    assert "Connection: close is not said" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_difference_that_is_meant_is_not_a_failure_and_one_that_is_none_is_told(own: Path) -> None:
    when = {"reason": "of no use to us", "when": {"stats": "lock"}}
    spoil(own, differs={"close": "our clients never ask", "head": "so they say", "echo": when})
    done = verify(str(own), "--short", "--runtime", "process", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    states = {check["name"]: check["state"] for check in said["checks"]}
    assert (states["close"], states["head"], states["echo"]) == ("differs", "agrees after all", "passed")
    assert said["checks"][[check["name"] for check in said["checks"]].index("close")]["detail"].startswith(
        "our clients"
    )
    assert (said["model"], said["runtime"], said["short"], said["right"]) == ("mine", "process", True, True)
    assert "passed           answer" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "words", "code", "says"),
    [
        ({}, ("--option", "stats=of"), 2, "--option stats=of"),
        ({}, ("--option", "colour=red"), 2, "mine has no such option"),
        ({"differs": {"clsoe": "why not"}}, (), 2, "there is no check 'clsoe'; did you mean `close`?"),
        ({"differs": {"close": {"reason": "a", "when": {"b": 1}}}}, (), 2, "close: there is no option 'b'"),
        ({"differs": {"close": {"reason": ""}}}, (), 2, "elsewhere/mine/model.yaml:"),
        ({"uses": ["comon"]}, (), 2, "`uses`: there is no folder"),
        ({"entry": []}, (), 3, "no `entry`"),
    ],
)
def test_what_cannot_be_verified_is_said_in_a_line(
    own: Path, changes: dict[str, object], words: tuple[str, ...], code: int, says: str
) -> None:
    spoil(own, **changes)
    done = verify(str(own), "--runtime", "process", *words)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert "ceiling-verify" not in done.stderr


@pytest.mark.slow
def test_an_unknown_model_is_named_with_what_there_is() -> None:
    done = verify("reacter", "--runtime", "process")
    assert done.returncode == 2
    assert "did you mean `reactor`?" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("code", ["import sys; sys.exit('no luck')", "import time; time.sleep(60)"])
def test_a_server_that_does_not_start_is_exit_1_with_its_output(own: Path, code: str) -> None:
    (own / "server.py").write_text(code)
    done = verify(str(own), "--runtime", "process")
    assert done.returncode == 1
    assert "no luck" in done.stderr or "no answer" in done.stderr


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_program_that_knows_nothing_of_the_harness_is_asked_what_it_can_be_asked(tmp_path: Path) -> None:
    folder = new_model("foreign", "dockerfile", tmp_path)
    done = verify(str(folder), "--short", "--runtime", "docker", "--json")
    assert done.returncode == 1, "Python's own http.server is lax"
    states = {check["name"]: check["state"] for check in json.loads(done.stdout)["checks"]}
    asked = {"answer", "keep-alive", "split", "pipelined", "slow-writer", "idle", "open-and-close", "stop-status"}
    assert {states[name] for name in asked} == {"passed"}
    assert {states[name] for name in ("body", "echo", "slow-reader", "counts", "port-free")} == {"not applicable"}
    assert states["malformed"] == "failed"
