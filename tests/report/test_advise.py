"""`harness advise`: what is answered, what is refused, and with which exit code."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.advise import Answer, answer_demand, demand_of
from harness.analysis.objective import held_by_steps
from harness.cli import app
from harness.errors import HarnessError, NothingMeasured, ResultError, SpecError
from harness.result import Capacity, SearchStep
from harness.spec.traffic import Slo
from tests.report.test_clusters import INVENTORY, cluster, law
from tests.tools.synthetic import Shape, make_run

Stored = Callable[..., Path]


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    """Store a run of a shape as the newest of an experiment; gives the folder of all results."""

    def store(shape: Shape, name: str = "cluster", inventory: str = "") -> Path:
        run = make_run(tmp_path / name / "20260101-120000", shape)
        if inventory:
            (run / "inventory.yaml").write_text(inventory)
        (tmp_path / name / "latest").symlink_to(run.name)
        return tmp_path

    return store


def asked(results: Path, rate: str, headroom: str = "0 %", slo: str | None = None, name: str = "cluster") -> Answer:
    return answer_demand(results, name, None, demand_of(rate, headroom, slo))


def said(answer: Answer) -> str:
    return "\n".join(answer.lines())


@pytest.mark.parametrize(
    ("rate", "headroom", "servers", "basis"),
    [
        ("50/s", "0 %", 1, "measured"),
        ("190/s", "20 %", 2, "measured"),
        ("800/s", "0 %", 5, "between"),
        ("1200/s", "0 %", 8, "measured"),
        ("1400/s", "0 %", 10, "beyond"),
    ],
)
def test_a_demand_gets_the_fewest_servers_that_hold_it(
    stored: Stored, rate: str, headroom: str, servers: int, basis: str
) -> None:
    answer = asked(stored(cluster()), rate, headroom)
    ((advice, _),) = answer.given
    assert advice.use is not None
    assert (advice.use.servers, advice.use.basis) == (servers, basis)
    assert answer.answered


def test_beyond_what_was_measured_the_answer_warns_and_gives_the_interval_of_a_new_run(stored: Stored) -> None:
    answer = asked(stored(cluster()), "1400/s")
    ((advice, _),) = answer.given
    assert advice.use is not None
    assert advice.use.interval is not None
    assert advice.use.interval.low < advice.use.rate_rps < advice.use.interval.high
    assert "Warning: this is beyond what was measured (8 servers): the fitted law is extrapolated" in said(answer)


def test_more_than_the_law_ever_reaches_names_no_number(stored: Stored) -> None:
    answer = asked(stored(cluster(speed=law(0.05, 0.02))), "5000/s")
    assert not answer.answered
    assert "by the law no number holds as much, at most" in said(answer)


def test_past_the_point_where_a_server_stops_paying_the_answer_says_so(stored: Stored) -> None:
    text = said(asked(stored(cluster(speed=law(0.05, 0.004))), "830/s"))
    assert "adding more stops paying: one more brings less than half of one" in text
    assert "beyond which one more stops paying" in text


def test_each_model_is_answered_for_itself(stored: Stored) -> None:
    def speed(factors: Mapping[str, str]) -> float:
        return 100.0 * int(factors["servers"]) * (2.0 if factors["model"] == "reactor" else 1.0)

    factors = {"model": ("ppc", "reactor"), "servers": ("1", "2", "4")}
    answer = asked(stored(cluster(factors=factors, speed=speed, base={"balancer": "haproxy-tcp"})), "180/s")
    servers = {advice.curve.name: advice.use.servers for advice, _ in answer.given if advice.use}
    assert servers == {"ppc": 2, "reactor": 1}


def test_one_server_that_was_never_joined_by_another_answers_up_to_what_it_holds(stored: Stored) -> None:
    shape = cluster(factors={"model": ("ppc", "tpc")}, base={}, hosts=0, speed=lambda factors: 500.0)
    results = stored(shape, "limits")
    assert asked(results, "400/s", name="limits").answered
    beyond = asked(results, "600/s", name="limits")
    assert not beyond.answered
    assert "beyond that nothing was measured; a law takes 3 numbers of servers" in said(beyond)


def test_prices_give_the_cost_of_an_hour_and_of_a_million_requests_at_the_rate_asked(stored: Stored) -> None:
    answer = asked(stored(cluster(), inventory=INVENTORY), "1200/s")
    ((advice, costs),) = answer.given
    assert costs is not None
    assert advice.price is not None
    assert advice.price.per_hour == pytest.approx(0.60)
    assert advice.cost_per_million == pytest.approx(0.60 / (1_200 * 3_600) * 1e6)
    assert "Cost: 0.6 EUR per hour, 0.139 EUR per million requests at 1,200/s." in said(answer)


def test_more_servers_than_the_hosts_were_ever_filled_with_take_more_hosts_and_the_answer_says_so(
    stored: Stored,
) -> None:
    answer = asked(stored(cluster(), inventory=INVENTORY), "1400/s")  # 10 servers; 9 were at most 3 a host
    assert "Cost: 0.8 EUR per hour (with 1 more host at the mean price of those for servers), " in said(answer)
    assert answer.as_json()["answers"][0]["more_hosts"] == 1


def test_a_host_without_a_price_leaves_only_what_it_takes_part_in_without_a_cost(stored: Stored) -> None:
    results = stored(cluster(), inventory=INVENTORY.replace(", price_per_hour: 0.30", ""))
    assert "Cost: 0.3 EUR per hour" in said(asked(results, "300/s"))  # 2 servers
    assert "Cost: not known, as a host that it takes has no price" in said(asked(results, "500/s"))  # 3


def test_without_prices_the_answer_says_that_there_are_none(stored: Stored) -> None:
    assert "No prices" in said(asked(stored(cluster()), "100/s"))


def test_the_slo_that_was_measured_may_be_named(stored: Stored) -> None:
    results = stored(cluster())
    assert asked(results, "100/s", slo="p99<100ms,errors<0.1%").notes == ()


def test_a_laxer_slo_gives_a_lower_bound_and_says_so(stored: Stored) -> None:
    answer = asked(stored(cluster()), "100/s", slo="p99<200ms,errors<0.1%")
    assert "so they are lower bounds" in answer.notes[0]
    assert answer.answered


def test_a_stricter_slo_that_every_step_misses_answers_nothing(stored: Stored) -> None:
    with pytest.raises(NothingMeasured, match="no run found a rate that meets p99 ≤ 20 ms"):
        asked(stored(cluster()), "100/s", slo="p99<20ms,errors<0.1%")


def test_a_percentile_that_was_not_measured_is_refused_with_what_was(stored: Stored) -> None:
    with pytest.raises(NothingMeasured, match=r"it measured p99 ≤ 100 ms and errors ≤ 0.1 %, and p95 ≤ 50 ms"):
        asked(stored(cluster()), "100/s", slo="p95<50ms")


def step(rate_rps: float, met: bool | None, p99_ms: float | None, errors: float = 0.0) -> SearchStep:
    return SearchStep(
        rate_rps=rate_rps,
        window_s=2.0,
        purpose="confirm",
        met=met,
        why="",
        throughput_rps=rate_rps,
        errors=errors,
        percentiles_us={"p99": None if p99_ms is None else p99_ms * 1e3},
        limited_by="nobody",
    )


def capacity(steps: tuple[SearchStep, ...], low: float | None = 400.0, high: float | None = 450.0) -> Capacity:
    return Capacity(low_rps=low, high_rps=high, ended="found", steps=steps, life_ok=0, life_unknown=0)


STEPS = (step(100, True, 5), step(200, True, 10), step(400, True, 40), step(450, False, 900))


def ended(results: Path, how: str, *trials: str) -> Path:
    """Searches of a stored run that ended without a value: `none met`, or `client gave out`."""
    for trial in trials:
        path = results / "cluster" / "latest" / "trials" / trial / "trial.json"
        record = json.loads(path.read_text())
        record["capacity"] |= {"ended": how, "high_rps": None} if how != "none met" else {"ended": how, "low_rps": None}
        path.write_text(json.dumps(record))
    return results


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("none met", "8 servers (in 2 of 3 runs no rate met it)"),
        ("client gave out", "8 servers (in 2 of 3 runs no rate met it, or the load client gave out first)"),
    ],
)
def test_a_size_of_which_a_run_has_no_value_is_neither_advised_nor_fitted(stored: Stored, how: str, why: str) -> None:
    results = ended(stored(cluster()), how, "servers-8.r1", "servers-8.r2")
    answer = asked(results, "1200/s")
    ((advice, _),) = answer.given
    assert [size.servers for size in advice.curve.measured] == [1, 2, 3, 4, 6]
    assert advice.curve.fit is not None
    assert 8 not in advice.curve.fit.sizes
    assert advice.use is None or advice.use.servers > 8
    assert f"Left out, as the other runs would be the fortunate ones: {why}." in said(answer)
    (one,) = answer.as_json()["answers"]
    assert one["left_out"] == [{"servers": 8, "runs": 3, "without_value": 2}]


def test_what_a_left_out_size_holds_is_not_told_by_the_law_either(stored: Stored) -> None:
    answer = asked(ended(stored(cluster()), "none met", "servers-1.r1"), "50/s")
    assert "what one server holds at p99 ≤ 100 ms and errors ≤ 0.1 % is not known: 1 server (in 1 of 3 runs" in said(
        answer
    )
    ((advice, _),) = answer.given
    assert advice.use is not None
    assert advice.use.servers == 2


def test_a_side_without_a_value_is_told_beside_those_that_have_one(stored: Stored) -> None:
    factors = {"model": ("ppc", "reactor"), "servers": ("1", "2")}
    results = stored(cluster(factors=factors, base={"balancer": "haproxy-tcp"}))
    trials = [f"model-ppc.servers-{servers}.r{repeat}" for servers in (1, 2) for repeat in (1, 2, 3)]
    answer = asked(ended(results, "none met", *trials), "100/s")
    assert [advice.curve.name for advice, _ in answer.given] == ["reactor"]
    told = "ppc: what one server holds at p99 ≤ 100 ms and errors ≤ 0.1 % is not known"
    assert f"{told}: 1 server (in 3 of 3 runs no rate met it)." in said(answer)
    assert answer.as_json()["unknown"][0].startswith(told)


def test_runs_of_which_every_size_lacks_one_answer_nothing(stored: Stored) -> None:
    results = ended(stored(cluster()), "none met", *(f"servers-{servers}.r1" for servers in (1, 2, 3, 4, 6, 8)))
    with pytest.raises(NothingMeasured, match="of no number of servers did every run find a rate that meets"):
        asked(results, "100/s")


@pytest.mark.parametrize(
    ("limits", "steps", "found"),
    [
        ({"p99": "50 ms"}, STEPS, (400, 450)),
        ({"p99": "20 ms"}, STEPS, (200, 400)),
        ({"p99": "7 ms"}, STEPS, (100, 200)),
        ({"p99": "1 ms"}, STEPS, None),
        ({"p99": "20 ms"}, (*STEPS, step(200, True, 30), step(200, True, 30)), (100, 200)),
        ({"p99": "20 ms"}, (*STEPS, step(200, True, 12), step(200, False, 90)), (200, 400)),
        ({"p99": "20 ms"}, (*STEPS, step(200, None, None), step(200, None, None)), (200, 400)),
        ({"p99": "50 ms"}, (step(100, True, 5), step(200, True, None), *STEPS[2:]), (100, 200)),
        ({"p99": "50 ms"}, (step(100, True, 5), step(200, True, 5, errors=0.01), *STEPS[2:]), (100, 200)),
    ],
    ids=[
        "all steps meet it",
        "between two rates",
        "at the lowest rate",
        "at none",
        "outvoted below",
        "outvoted above",
        "steps that say nothing are not asked",
        "a percentile not told is not met",
        "errors count as well",
    ],
)
def test_steps_are_held_against_another_slo(
    limits: dict[str, str], steps: tuple[SearchStep, ...], found: tuple[float, float] | None
) -> None:
    assert held_by_steps(Slo.model_validate(limits), capacity(steps)) == found


def test_a_search_that_met_nothing_holds_nothing_under_any_slo() -> None:
    assert held_by_steps(Slo.model_validate({"p99": "1 s"}), capacity(STEPS[-1:], low=None)) is None


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ({"rate": "900"}, "--rate: `900` has no unit; write one after it (/s)"),
        ({"rate": "0/s"}, "--rate: 0/s needs no server"),
        ({"headroom": "20"}, "--headroom: `20` has no unit; write one after it (%)"),
        ({"headroom": "2000 %"}, "--headroom: more than 1000%"),
        ({"slo": "p98<5ms"}, "--slo 'p98<5ms': not a limit"),
        ({"slo": "p99<5"}, "--slo: `p99`: `5` has no unit"),
        ({"slo": ""}, "--slo: it names no limit"),
    ],
)
def test_a_wrong_word_is_named_with_what_to_write(words: dict[str, str], problem: str) -> None:
    given: dict[str, Any] = {"rate": "900/s", "headroom": "20 %", "slo": None, **words}
    with pytest.raises(SpecError) as caught:
        demand_of(**given)
    assert problem in str(caught.value)


def test_all_wrong_words_are_named_in_one_go() -> None:
    with pytest.raises(SpecError) as caught:
        demand_of("900", "5", "p9<3")
    assert len(caught.value.problems) == 3


def test_an_experiment_without_a_search_for_capacity_is_told(stored: Stored) -> None:
    with pytest.raises(NothingMeasured, match="it searched for no capacity"):
        asked(stored(cluster(kind="closed")), "100/s")


def test_no_results_and_an_unknown_run_are_different_errors(stored: Stored, tmp_path: Path) -> None:
    with pytest.raises(NothingMeasured, match="nothing was measured yet"):
        asked(tmp_path, "100/s")
    results = stored(cluster())
    with pytest.raises(ResultError, match="there is no run 7 of cluster") as caught:
        answer_demand(results, "cluster", "7", demand_of("1/s", "0 %", None))
    assert caught.value.exit_code == 2


def test_runs_in_which_no_rate_met_the_slo_answer_nothing(stored: Stored) -> None:
    states = {f"servers-{n}.r{r}": "failed" for n in (1, 2, 3, 4, 6, 8) for r in (1, 2, 3)}
    with pytest.raises(NothingMeasured, match="no run found a rate that meets"):
        asked(stored(cluster(states=states)), "100/s")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--rate", "100/s"], 0),
        (["cluster", "--rate", "100/s", "--json"], 0),
        (["--rate", "900000/s"], 3),
        ([], 2),
    ],
)
def test_the_verb_answers_in_lines_or_json_with_its_exit_code(stored: Stored, words: list[str], code: int) -> None:
    results = stored(cluster(speed=law(0.05, 0.02)))
    done = CliRunner().invoke(app, ["advise", *words, "--results", str(results)])
    assert done.exit_code == code
    if "--json" in words:
        (answer,) = json.loads(done.stdout)["answers"]
        assert answer["use"]["servers"] == 1
        assert answer["most_measured"] == 8


def test_nothing_measured_and_wrong_words_end_the_command_with_3_and_2() -> None:
    codes: dict[type[HarnessError], int] = {NothingMeasured: 3, SpecError: 2}
    assert {kind: kind.exit_code for kind in codes} == codes
