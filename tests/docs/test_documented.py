"""Whatever a user can say or will find is in the documentation: read from the product itself, so nothing is forgotten."""

import ast
import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer
from pydantic import BaseModel

from harness import errors, store
from harness.cli import app
from harness.conformance import CHECKS
from harness.conformance import State as ConformanceState
from harness.result import Check, Culprit, State
from harness.spec.experiment import Experiment
from harness.spec.inventory import Inventory
from harness.spec.metrics import METRICS
from harness.spec.model import Model
from tests.docs.documents import ROOT, user_documentation

ARTEFACT = re.compile(r"[a-z_]+\.(json|jsonl|yaml|parquet|csv|md|html)")
WRITERS = ("store.py", "experiment.py", "stage.py", "report", "analysis")


def make_targets() -> list[str]:
    return re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


def make_variables() -> list[str]:
    found = re.search(r"^INPUTS := (.*)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert found is not None
    return found[1].split()


def verbs() -> dict[str, click.Command]:
    command = typer.main.get_command(app)
    return dict(getattr(command, "commands", {}))


def options() -> list[tuple[str, str]]:
    return [
        (verb, max(parameter.opts, key=len))
        for verb, command in verbs().items()
        for parameter in command.params
        if parameter.param_type_name == "option"
    ]


def spec_keys(record: type[BaseModel], seen: frozenset[type[BaseModel]] = frozenset()) -> Iterator[str]:
    """Every key of a record and of the records within it."""
    for name, field in record.model_fields.items():
        yield name
        for inner in _records(field.annotation):
            if inner not in seen:
                yield from spec_keys(inner, seen | {record})


def _records(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is not None:
        for argument in typing.get_args(annotation):
            yield from _records(argument)


def exit_codes() -> dict[str, int]:
    return {name: code for name, code in vars(errors).items() if name.startswith("EXIT_")}


def artefacts() -> set[str]:
    """Names of files that the harness writes into results/, as its modules spell them."""
    sources = [path for name in WRITERS for path in _sources(ROOT / "harness" / name)]
    nodes = (node for path in sources for node in ast.walk(ast.parse(path.read_text())))
    texts = (node.value for node in nodes if isinstance(node, ast.Constant))
    return {text for text in texts if isinstance(text, str) and ARTEFACT.fullmatch(text)}


def _sources(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


@pytest.mark.parametrize("target", make_targets())
def test_every_make_target(target: str) -> None:
    assert f"`make {target}" in user_documentation() or f"\nmake {target}" in user_documentation()


@pytest.mark.parametrize("variable", make_variables())
def test_every_variable_of_make(variable: str) -> None:
    assert f"`{variable}=" in user_documentation()


@pytest.mark.parametrize("verb", verbs())
def test_every_verb(verb: str) -> None:
    assert re.search(rf"\bharness {verb}\b", user_documentation())


@pytest.mark.parametrize(("verb", "option"), options())
def test_every_option_in_its_verbs_section(verb: str, option: str) -> None:
    page = (ROOT / "docs" / "commands.md").read_text()
    section = re.search(rf"^## `harness {verb}.*?(?=^## |\Z)", page, flags=re.MULTILINE | re.DOTALL)
    assert section is not None
    assert re.search(rf"`{option}\b", section[0])


@pytest.mark.parametrize("code", exit_codes().values(), ids=list(exit_codes()))
def test_every_exit_code(code: int) -> None:
    assert re.search(rf"^\| {code} \| ", user_documentation(), flags=re.MULTILINE)


@pytest.mark.parametrize("key", sorted(set(spec_keys(Experiment))))
def test_every_key_of_a_spec(key: str) -> None:
    assert re.search(rf"`([a-z_]+\.)*{key}`", (ROOT / "docs" / "spec.md").read_text())


@pytest.mark.parametrize("key", sorted(set(spec_keys(Model))))
def test_every_key_of_a_model(key: str) -> None:
    assert re.search(rf"`([a-z_]+\.)*{key}`", user_documentation())


@pytest.mark.parametrize("key", sorted(set(spec_keys(Inventory))))
def test_every_key_of_an_inventory(key: str) -> None:
    assert re.search(rf"`([A-Za-z_]+\.)*{key}`", (ROOT / "docs" / "hosts.md").read_text())


@pytest.mark.parametrize("name", sorted(artefacts()))
def test_every_file_of_the_results(name: str) -> None:
    assert name in (ROOT / "docs" / "results.md").read_text()


def test_every_folder_of_a_trial(tmp_path: Path) -> None:
    (tmp_path / "trials").mkdir()
    folders = [path.name for path in store.begin_trial(tmp_path, "point.r1").iterdir()]
    page = (ROOT / "docs" / "results.md").read_text()
    assert folders
    assert [name for name in folders if f"{name}/" not in page] == []


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric(metric: str) -> None:
    assert f"`{metric}`" in user_documentation()


@pytest.mark.parametrize("check", typing.get_args(Check.model_fields["name"].annotation))
def test_every_check(check: str) -> None:
    assert f"| `{check}` |" in (ROOT / "docs" / "method.md").read_text()


@pytest.mark.parametrize("check", [check.name for check in CHECKS])
def test_every_check_of_the_conformance_suite(check: str) -> None:
    assert f"| `{check}` |" in (ROOT / "docs" / "conformance.md").read_text()


@pytest.mark.parametrize("state", typing.get_args(ConformanceState))
def test_every_outcome_of_a_check_of_the_conformance_suite(state: str) -> None:
    assert f"\n| {state} |" in (ROOT / "docs" / "conformance.md").read_text()


@pytest.mark.parametrize("culprit", typing.get_args(Culprit))
def test_every_verdict(culprit: str) -> None:
    assert f"**{culprit}**" in (ROOT / "docs" / "method.md").read_text()


@pytest.mark.parametrize("state", typing.get_args(State))
def test_every_state_of_a_trial(state: str) -> None:
    assert re.search(rf"[`*]{state}[`*]", user_documentation())


def test_the_product_is_read_and_not_guessed() -> None:
    """The tests above would pass on empty lists."""
    assert {"run", "plan", "report", "serve", "load"} <= set(verbs())
    assert {"trial.json", "plan.json", "environment.json", "journal.jsonl"} <= artefacts()
    assert {"connections", "factors", "cpu"} <= set(spec_keys(Experiment))
    assert sorted(exit_codes().values()) == [0, 1, 2, 3, 130]
