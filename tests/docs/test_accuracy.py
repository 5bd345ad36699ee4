"""docs/accuracy.md is what the stored run makes, whole and honest."""

import re
from functools import cache

import pytest

from tests.bench.accuracy import FOLDER, PAGE, STORED, page_of, plots_of, verdict_of
from tests.bench.gates.record import BenchRun, Line, Outcome, Row
from tests.bench.gates.table import GATES
from tests.bench.plots import digest, draw, specs_of
from tests.docs.test_neutral import findings


@cache
def stored() -> BenchRun:
    return BenchRun.model_validate_json(STORED.read_bytes())


def test_the_page_is_made_of_the_stored_run() -> None:
    assert PAGE.read_text() == page_of(stored()), "make it again: make accuracy"


def test_the_plots_are_made_of_the_stored_run_and_no_other_lie_beside_them() -> None:
    wanted = plots_of(stored())
    assert {path.name for path in FOLDER.glob("*.svg")} == set(wanted)
    assert [name for name, made_of in wanted.items() if made_of not in (FOLDER / name).read_text()] == []


def test_every_gate_is_in_the_stored_run_with_its_method_on_the_page() -> None:
    assert [result.name for result in stored().gates] == [gate.name for gate in GATES]
    page = PAGE.read_text()
    assert [gate.name for gate in GATES if " ".join(gate.method.split()) not in page] == []


def test_the_stored_run_names_no_place() -> None:
    text = STORED.read_text()
    assert findings(text) == []
    assert re.findall(r'"/(?:tmp|work|root|home|usr)/', text) == []


@pytest.mark.parametrize("outcome", ["missed", "not run"])
def test_a_gate_that_does_not_hold_stands_on_the_page_as_such(outcome: Outcome) -> None:
    row = Row(name="a value that does not hold", outcome=outcome, note="for a reason")
    first, *others = stored().gates
    page = page_of(stored().model_copy(update={"gates": (first.model_copy(update={"rows": (row,)}), *others)}))
    words = {"missed": "**missed**", "not run": "**not run**"}[outcome]
    assert f"| {words} | 0 of 1 |" in page
    assert f"| a value that does not hold |  |  |  | {words} | for a reason |" in page


def test_a_gate_that_is_not_in_the_run_is_named_as_not_run() -> None:
    first, *others = stored().gates
    page = page_of(stored().model_copy(update={"gates": tuple(others)}))
    title = next(gate.title for gate in GATES if gate.name == first.name)
    assert f"| {title} | **not run** | |" in page


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        (("pass", "published"), "pass"),
        (("pass", "missed"), "missed"),
        (("not run", "pass"), "not run"),
        (("missed", "not run"), "missed"),
        (("published",), "published"),
    ],
)
def test_a_gate_is_as_good_as_its_worst_row(outcomes: tuple[Outcome, ...], verdict: Outcome) -> None:
    assert verdict_of([Row(name="", outcome=outcome) for outcome in outcomes]) == verdict


def test_a_plot_that_changes_is_seen_by_its_digest() -> None:
    result = next(gate for gate in stored().gates if gate.name == "stall")
    moved = tuple(Line(name=line.name, x=line.x, y=tuple(y * 2 for y in line.y)) for line in result.lines)
    (before,), (after,) = (
        specs_of([result.model_copy(update={"lines": lines})]).values() for lines in (result.lines, moved)
    )
    assert digest(before) != digest(after)
    assert digest(after) in draw(after)


def test_a_plot_is_the_same_document_every_time() -> None:
    spec = next(iter(specs_of(stored().gates).values()))
    assert draw(spec) == draw(spec)
