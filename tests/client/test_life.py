"""The client's life: its events, the barrier, and how it ends when it cannot go on."""

import json
import resource
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.client.running import DEADLINE_S, await_event, checked, client, configure, finish, run, start
from tests.client.servers import CLOSE_RESPONSE, OK_RESPONSE, answering, running, silent

pytestmark = pytest.mark.slow

S = 1_000_000_000


def test_the_events_come_in_order_and_the_started_one_gives_the_edges(tmp_path: Path) -> None:
    with running(answering(OK_RESPONSE)) as server:
        ended = run(tmp_path, url=server.url, warmup_s=0.2, window_s=0.7)
    report = checked(ended)
    assert ended.names() == ["ready", "started", "drained", "done"]
    started = ended.events[1]
    assert started["window_start_ns"] - started["start_ns"] == S // 5
    assert started["window_end_ns"] - started["window_start_ns"] == 7 * S // 10
    edges = (report.start_ns, report.window_start_ns, report.window_end_ns)
    assert edges == (started["start_ns"], started["window_start_ns"], started["window_end_ns"])


def test_ticks_come_between_start_and_drain_and_never_go_back(tmp_path: Path) -> None:
    with running(answering(OK_RESPONSE)) as server:
        ended = run(tmp_path, url=server.url, warmup_s=0.1, window_s=1.5)
    ticks = [event for event in ended.events if event["event"] == "tick"]
    assert len(ticks) >= 2
    assert [tick["ok"] for tick in ticks] == sorted(tick["ok"] for tick in ticks)
    assert all(tick["connections"] == 2 and tick["errors"] == 0 for tick in ticks)
    assert ticks[-1]["ok"] <= ended.report.life_ok


def test_it_waits_for_the_start_file_and_starts_when_that_says(tmp_path: Path) -> None:
    with running(answering(OK_RESPONSE)) as server, client(tmp_path, url=server.url, wait_for_start=True) as process:
        await_event(process, "ready")
        time.sleep(0.1)
        start_ns = time.monotonic_ns() + S // 5
        half = tmp_path / "half"
        half.write_text(json.dumps({"start_ns": start_ns}))
        half.replace(tmp_path / "start.json")
        ended = finish(process, tmp_path)
    report = checked(ended)
    assert report.start_ns == start_ns
    assert report.begun_ns is not None
    assert start_ns <= report.begun_ns < report.window_end_ns
    assert report.ok > 0


def test_a_closed_loop_with_a_start_waits_with_its_connections_open(tmp_path: Path) -> None:
    with (
        running(answering(OK_RESPONSE)) as server,
        client(tmp_path, url=server.url, wait_for_start=True, connections=5) as process,
    ):
        await_event(process, "ready")
        assert server.accepted == 5
        assert server.requests == 5  # the first request of each, sent with the connect


def test_with_a_connection_per_request_nothing_is_requested_before_the_start(tmp_path: Path) -> None:
    with (
        running(answering(CLOSE_RESPONSE, then_close=True)) as server,
        client(tmp_path, url=server.url, wait_for_start=True, lifetime="per-request") as process,
    ):
        await_event(process, "ready")
        time.sleep(0.1)
        assert server.requests == 0


def test_the_plateau_holds_the_connections(tmp_path: Path) -> None:
    with (
        running(answering(OK_RESPONSE)) as server,
        client(tmp_path, url=server.url, connections=3, plateau_s=5.0) as process,
    ):
        await_event(process, "drained")
        time.sleep(0.1)
        assert server.open_connections == 3
        assert process.poll() is None


def test_it_lets_go_of_its_connections_as_soon_as_it_is_told(tmp_path: Path) -> None:
    with (
        running(answering(OK_RESPONSE)) as server,
        client(tmp_path, url=server.url, connections=3, plateau_s=1_000.0) as process,
    ):
        await_event(process, "drained")
        (tmp_path / "release.json").write_text("{}")
        await_event(process, "done")
        assert process.wait(10) == 0


def test_it_opens_no_connection_before_it_is_told(tmp_path: Path) -> None:
    with (
        running(answering(OK_RESPONSE)) as server,
        client(tmp_path, url=server.url, connections=3, wait_to_connect=True) as process,
    ):
        time.sleep(0.5)
        assert server.open_connections == 0
        (tmp_path / "connect.json").write_text("{}")
        await_event(process, "ready")
        assert server.open_connections == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("after", ["ready", "started", "tick"])
def test_a_signal_ends_it_at_once_without_a_report(tmp_path: Path, number: signal.Signals, after: str) -> None:
    with (
        running(silent if after != "tick" else answering(OK_RESPONSE)) as server,
        client(tmp_path, url=server.url, window_s=30, wait_for_start=after == "ready") as process,
    ):
        await_event(process, after)
        process.send_signal(number)
        assert process.wait(DEADLINE_S) == 128 + number
    assert not (tmp_path / "out" / "client.json").exists()


