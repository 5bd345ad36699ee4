"""From the words of `harness load` to a trial: what they mean, and how mistakes are told."""

from typing import Any

import pytest

from harness.errors import SpecError
from harness.load import trial_of
from harness.spec.experiment import Trial

URL = "http://127.0.0.1:8080/items?page=2"
PLAIN: dict[str, Any] = {
    "method": "GET",
    "body": "0 B",
    "headers": [],
    "mix": [],
    "rate": None,
    "slo": None,
    "ca": None,
    "insecure": False,
    "clients": 1,
    "kind": "closed",
}


def trial(**words: object) -> Trial:
    return trial_of(str(words.pop("url", URL)), **{**PLAIN, **words})


def test_one_rate_is_a_rate_and_several_are_a_staircase() -> None:
    assert str(trial(kind="open", rate="500/s").load.rate) == "500/s"
    several = trial(kind="open", rate="100/s, 200/s,300/s").load
    assert (several.rate, [str(rate) for rate in several.rates]) == (None, ["100/s", "200/s", "300/s"])


def test_an_slo_is_read_with_its_units() -> None:
    slo = trial(kind="open", rate="1000/s", slo="p99<50ms, p99.9 <= 1 s,errors<0.1%").slo
    assert {name: str(limit) for name, limit in slo.latencies.items()} == {"p99": "50 ms", "p99_9": "1 s"}
    assert slo.errors is not None
    assert slo.errors.fraction == pytest.approx(0.001)


def test_a_mix_is_a_list_of_weights_methods_and_paths() -> None:
    kinds = trial(mix=["9 GET /small", "1 post /big 2 kB"]).request.kinds
    assert [(kind.weight, kind.method, kind.path, kind.body and kind.body.bytes) for kind in kinds] == [
        (9, "GET", "/small", 0),
        (1, "POST", "/big", 2000),
    ]


WRONG: list[tuple[str, dict[str, object], str]] = [
    ("limit of nothing", {"kind": "open", "rate": "1000/s", "slo": "q99<50ms"}, "--slo 'q99<50ms': not a limit"),
    ("limit without unit", {"kind": "open", "rate": "1000/s", "slo": "p99<50"}, "--slo: "),
    ("limit twice", {"kind": "open", "rate": "1000/s", "slo": "p99<5ms,p99<6ms"}, "a second limit of the same"),
    ("slo with closed", {"slo": "p99<50ms"}, "`slo` with a closed load"),
    ("capacity without slo", {"kind": "capacity"}, "has no SLO to meet"),
    ("rate without unit", {"kind": "open", "rate": "1000"}, "--rate: "),
    ("second rate without unit", {"kind": "open", "rate": "1000/s,2000"}, "--rate: "),
    ("hold without rate", {"kind": "hold"}, "a hold load has no rate; add `--rate`"),
    ("think in an open loop", {"kind": "open", "rate": "10/s", "think": "5ms"}, "`--think` means nothing"),
    (
        "growth of a closed loop",
        {"growth": "5/s"},
        "`--growth` means nothing to a load of kind `closed`; remove it, or set `--hold`",
    ),
    ("ramp to nowhere", {"kind": "open", "rate": "10/s", "shape": "ramp"}, "a ramp needs two rates or more"),
    ("mix without weight", {"mix": ["GET /"]}, "write 'WEIGHT METHOD PATH [BODY]'"),
    ("mix with a bad weight", {"mix": ["1.2.3 GET /"]}, "write 'WEIGHT METHOD PATH [BODY]'"),
    ("mix without slash", {"mix": ["1 GET x"]}, "--mix: "),
    ("source that is none", {"sources": ["here"]}, "'here' is no IP address"),
    ("more clients than connections", {"clients": 3, "connections": 2}, "there are more clients than connections"),
    ("another scheme", {"url": "ftp://127.0.0.1/"}, "URL: "),
    ("lifetime of a kind unknown", {"lifetime": "forever"}, "--lifetime: "),
]


@pytest.mark.parametrize(("words", "told"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_a_mistake_is_told_under_the_option_it_was_made_with(words: dict[str, object], told: str) -> None:
    with pytest.raises(SpecError) as caught:
        trial(**words)
    assert told in str(caught.value)
    assert "`load." not in str(caught.value)
    assert all("; " in problem for problem in caught.value.problems)


def test_every_mistake_is_told_in_one_go() -> None:
    with pytest.raises(SpecError) as caught:
        trial(kind="open", rate="1000", slo="x<1", headers=["no colon"], mix=["?"], url="ftp://127.0.0.1/")
    assert len(caught.value.problems) == 5


def test_a_broker_is_loaded_by_its_scheme() -> None:
    assert trial(url="stomp://127.0.0.1:61613/queue/test").model_name == "stomp://127.0.0.1:61613"
