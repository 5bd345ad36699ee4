"""`python -m tests.bench.gates`: what it runs, stores and returns."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.bench.beside import NotMeasuredError
from tests.bench.gates import __main__ as command
from tests.bench.gates.bench import Bench, Gate, Measured
from tests.bench.gates.record import BenchRun, GateResult, Outcome, Row
from tests.bench.gates.table import GATES


def row(outcome: Outcome) -> Row:
    return Row(name="a value", outcome=outcome)


def gate(*outcomes: Outcome, needs: tuple[str, ...] = ()) -> Gate:
    return Gate("a-gate", "A gate", "How it is measured.", lambda _: Measured([row(each) for each in outcomes]), needs)


def breaking(error: Exception) -> Gate:
    def measure(_: Bench) -> Measured:
        raise error

    return Gate("a-gate", "A gate", "How it is measured.", measure, ())


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        (["pass", "published"], 0),
        (["published"], 0),
        (["pass", "missed"], 1),
        (["pass", "not run"], 3),
        (["missed", "not run"], 1),
    ],
)
def test_the_worst_row_is_the_status(outcomes: Sequence[Outcome], status: int) -> None:
    result = GateResult(name="a-gate", rows=tuple(map(row, outcomes)), seconds=0)
    assert command.status_of([result]) == status


def test_a_gate_without_its_tool_is_not_run_and_says_which() -> None:
    (only,) = command.run(gate("pass", needs=("no-such-tool-anywhere",)), Bench(0, 0)).rows
    assert (only.outcome, only.note) == ("not run", "not installed: no-such-tool-anywhere")


@pytest.mark.parametrize(
    "error", [NotMeasuredError("the machine stood still"), RuntimeError("the machine stood still")]
)
def test_a_gate_that_breaks_is_not_run_and_says_why(error: Exception) -> None:
    (only,) = command.run(breaking(error), Bench(0, 0)).rows
    assert only.outcome == "not run"
    assert "the machine stood still" in only.note


def test_what_is_stored_of_an_error_is_a_line_without_places() -> None:
    error = NotMeasuredError("the server of /somewhere/bench.json ended:\nTraceback")
    assert command.told(error) == "the server of … ended:"
    assert command.told(RuntimeError()) == ""


def test_an_unknown_gate_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        command.main(["no-such-gate"])
    assert stopped.value.code == 2
    assert "there are send-lag" in capsys.readouterr().err


def test_a_run_is_stored_with_the_host_and_the_tools(tmp_path: Path) -> None:
    status = command.main(["merge", "--json", str(tmp_path / "new" / "run.json")])
    run = BenchRun.model_validate_json((tmp_path / "new" / "run.json").read_bytes())
    assert status == 0
    assert [result.name for result in run.gates] == ["merge"]
    assert [each.outcome for each in run.gates[0].rows] == ["pass", "pass"]
    assert run.host["kernel"]["release"]
    assert set(run.tools) == {"nginx", "wrk", "h2load", "locust"}


def test_every_gate_has_a_name_of_its_own_and_tells_its_method() -> None:
    assert len({each.name for each in GATES}) == len(GATES) > 5
    assert all(each.method.strip() and each.title for each in GATES)