@pytest.mark.parametrize("lifetime", ["keep-alive", "per-request"])
def test_where_nothing_listens_it_says_so_and_exits_1(tmp_path: Path, lifetime: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ended = run(tmp_path, url=f"http://127.0.0.1:{port}/", lifetime=lifetime)
    assert ended.status == 1
    assert ended.names() == ["error"]
    assert f"nothing listens at 127.0.0.1:{port}" in ended.events[0]["message"]
    assert "Connection refused" in ended.events[0]["message"]


def test_too_few_open_files_are_told_before_anything_is_connected(tmp_path: Path) -> None:
    configure(tmp_path, url="http://127.0.0.1:1/", connections=500)
    ended = finish(start(tmp_path, open_files=(128, 128)), tmp_path)
    assert ended.status == 1
    assert "hard limit is 128" in ended.events[0]["message"]


def test_new_connections_of_the_warm_up_need_open_files_too(tmp_path: Path) -> None:
    """10 and 20/s for 5 s and 1 s: 130 connections."""
    growing = {"kind": "hold", "rate_per_s": 1, "connections": 10, "growth_per_s": 20, "warmup_s": 5, "window_s": 1}
    configure(tmp_path, url="http://127.0.0.1:1/", **growing)
    ended = finish(start(tmp_path, open_files=(128, 128)), tmp_path)
    assert ended.status == 1
    assert "130 connections need 194 open files, the hard limit is 128" in ended.events[0]["message"]


def test_the_soft_limit_of_open_files_is_raised_as_far_as_needed(tmp_path: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with running(answering(OK_RESPONSE)) as server:
        configure(tmp_path, url=server.url, connections=80, window_s=0.3)
        report = checked(finish(start(tmp_path, open_files=(64, hard)), tmp_path))
    assert report.connections_served == 80


BAD: dict[str, tuple[dict[str, object], str]] = {
    "unknown key": ({"conections": 3}, "unknown key `conections`"),
    "other format": ({"format": 2}, "`format` must be 1"),
    "no connections": ({"connections": 0}, "`connections` must be a whole number from 1"),
    "connections as text": ({"connections": "3"}, "`connections` must be a whole number"),
    "connections as truth": ({"connections": True}, "`connections` must be a whole number"),
    "no window": ({"window_s": 0}, "`window_s` must be a number"),
    "open without a rate": ({"kind": "open"}, "needs either `rate_per_s` or `rates_per_s`"),
    "rates of nothing": ({"kind": "open", "rate_per_s": 1, "rates_per_s": None}, "`rates_per_s` must be a list"),
    "weights beyond a number's range": ({"mix": [{"weight": 1e308}]}, "mix[0]: `weight` must be a number above 0"),
    "path of a kind without a slash": ({"mix": [{"path": "a"}]}, "mix[0]: `path` begins with a slash"),
    "empty path of a kind": ({"mix": [{"path": ""}]}, "mix[0]: `path` begins with a slash"),
    "rate of zero": ({"kind": "open", "rate_per_s": 0}, "`rate_per_s` must be a number"),
    "closed with a rate": ({"rate_per_s": 5}, "a closed loop has no rate"),
    "unknown kind": ({"kind": "poisson"}, "`kind` must be one of closed, open"),
    "unknown lifetime": ({"lifetime": "forever"}, "`lifetime` must be keep-alive, per-request or a number"),
    "lifetime of one request": ({"lifetime": 1}, "`lifetime` must be keep-alive, per-request or a number"),
    "wait as text": ({"wait_for_start": "yes"}, "`wait_for_start` must be one of"),
    "method with a space": ({"method": "GET /"}, "`method` must be the name of a method"),
    "header with a line break": ({"headers": {"A": "b\r\nC: d"}}, "must be one line of printable ASCII"),
    "header name with a colon": ({"headers": {"A:": "b"}}, "is not a token"),
    "header of the client's own": ({"headers": {"Host": "x"}}, "header `Host` is set by the client"),
    "no connect rate": ({"connect_rate_per_s": 0}, "`connect_rate_per_s` must be a number from 0.001"),
    "status as text": ({"expect_status": "200"}, "`expect_status` must be a whole number from 200 to 999, or null"),
    "status of an interim answer": ({"expect_status": 100}, "`expect_status` must be a whole number from 200"),
    "length below nothing": ({"expect_body_bytes": -1}, "`expect_body_bytes` must be a whole number from 0"),
    "length as truth": ({"expect_body_bytes": True}, "`expect_body_bytes` must be a whole number"),
    "certificates as a list": ({"tls_authorities": []}, "`tls_authorities` must be the text of a PEM file"),
    "no certificates": ({"url": "https://127.0.0.1/", "tls_authorities": "x"}, "holds no certificate"),
    "unknown check": ({"tls_check": "some"}, "`tls_check` must be one of full, chain, none"),
    "no scheme": ({"url": "127.0.0.1:80"}, "must look like http://host:port/path"),
    "port out of range": ({"url": "http://127.0.0.1:99999/"}, "url 'http://127.0.0.1:99999/'"),
    "path with a space": ({"url": "http://127.0.0.1/a b"}, "percent-encode the path"),
    "name that does not resolve": ({"url": "http://no-such-host.invalid/"}, "cannot resolve 'no-such-host.invalid'"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_configuration_is_told_in_an_error_event(tmp_path: Path, name: str) -> None:
    settings, message = BAD[name]
    ended = run(tmp_path, **({"url": "http://127.0.0.1:1/"} | settings))
    assert ended.status == 1
    assert ended.names() == ["error"]
    assert message in ended.events[0]["message"]


@pytest.mark.parametrize(
    ("text", "message"), [(None, "not readable"), ("{", "not readable"), ("[]", "must be an object")]
)
def test_a_configuration_that_is_no_object_is_told_as_well(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    ended = finish(start(tmp_path), tmp_path)
    assert ended.status == 1
    assert message in ended.events[0]["message"]
