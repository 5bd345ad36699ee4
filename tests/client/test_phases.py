"""Several rates and several kinds of request: parts of the whole, counted apart, and together the whole."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.books import outcome
from client.books.accounts import Accounts
from client.books.records import key_of
from client.books.totals import Totals, Window
from client.config import Config, Kind
from harness.histogram import merge
from harness.raw import ClientReport, MixShare, Phase
from tests.client.running import checked, run
from tests.client.servers import OK_RESPONSE, answering, requests_of, running, silent

S = 1_000_000_000
WINDOW = Window(10 * S, 12 * S, S)
EDGES = [10 * S, 10 * S + 1, 11 * S, 12 * S]
KINDS = 3

rows_of_any_kind = st.lists(
    st.builds(
        lambda intended, wait, service, ending, kind, never: (
            intended,
            0 if never else intended + wait,
            intended + wait + service,
            key_of(2, outcome.UNSENT if never else ending, kind) + 100,
        ),
        st.one_of(st.integers(9 * S, 13 * S), st.sampled_from([edge + off for edge in EDGES for off in (-1, 0, 1)])),
        st.integers(0, S),
        st.integers(0, 2 * S),
        st.integers(0, len(outcome.NAMES) - 1),
        st.integers(0, KINDS - 1),
        st.booleans(),
    ),
    max_size=60,
)


def folded(rows: list[tuple[int, int, int, int]]) -> Totals:
    totals = Totals(WINDOW, 4, phases=EDGES, kinds=KINDS)
    for i in range(0, len(rows), 7):
        totals.fold(np.array(rows[i : i + 7], np.int64))
    return totals


@given(rows_of_any_kind)
def test_phases_and_kinds_each_add_up_to_the_whole(rows: list[tuple[int, int, int, int]]) -> None:
    totals = folded(rows)
    for parts in (totals.phases, totals.kinds):
        assert sum(part.intended for part in parts) == totals.whole.intended
        assert sum(part.sent for part in parts) == totals.whole.sent
        assert np.sum([part.endings for part in parts], axis=0).tolist() == totals.whole.endings.tolist()
        assert merge(part.response.sparse() for part in parts) == totals.whole.response.sparse()
        assert merge(part.service.sparse() for part in parts) == totals.whole.service.sparse()
        assert all(part.intended == part.ok + sum(part.errors().values()) for part in parts)
    assert totals.completed_in_phase.sum() == totals.completed_in_window


@given(rows_of_any_kind)
def test_each_request_is_in_the_phase_of_its_intended_time_and_in_its_kind(
    rows: list[tuple[int, int, int, int]],
) -> None:
    totals = folded(rows)
    inside = [row for row in rows if WINDOW.start_ns <= row[0] < WINDOW.end_ns]
    spans = list(itertools.pairwise(EDGES))
    assert [phase.intended for phase in totals.phases] == [
        sum(from_ns <= row[0] < to_ns for row in inside) for from_ns, to_ns in spans
    ]
    assert [kind.intended for kind in totals.kinds] == [
        sum(row[3] >> 38 & 31 == kind for row in inside) for kind in range(KINDS)
    ]


def test_first_requests_of_new_connections_count_over_the_time_of_their_answers_only() -> None:
    totals = Totals(WINDOW, 4, asked_for=2, phases=EDGES, kinds=KINDS)
    totals.fold(np.array([[10 * S, 10 * S, 10 * S + 500, key_of(3) + 100]], np.int64), scheduled=False)
    assert (totals.whole.intended, totals.completed_in_window, totals.life_ok) == (0, 1, 1)
    assert (totals.residence_ns, totals.in_flight_integral_ns) == (500, 500)
    assert (totals.served, totals.starved) == (0, 0)


def test_send_lags_are_kept_apart_by_phase() -> None:
    config = Config(url="", kind="open", rates_per_s=(10.0, 20.0), warmup_s=1.0, window_s=2.0)
    books = Accounts(config)
    books.over(9 * S, WINDOW)
    for intended, lag in [(9 * S, 1), (10 * S, 2), (11 * S - 1, 3), (11 * S, 4), (12 * S, 5)]:
        books.lags.push(intended, lag)
    phases: Any = books.close()["phases"]
    assert [phase["histograms"]["send_lag"] for phase in phases] == [{2: 1, 3: 1}, {4: 1}]
    assert [phase["rate_per_s"] for phase in phases] == [10.0, 20.0]


def test_what_never_finds_a_connection_has_a_kind_too() -> None:
    books = Accounts(Config(url="", kind="open", rate_per_s=1.0, mix=(Kind(), Kind()), warmup_s=1.0, window_s=2.0))
    drawn = iter([1, 0, 1])
    books.draw_kind = lambda: next(drawn)
    books.over(9 * S, WINDOW)
    for _ in range(3):
        books.unsent(10 * S, 11 * S)
    mix: Any = books.close()["mix"]
    assert [(share["intended"], share["errors"]) for share in mix] == [(1, {"unsent": 1}), (2, {"unsent": 2})]


def adds_up(report: ClientReport, parts: tuple[Phase, ...] | tuple[MixShare, ...]) -> None:
    """The parts are the whole."""
    assert sum(part.intended for part in parts) == report.intended
    assert sum(part.ok for part in parts) == report.ok
    kinds = {kind for part in parts for kind in part.errors}
    assert {kind: sum(part.errors.get(kind, 0) for part in parts) for kind in kinds} == report.errors
    assert all(part.intended == part.ok + sum(part.errors.values()) for part in parts)


@pytest.mark.slow
@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
@pytest.mark.parametrize(
    ("shape", "rates", "processes"),
    [("staircase", [100, 400, 50], 1), ("ramp", [50, 500], 1), ("ramp", [50, 500], 3)],
    ids=["staircase", "ramp", "ramp by three processes"],
)
def test_several_rates_are_offered_as_scheduled_and_reported_part_by_part(
    tmp_path: Path, shape: str, rates: list[int], processes: int, arrivals: str
) -> None:
    settings = {"kind": "open", "rates_per_s": rates, "shape": shape, "arrivals": arrivals, "window_s": 1.5, "seed": 7}
    with running(answering(OK_RESPONSE)) as server:
        report = checked(run(tmp_path, url=server.url, connections=20, processes=processes, **settings))
    assert report.errors == {}
    assert len(report.phases) == (3 if shape == "staircase" else 10)
    adds_up(report, report.phases)
    assert (report.phases[0].from_ns, report.phases[-1].to_ns) == (report.window_start_ns, report.window_end_ns)
    assert sum(phase.completed for phase in report.phases) == report.completed_in_window
    for name in ("response", "service", "send_lag"):
        assert merge(phase.histograms[name] for phase in report.phases) == report.histograms[name]
    if shape == "staircase":
        assert [phase.rate_per_s for phase in report.phases] == rates
    if arrivals == "constant":
        assert all(
            abs(each.intended - (each.rate_per_s or 0) * (each.to_ns - each.from_ns) / 1e9) <= 1
            for each in report.phases
        )


@pytest.mark.slow
def test_a_mix_is_counted_kind_by_kind_also_what_fails(tmp_path: Path) -> None:
    """`/b` is answered with a hang-up, every time: all its requests fail, and none of the others."""

    def make(server: Any) -> Any:
        def serve(connection: Any) -> None:
            for request in requests_of(connection):
                server.count()
                if request.startswith(b"GET /b "):
                    return
                connection.sendall(OK_RESPONSE)

        return serve

    mix = [{"weight": 3.0, "path": "/a"}, {"path": "/b"}]
    with running(make) as server:
        report = checked(
            run(tmp_path, url=server.url, kind="open", rate_per_s=300, connections=30, mix=mix, window_s=1.0)
        )
    adds_up(report, report.mix)
    (right, wrong) = report.mix
    assert right.intended > wrong.intended > 20
    assert wrong.ok == 0
    assert set(right.errors) <= {"timeout", "unsent"}
    assert sum(right.response.values()) == right.ok


@pytest.mark.slow
def test_of_a_silent_server_every_request_of_every_kind_is_counted(tmp_path: Path) -> None:
    mix = [{"path": "/a"}, {"path": "/b"}]
    settings = {"kind": "open", "rates_per_s": [40, 80], "window_s": 1.0, "timeout_s": 0.5, "mix": mix}
    with running(silent) as server:
        report = checked(run(tmp_path, url=server.url, **settings))
    assert report.ok == 0
    assert report.errors["unsent"] > 0
    adds_up(report, report.mix)
    adds_up(report, report.phases)
