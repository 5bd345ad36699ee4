"""`harness new model`: what it makes runs in an experiment as it is, and not a line of the harness is touched."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import SpecError
from harness.new import Kind, new_model, what_next
from harness.spec.catalogue import load_model
from harness.stage import Places
from tests.new.conftest import ROOT, Run, Runtime

SPEC = """\
version: 1
title: Does what is new stand beside what was there?
base:
  load: {connections: 4, warmup: 50 ms, window: 500 ms, timeout: 10 s}
factors:
  model: [mine, reactor]
repeats: 1
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "runtime"),
    [
        ("python", "process"),
        pytest.param("python", "docker", marks=pytest.mark.docker),
        pytest.param("dockerfile", "docker", marks=pytest.mark.docker),
    ],
)
def test_a_new_model_runs_in_an_experiment_beside_the_others(
    places: Places, run: Run, kind: Kind, runtime: Runtime
) -> None:
    new_model("mine", kind, places.images)
    trials = {str(trial.trial.model): trial for trial in run(SPEC, runtime)}
    assert sorted(trials) == ["mine", "reactor"]
    for trial in trials.values():
        assert trial.state in ("ok", "marked", "invalid"), trial.reason
        assert trial.client is not None
        assert trial.client.ok > 0
        assert trial.client.errors == {}
        assert trial.usage["server"].cpu_user_s + trial.usage["server"].cpu_system_s > 0
        assert trial.notes == ()
    counts = next(check for check in trials["mine"].checks if check.name == "server-count")
    assert counts.passed is (True if kind == "python" else None), counts.detail


@pytest.mark.slow
@pytest.mark.docker
def test_a_program_with_a_port_of_its_own_runs_on_a_bridge_too(places: Places, run: Run) -> None:
    new_model("mine", "dockerfile", places.images)
    (trial,) = run(SPEC.replace("[mine, reactor]", "[mine]").replace("base:", "base:\n  network: bridge"), "docker")
    assert trial.state in ("ok", "marked", "invalid"), trial.reason
    assert trial.client is not None
    assert trial.client.ok > 0


@pytest.mark.parametrize("kind", ["python", "dockerfile"])
def test_a_new_folder_is_whole_named_throughout_and_documented_key_by_key(places: Places, kind: Kind) -> None:
    folder = new_model("my-server2", kind, places.images)
    texts = {path.name: path.read_text() for path in folder.iterdir()}
    assert {"model.yaml", "Dockerfile.j2"} < set(texts)
    assert [name for name, text in texts.items() if "@name@" in text] == []
    assert load_model(folder).title == "my-server2"
    assert "COPY my-server2 /srv/my-server2" in texts["Dockerfile.j2"]
    keys = [line.partition(":")[0] for line in texts["model.yaml"].splitlines() if line[:1].isalpha()]
    blocks = texts["model.yaml"].split("\n\n")
    assert len(keys) >= 6
    assert [block for block in blocks if not block.startswith("#")] == []
    assert list(places.images.glob(".*.new")) == []


def test_it_says_what_to_do_next(places: Places) -> None:
    lines = "\n".join(what_next(new_model("mine", "python", places.images), "python"))
    for words in ("harness serve mine", "harness verify mine", "model: mine", "docs/adding-a-server.md"):
        assert words in lines
    assert (ROOT / "docs" / "adding-a-server.md").is_file()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("reactor", "images/reactor is there already"),
        ("common", "images/common is there already"),
        ("Mine", "is no model's name"),
        ("../mine", "is no model's name"),
        ("", "is no model's name"),
        ("2fast", "is no model's name"),
        ("x" * 61, "is no model's name"),
    ],
)
def test_a_name_that_cannot_be_is_refused_and_leaves_nothing(places: Places, name: str, says: str) -> None:
    before = sorted(path.name for path in places.images.iterdir())
    with pytest.raises(SpecError, match=says):
        new_model(name, "python", places.images)
    assert sorted(path.name for path in places.images.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["model", "reactor"], "images/reactor is there already; choose another name"),
        (["model", "No Name"], "is no model's name"),
        (["model", "mine", "--kind", "rust"], "'rust' is not one of 'python', 'dockerfile'"),
        (["balancer", "mine"], "'balancer' is not one of 'model'"),
        (["model"], "NAME"),
    ],
)
def test_the_command_says_what_is_wrong_and_exits_2(arguments: list[str], says: str) -> None:
    command = [sys.executable, "-m", "harness", "new", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in " ".join(done.stderr.replace("│", "").split())
    assert "Traceback" not in done.stderr
    assert not (ROOT / "images" / "mine").exists()


PORT_ONLY = "title: T\naxes: {connections: c, requests: r}\ncontract: port\n"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("counts: exact\n", 4, "`counts` goes with `contract: full`"),
        ("counts: none\nentry: [server.py]\n", 5, "`entry` goes with `contract: full`"),
        ("counts: none\noptions: {n: {type: integer, default: 1, says: N.}}\n", 5, "`options` goes with `contract: full`"),
        ("counts: none\nstop: SIGKILL\n", 5, "`stop` is `SIGKILL`, which is not one of"),
    ],
)  # fmt: skip
def test_a_program_that_reads_no_configuration_can_promise_less(
    tmp_path: Path, text: str, line: int, says: str
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "server.py").write_text("")
    (folder / "model.yaml").write_text(PORT_ONLY + text)
    with pytest.raises(SpecError) as caught:
        load_model(folder)
    (problem,) = caught.value.problems
    assert f"model.yaml:{line}: " in problem
    assert says in problem
