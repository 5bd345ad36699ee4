"""Schemas and reference pages are what the types make of them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from harness.plan import estimate_s, make_plan
from harness.spec.contract import ClientConfig, ProbeConfig, ServerConfig
from harness.spec.experiment import Record
from harness.spec.load import load_experiment, load_models
from harness.spec.schema import experiment_schema, schema_of
from tests.tools.regenerate import CONTRACT, ROOT, generated

SPECS = sorted((ROOT / "experiments").rglob("*.yaml"))
SPECS = [path for path in SPECS if "hosts" not in path.parts]


@pytest.mark.parametrize("name", ["experiments/schema.json", "docs/spec.md", "docs/results.md", *(f"docs/contract/{name}.schema.json" for name in CONTRACT)])  # fmt: skip
def test_a_generated_file_is_fresh(name: str) -> None:
    assert (ROOT / name).read_text() == generated()[name], "run `make schema`"


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.name)
def test_every_experiment_loads_and_plans(path: Path) -> None:
    models = load_models(ROOT / "images")
    assert make_plan(load_experiment(path, ROOT / "images"), path.stem, models).trials


def _plain(path: Path) -> object:
    class Loader(yaml.SafeLoader):
        """Reads as editors do: YAML 1.2 has no `off`."""

    Loader.yaml_implicit_resolvers = {
        key: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":bool") or key in "tf"]
        for key, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return yaml.load(path.read_text(), Loader)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.name)
def test_an_editor_finds_nothing_wrong_in_an_experiment_and_knows_its_schema(path: Path) -> None:
    jsonschema.Draft7Validator(experiment_schema()).validate(_plain(path))
    schema = path.read_text().splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / schema).resolve() == ROOT / "experiments" / "schema.json"


WRONG: list[dict[str, Any]] = [
    {"base": {"load": {"conections": 1}}},
    {"base": {"load": {"kind": "opne"}}},
    {"base": {"load": {"window": 5}}},
    {"base": {"load": {"window": "5 sec"}}},
    {"factors": {"load.connections": ["many"]}},
    {"factors": {"load.connections": []}},
    {"factors": {"connections": [1]}},
    {"factors": {"model": [{"label": "x"}]}},
    {"factors": {"model": [{"label": "x", "set": {"load.widow": "1 s"}}]}},
    {"exclude": [{"connections": 1}]},
    {"repeats": 0},
]


@pytest.mark.parametrize("part", WRONG, ids=str)
def test_an_editor_underlines_what_the_loader_refuses(part: dict[str, Any]) -> None:
    validator = jsonschema.Draft7Validator(experiment_schema())
    assert validator.is_valid({"version": 1, "title": "Which?"})
    assert not validator.is_valid({"version": 1, "title": "Which?", **part})


def test_defaults_are_shown_as_they_are_written() -> None:
    definitions = experiment_schema()["$defs"]
    assert definitions["Handler"]["properties"]["body"]["default"] == "128 B"
    assert definitions["Load"]["properties"]["window"]["default"] == "5 s"
    assert "required" not in definitions["Trial"]


def _described(schema: dict[str, Any]) -> list[str]:
    records = [schema, *schema["$defs"].values()]
    fields = [(name, field) for record in records for name, field in record.get("properties", {}).items()]
    return [name for name, field in fields if "description" not in field]


def test_every_key_of_a_spec_has_a_description() -> None:
    schema = experiment_schema()
    del schema["$defs"]["LevelSet"]["properties"]["set"]["properties"]
    assert [name for name in _described(schema) if "." not in name] == []


SENT: list[tuple[type[Record], str]] = [
    (ServerConfig, '{"contract": 1, "model": "ppc", "host": "127.0.0.1", "port": 18080, "backlog": 4096, "options": {"a": 1}, "handler": {"kind": "body", "body_bytes": 128, "cpu_iterations": 1834, "log": "off", "backend": null, "fault": "none"}}'),
    (ClientConfig, '{"format": 1, "url": "http://127.0.0.1:18080/", "method": "GET", "headers": {}, "body_bytes": 0, "mix": [], "kind": "closed", "servers": [], "connections": 64, "first_connection": 0, "rate_per_s": null, "rates_per_s": [], "shape": "staircase", "arrivals": "constant", "seed": 1, "think_s": 0.0, "thinking": "exponential", "growth_per_s": null, "lifetime": "keep-alive", "processes": 1, "first_process": 0, "all_processes": null, "sources": [], "warmup_s": 1.0, "window_s": 5.0, "timeout_s": 5.0, "connect_rate_per_s": 5000.0, "expect_status": 200, "expect_body_bytes": 128, "tls_authorities": null, "tls_check": "full", "plateau_s": 0.0, "wait_for_start": true, "wait_to_connect": false}'),
    (ProbeConfig, '{"format": 1, "services": {"server": {"pid": 4711, "cgroup": true, "port": 18080, "mark": true}}, "watched_cpus": {"server": [1], "client": [0]}, "own_network": "client", "interval_s": 0.25, "deadline_s": 120.0}'),
]  # fmt: skip


@pytest.mark.parametrize(("record", "text"), SENT, ids=[record.__name__ for record, _ in SENT])
def test_the_contracts_examples_are_what_the_harness_sends(record: type[Record], text: str) -> None:
    assert json.loads(record.model_validate_json(text).model_dump_json()) == json.loads(text)
    jsonschema.Draft202012Validator(schema_of(record)).validate(json.loads(text))


def test_quickstart_is_the_question_of_the_first_screen_and_takes_less_than_four_minutes() -> None:
    experiment = load_experiment(ROOT / "experiments" / "quickstart.yaml", ROOT / "images")
    plan = make_plan(experiment, "quickstart", load_models(ROOT / "images"))
    assert experiment.title.endswith("?")
    assert len(plan.trials) == 3 * (18 + 1)  # 18 points and the canary
    assert estimate_s([planned.trial for planned in plan.trials], overhead_s=2) < 240


def test_loading_a_spec_imports_nothing_heavy() -> None:
    code = "import sys, harness.plan, harness.spec.load; print(sorted({m.split('.')[0] for m in sys.modules}))"
    modules = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [name for name in ("pandas", "numpy", "docker", "jinja2", "rich", "altair") if f"'{name}'" in modules] == []
    assert "'yaml'" in modules
