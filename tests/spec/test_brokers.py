"""Specs about a model that speaks STOMP."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import SpecError
from harness.spec.load import load_experiment
from tests.spec.conftest import write_model

MODEL = """\
title: a broker
axes: {connections: a thread each, requests: one by one}
protocol: stomp
counts: exact
does: []
options: {}
"""
SPEC = """\
version: 1
title: Is it taken?
base:
  model: broker
  request: {REQUEST}
  load: {connections: 4, warmup: 50 ms, window: 300 ms}
REST
factors: {load.connections: [4, 8]}
repeats: 1
"""
Load = Callable[[str, str], object]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    write_model(tmp_path / "images", "broker", MODEL)

    def read(request: str, rest: str) -> object:
        path = tmp_path / "spec.yaml"
        path.write_text(SPEC.replace("REQUEST", request).replace("REST", rest))
        return load_experiment(path, tmp_path / "images")

    return read


def test_a_message_has_a_body_without_a_method(load: Load) -> None:
    load("path: /queue/orders, body: 1 KiB", "")


@pytest.mark.parametrize(
    ("request_", "rest", "says"),
    [
        ("body: 1 KiB", "", "`request.path` names no destination"),
        ("path: //", "", "`request.path` names no destination"),
        ("path: /queue/a, method: POST", "", "methods and statuses mean nothing to it"),
        ("path: /queue/a, expect: 200", "", "methods and statuses mean nothing to it"),
        ("path: /queue/a", "  servers: 2\n  balancer: direct", "`servers` cannot be set for a broker"),
        ("path: /queue/a", "  balancer: haproxy-tcp", "`balancer` cannot be set for a broker"),
        ("path: /queue/a", "  handler: {cpu: 1 ms}", "broker cannot do that"),
    ],
)
def test_what_means_nothing_to_a_broker_is_told(load: Load, request_: str, rest: str, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        load(request_, rest)
