"""Mixes in a spec: what a kind does not say is as in `request`, and a mistake in one is told with its own line."""

import pytest

from harness.errors import SpecError
from harness.spec.experiment import Trial
from harness.spec.foreign import RunningServer
from harness.spec.request_rules import request_contradictions
from harness.spec.traffic import Request
from tests.spec.conftest import Load

HEAD = "version: 1\ntitle: Which?\nbase:\n  model: ppc\n"  # four lines

BROKEN = [
    ("GET with a body", "  request:\n    mix:\n      - {path: /a}\n      - path: /b\n        body: 1 KiB\n", 9, "kind 2 of `request.mix`: a GET request carries no body"),
    ("HEAD with everybody's body", "  request:\n    method: POST\n    body: 1 KiB\n    mix:\n      - {path: /a}\n      - method: HEAD\n", 10, "kind 2 of `request.mix`: a GET request carries no body"),
    ("header twice", "  request:\n    mix:\n      - path: /a\n        headers: {X-A: b, x-a: c}\n", 8, "kind 1 of `request.mix`: a request header is given twice"),
    ("fault in a kind", "  handler: {fault: crash}\n  request:\n    mix:\n      - {path: /a}\n      - path: /-/fault\n", 9, "kind 2 of `request.mix`: every request would set the fault off"),
    ("another status of ours", "  request:\n    mix:\n      - path: /a\n      - path: /b\n        expect: 404\n", 9, "kind 2 of `request.mix`: `expect` says another status than 200"),
    ("body for nobody", "  request: {mix: [{method: POST, body: 1 B}, {method: POST, body: 2 B}]}\nfactors:\n  request.body: [1 B, 2 B]\n", 7, "varying `request.body` changes nothing"),
    ("header for nobody", "  request: {mix: [{headers: {A: b}}]}\nfactors:\n  request.headers.X-Tenant: [a, b]\n", 7, "varying `request.headers.X-Tenant` changes nothing"),
    ("no weight", "  request:\n    mix:\n      - weight: 0\n", 7, "`base.request.mix.weight` is too small (`0`); write a number that is more than 0"),
    ("method that there is not", "  request:\n    mix:\n      - method: GRAB\n", 7, "GRAB"),
    ("slip in a key", "  request:\n    mix:\n      - pth: /a\n", 7, "unknown key `pth` in `base.request.mix`; did you mean `path`?"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "words"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_a_mistake_in_a_kind_is_told_with_its_line(load: Load, text: str, line: int, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        load(HEAD + text)
    (problem,) = caught.value.problems
    assert f"spec.yaml:{line}: " in problem
    assert words in problem


def test_every_kind_that_is_wrong_is_told_in_one_go(load: Load) -> None:
    kinds = "      - {path: /a, body: 1 B}\n      - {path: /b}\n      - {path: /c, body: 1 B}\n"
    with pytest.raises(SpecError) as caught:
        load(HEAD + "  request:\n    mix:\n" + kinds)
    assert [problem.split(": ")[0].rpartition(":")[2] for problem in caught.value.problems] == ["7", "9"]


def test_what_a_kind_does_not_say_is_as_in_the_request(load: Load) -> None:
    experiment = load(
        HEAD
        + "  request: {path: /p, method: POST, body: 3 B, mix: [{weight: 2}, {path: /q, method: GET, body: 0 B}]}\n"
    )
    first, second = experiment.base.request.kinds
    assert (first.weight, first.path, first.method, first.body and first.body.bytes) == (2.0, "/p", "POST", 3)
    assert (second.weight, second.path, second.method, second.body and second.body.bytes) == (1.0, "/q", "GET", 0)


def test_a_body_for_all_is_no_mistake_where_each_kind_that_has_none_says_so(load: Load) -> None:
    """`request` itself is not sent where there is a mix, so it need not be whole."""
    load(HEAD + "  request: {body: 3 B, mix: [{method: POST}, {body: 0 B}]}\n")


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"body": "1 KiB"}, None),
        ({"mix": [{"path": "/queue/a", "body": "1 B"}, {"path": "/queue/b"}]}, None),
        ({"method": "POST"}, "methods and statuses mean nothing to it"),
        ({"mix": [{}, {"expect": 404}]}, "kind 2 of `request.mix`: a broker takes messages"),
    ],
    ids=["body", "mix", "method", "status"],
)
def test_a_message_to_a_broker_has_a_body_and_neither_method_nor_status(
    request_: dict[str, object], says: str | None
) -> None:
    broker = RunningServer(url="stomp://127.0.0.1:61613")
    found = list(request_contradictions(Trial(model=broker, request=Request.model_validate(request_)), ()))
    assert [says in contradiction.what for contradiction in found if says] == [True] * bool(says)
    assert len(found) == bool(says)
