"""From a spec to a report, by the command line: what is there afterwards, and what is refused."""

import json
from pathlib import Path

import pytest

from harness import store
from tests.run.conftest import SMALL, Command

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("runtime", ["process", pytest.param("docker", marks=pytest.mark.docker)])
def test_a_run_leaves_everything_that_the_documentation_lists(tmp_path: Path, harness: Command, runtime: str) -> None:
    spec, results = tmp_path / "with space" / "small.yaml", tmp_path / "results"
    spec.parent.mkdir()
    spec.write_text(SMALL)
    done = harness("run", spec, "--runtime", runtime, "--results", results)
    assert done.returncode == 0, done.stderr
    run = results / "small" / "latest"
    names = {str(path.relative_to(run)) for path in run.rglob("*")}
    assert {"spec.yaml", "plan.json", "environment.json", "journal.jsonl"} <= names
    assert {"report/index.html", "report/report.md", "report/trials.parquet", "report/summary.csv"} <= names
    trials = store.read_trials(run)
    assert [trial.order for trial in trials] == [1, 2, 3]
    for trial in trials:
        raw = {
            f"trials/{trial.id}/{name}" for name in ("clients/0.json", "probes/server.parquet", "probes/host.parquet")
        }
        assert raw <= names
        assert {f"trials/{trial.id}/logs/{role}.log" for role in ("server", "client", "probe")} <= names
        assert trial.state in ("ok", "marked", "invalid"), trial.reason
        counts = next(check for check in trial.checks if check.name == "server-count")
        assert counts.passed, counts.detail
        assert trial.notes == ()
    assert "report:" in done.stdout
    environment = json.loads((run / "environment.json").read_text())
    assert environment["runtime"]["name"] == runtime
    assert set(environment["images"]) >= {"ppc", "tpc", "reactor", "client", "probe"}


def test_a_report_made_again_is_the_same_bytes(tmp_path: Path, harness: Command) -> None:
    spec, results = tmp_path / "again.yaml", tmp_path / "results"
    spec.write_text(SMALL)
    assert harness("run", spec, "--runtime", "process", "--results", results).returncode == 0
    report = results / "again" / "latest" / "report"
    first = {path.relative_to(report): path.read_bytes() for path in report.rglob("*") if path.is_file()}
    assert harness("report", "again", "--results", results).returncode == 0
    assert {path.relative_to(report): path.read_bytes() for path in report.rglob("*") if path.is_file()} == first


def test_only_an_unfinished_run_of_the_same_experiment_is_resumed(tmp_path: Path, harness: Command) -> None:
    spec, results = tmp_path / "goes-on.yaml", tmp_path / "results"
    arguments = ("run", spec, "--runtime", "process", "--results", results, "--resume")
    spec.write_text(SMALL)
    assert harness(*arguments[:-1]).returncode == 0
    finished = harness(*arguments)
    assert (finished.returncode, finished.stderr.count("Traceback")) == (2, 0)
    assert "no unfinished run" in finished.stderr
    run = (results / "goes-on" / "latest").resolve()
    kept, lost, damaged = (store.record_path(run, trial.id) for trial in store.read_trials(run))
    lost.unlink()
    damaged.write_text("{")
    before = kept.read_bytes()
    spec.write_text(SMALL.replace("connections: 4", "connections: 5"))
    changed = harness(*arguments)
    assert (changed.returncode, changed.stderr.count("Traceback")) == (2, 0)
    assert "the spec" in changed.stderr
    spec.write_text(SMALL)
    damaged.unlink()
    assert harness(*arguments).returncode == 0
    assert kept.read_bytes() == before
    assert lost.is_file()
    assert damaged.is_file()
    assert store.runs_of(results, "goes-on") == [run]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("latest.yaml", "cannot name an experiment"),
        ("...yaml", "cannot name an experiment"),
        ("a b.yaml", "cannot name an experiment"),
        ("missing.yaml", "missing.yaml"),
    ],
)
def test_a_spec_that_cannot_be_run_is_one_line_and_leaves_nothing(
    tmp_path: Path, harness: Command, name: str, says: str
) -> None:
    if name != "missing.yaml":
        (tmp_path / name).write_text(SMALL)
    done = harness("run", tmp_path / name, "--runtime", "process", "--results", tmp_path / "results")
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("limits", "limits: {memory: 64 MiB}"), "limits.memory needs a container"),
        (("network", "network: bridge"), "network: bridge needs a container"),
        (("limits", "limits: {cores: 1024}"), "limits.cores"),
    ],
)
def test_what_this_environment_cannot_do_is_said_before_the_first_trial(
    tmp_path: Path, harness: Command, change: tuple[str, str], says: str
) -> None:
    spec = tmp_path / "too-much.yaml"
    spec.write_text(SMALL.replace("  model: reactor\n", f"  model: reactor\n  {change[1]}\n"))
    done = harness("run", spec, "--runtime", "process", "--results", tmp_path / "results")
    assert done.returncode == 3
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()


def test_retry_without_resume_is_refused(tmp_path: Path, harness: Command) -> None:
    (tmp_path / "x.yaml").write_text(SMALL)
    done = harness("run", tmp_path / "x.yaml", "--retry", "--results", tmp_path / "results")
    assert done.returncode == 2
    assert "--resume" in done.stderr
