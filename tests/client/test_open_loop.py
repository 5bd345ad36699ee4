"""Whose delay it is: the client's own absences are send lag, the wait for a connection is not."""

import os
import signal
import time
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.histogram import percentile
from tests.client.running import await_event, checked, client, finish
from tests.client.servers import OK_RESPONSE, answering, running, silent
from tests.client.simulation import MS, TURN, US, S, World

FREEZE = (400 * MS, 800 * MS)
ORDER = ["alarm first", "answers first", "alarm alone"]
ORDERS = pytest.mark.parametrize("order", ORDER)


@ORDERS
@pytest.mark.parametrize("service_ns", [100 * US, 5 * MS], ids=["idle server", "server at its limit"])
def test_what_became_due_while_the_client_was_frozen_has_the_rest_of_the_freeze_as_its_lag(
    service_ns: int, order: str
) -> None:
    """8 connections, 4,000/s; the slower server answers 1,600/s, so no connection is known to be free at the freeze."""
    world = World(service_ns, 8, 4_000, S, absences=[FREEZE], order=order)
    lags = world.lags()
    frozen = {intended: lag for intended, lag in lags.items() if FREEZE[0] <= intended < FREEZE[1]}
    assert len(lags) == 4_000
    assert len(frozen) == 1_600
    late = {intended: FREEZE[1] - intended for intended in frozen}
    assert all(late[intended] - 250 * US <= lag <= late[intended] for intended, lag in frozen.items())


@ORDERS
def test_what_waited_already_lags_by_the_time_for_which_its_own_connection_lay_unread(order: str) -> None:
    """One connection, 10 ms an answer, 1,000/s: whatever is sent right after the freeze was due long before it."""
    world = World(10 * MS, 1, 1_000, S, absences=[FREEZE], order=order)
    lags = world.lags()
    sent_at_the_end_of_it = [intended for intended, sent in world.sent.items() if sent == FREEZE[1]]
    assert len(sent_at_the_end_of_it) == 1
    assert sent_at_the_end_of_it[0] < FREEZE[0]
    assert lags[sent_at_the_end_of_it[0]] >= 390 * MS
    assert all(lag == 0 for intended, lag in lags.items() if intended < sent_at_the_end_of_it[0])


def test_a_freeze_between_two_intended_times_is_seen_by_what_waits() -> None:
    """5/s on a connection that takes 0.35 s: the client is back before the next request is due, but not before an answer."""
    world = World(350 * MS, 1, 5, 2 * S, absences=[(330 * MS, 395 * MS)])
    assert max(world.lags().values()) >= 43 * MS


@ORDERS
@pytest.mark.parametrize("late_ns", [0, 60 * US], ids=["prompt client", "client 60 us late each time"])
@pytest.mark.parametrize("connections", [1, 8])
def test_waiting_for_a_busy_server_is_no_lag_and_what_the_client_is_late_does_not_add_up(
    connections: int, late_ns: int, order: str
) -> None:
    """Twice what the server can do: the last requests wait for half a second."""
    world = World(connections * MS, connections, 2_000, S, late_ns=late_ns, order=order)
    lags = world.lags()
    assert max(sent - intended for intended, sent in world.sent.items()) > 0.5 * S
    assert max(lags.values()) <= 2 * late_ns + (TURN if late_ns else 0)


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
@pytest.mark.parametrize("rate_per_s", [70_000, 90_000])
def test_what_is_due_within_microseconds_is_sent_in_time_by_a_loop_that_stays_awake(
    rate_per_s: float, arrivals: Literal["constant", "poisson"]
) -> None:
    """An alarm would be late by 20 us each time; the loop looks again at each turn of 1 us, and reads answers meanwhile."""
    world = World(5 * US, 8, rate_per_s, S // 20, late_ns=20 * US, arrivals=arrivals)
    lags = world.lags()
    assert len(lags) == len(world.sent) == world.intended()
    assert sum(lag > 2 * TURN for lag in lags.values()) < (0.5 if arrivals == "poisson" else 0.01) * len(lags)
    assert max(lags.values()) <= 20 * US + 2 * TURN


def test_a_freeze_in_which_no_connection_was_free_at_any_time_is_no_lag() -> None:
    world = World(900 * MS, 2, 100, S, absences=[FREEZE])
    lags = world.lags()
    assert min(world.sent[intended] - intended for intended in lags if FREEZE[0] < intended < FREEZE[1]) > 50 * MS
    assert set(lags.values()) == {0}


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 6),
    st.lists(st.tuples(st.integers(1, 300), st.integers(1, 100)), max_size=4),
    st.sampled_from(ORDER),
)
def test_a_lag_is_never_more_than_the_wait_nor_more_than_the_client_was_away(
    service_ms: int, connections: int, gaps: list[tuple[int, int]], order: str
) -> None:
    absences, at = [], 0
    for gap_ms, length_ms in gaps:
        absences.append((at + gap_ms * MS, at + (gap_ms + length_ms) * MS))
        at = absences[-1][1]
    world = World(service_ms * MS, connections, 500, S, absences=absences, order=order)
    lags = world.lags()
    away_ns = max((to - since for since, to in absences), default=0)
    assert len(lags) == 500
    assert all(0 <= lag <= world.sent[intended] - intended for intended, lag in lags.items())
    assert max(lags.values()) <= 2 * away_ns


STOPPED_S = 0.4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("delay_s", "connections"), [(0.0, 8), (0.05, 4)], ids=["connections free", "every connection busy"]
)
def test_a_stopped_client_shows_as_send_lag(tmp_path: Path, delay_s: float, connections: int) -> None:
    with (
        running(answering(OK_RESPONSE, delay_s=delay_s)) as server,
        client(
            tmp_path,
            url=server.url,
            kind="open",
            rate_per_s=400,
            connections=connections,
            window_s=2.0,
            timeout_s=20.0,
        ) as process,
    ):
        await_event(process, "tick")
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(STOPPED_S)
        os.kill(process.pid, signal.SIGCONT)
        report = checked(finish(process, tmp_path))
    lag = percentile(report.histograms["send_lag"], 99, beyond=1)
    assert lag is not None
    assert lag >= 0.1e9


@pytest.mark.slow
def test_a_client_stopped_before_a_server_that_answers_nothing_has_not_lagged(tmp_path: Path) -> None:
    """Both connections wait for their first answer all along, so nothing is ever sent late for want of looking."""
    with (
        running(silent) as server,
        client(tmp_path, url=server.url, kind="open", rate_per_s=100, window_s=1.2, timeout_s=3.0) as process,
    ):
        await_event(process, "tick")
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(STOPPED_S)
        os.kill(process.pid, signal.SIGCONT)
        report = checked(finish(process, tmp_path))
    assert sum(report.errors.values()) == report.intended
    assert sum(count for index, count in report.histograms["send_lag"].items() if index >= 40_000) == 0
