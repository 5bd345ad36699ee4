"""Several clients make one load together: their parts are the whole, and their start is the one that all were given."""

import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from client.books.merge import merge
from harness.raw import ClientReport
from tests.client.running import await_event, checked, client, finish, run
from tests.client.servers import OK_RESPONSE, answering, running

pytestmark = pytest.mark.slow

S = 1_000_000_000
AFTER_NS = S // 5  # from the word to the start, on a busy machine


def put(folder: Path, start_ns: int) -> None:
    half = folder / "half"
    half.write_text(json.dumps({"start_ns": start_ns}))
    half.replace(folder / "start.json")


def together(folder: Path, clients: Sequence[dict[str, Any]], start_ns: int | None = None) -> list[ClientReport]:
    """Run these clients side by side, from one start on."""
    with ExitStack() as stack:
        folders = [folder / str(number) for number in range(len(clients))]
        for one in folders:
            one.mkdir(parents=True)
        processes = [
            stack.enter_context(client(one, wait_for_start=True, **settings))
            for one, settings in zip(folders, clients, strict=True)
        ]
        for process in processes:
            await_event(process, "ready")
        start_ns = start_ns or time.monotonic_ns() + AFTER_NS
        for one in folders:
            put(one, start_ns)
        return [checked(finish(process, one)) for process, one in zip(processes, folders, strict=True)]


def shares_of(whole: dict[str, Any], processes: Sequence[int]) -> list[dict[str, Any]]:
    """The configurations of clients of so many processes each, with two connections for each of these."""
    everyone = sum(processes)
    return [
        {
            **whole,
            "connections": 2 * own,
            "processes": own,
            "first_process": sum(processes[:number]),
            "all_processes": everyone,
        }
        for number, own in enumerate(processes)
    ]


@pytest.mark.parametrize(
    "load",
    [
        {"kind": "open", "rate_per_s": 400, "window_s": 1.0},
        {"kind": "open", "rate_per_s": 400, "arrivals": "poisson", "seed": 7, "window_s": 1.0},
        {"kind": "open", "rates_per_s": [100, 301], "shape": "ramp", "window_s": 1.0},
    ],
    ids=["constant", "poisson", "ramp"],
)
def test_clients_of_one_and_two_processes_make_exactly_the_schedule_of_one_of_three(
    tmp_path: Path, load: dict[str, Any]
) -> None:
    with running(answering(OK_RESPONSE)) as server:
        parts = together(tmp_path / "parts", shares_of({"url": server.url, **load}, [1, 2]))
        (whole,) = together(tmp_path / "whole", shares_of({"url": server.url, **load}, [3]))
    first, second = parts
    assert (first.schedule or 0) + (second.schedule or 0) == whole.schedule
    assert (first.schedule or 0) * 2 == pytest.approx(second.schedule, rel=0.4)  # a third each, and no process twice
    assert [phase.rate_per_s for phase in first.phases] == [phase.rate_per_s for phase in whole.phases]
    merged = ClientReport.model_validate_json(json.dumps(merge([part.model_dump(mode="json") for part in parts])))
    assert (merged.start_ns, merged.schedule, merged.intended) == (first.start_ns, whole.schedule, whole.schedule)
    assert [phase.intended for phase in merged.phases] == [phase.intended for phase in whole.phases]
    assert len(merged.processes) == 3


def test_what_two_clients_count_is_what_the_server_counts(tmp_path: Path) -> None:
    with running(answering(OK_RESPONSE)) as server:
        parts = together(tmp_path, shares_of({"url": server.url}, [1, 2]))
        assert sum(part.connections_opened for part in parts) == server.accepted == 6
        assert sum(part.life_ok + part.life_unknown for part in parts) == server.requests


@pytest.mark.parametrize("processes", [1, 2])
def test_a_start_that_is_past_already_is_kept_to_the_nanosecond_and_caught_up_with(
    tmp_path: Path, processes: int
) -> None:
    """Whoever is late sends at once what the schedule intended meanwhile; the lateness is in the response times."""
    late_ns = S // 4
    with running(answering(OK_RESPONSE)) as server:
        start_ns = time.monotonic_ns() - late_ns
        rate = {"kind": "open", "rate_per_s": 200, "warmup_s": 0.0, "window_s": 60.0}
        share = shares_of({"url": server.url, **rate}, [processes, 1])[0]
        folder = tmp_path / "late"
        folder.mkdir()
        with client(folder, wait_for_start=True, **share) as process:
            await_event(process, "ready")
            put(folder, start_ns)
            started = await_event(process, "started")
            tick = await_event(process, "tick")
    assert (started["start_ns"], started["window_start_ns"]) == (start_ns, start_ns)
    intended = 200 * processes // (processes + 1) * (tick["at_ns"] - start_ns) // S
    assert tick["ok"] >= intended * 0.5  # those of the time before it was told are among them


@pytest.mark.parametrize("processes", [1, 2])
def test_a_client_of_its_own_moves_a_start_that_is_past(tmp_path: Path, processes: int) -> None:
    with running(answering(OK_RESPONSE)) as server:
        whole = {"url": server.url, "connections": 2, "processes": processes}
        (report,) = together(tmp_path, [whole], start_ns=1)
    assert report.start_ns > 1


def test_the_growth_of_one_client_among_several_is_told_as_that_of_any_client(tmp_path: Path) -> None:
    hold = {"kind": "hold", "rate_per_s": 60, "growth_per_s": 30, "window_s": 1.0}
    with running(answering(OK_RESPONSE)) as server:
        parts = together(tmp_path, shares_of({"url": server.url, **hold}, [1, 2]))
    growths = [part.growth for part in parts if part.growth is not None]
    assert [growth.begun for growth in growths] == [growth.served for growth in growths]
    assert [growth.held for growth in growths] == [2 + growths[0].begun, 4 + growths[1].begun]
    assert sum(growth.begun for growth in growths) == 33  # 30/s over warm-up and window, shared out


BAD: dict[str, tuple[dict[str, object], str]] = {
    "a first process alone": ({"first_process": 1}, "`first_process` goes with `all_processes`"),
    "a first process below none": (
        {"first_process": -1, "all_processes": 2},
        "`first_process` must be a whole number from 0",
    ),
    "a first process as text": (
        {"first_process": "1", "all_processes": 2},
        "`first_process` must be a whole number from 0",
    ),
    "processes of nobody": ({"all_processes": 0}, "`all_processes` must be a whole number from 1"),
    "processes as truth": ({"all_processes": True}, "`all_processes` must be a whole number from 1"),
    "fewer than its own": ({"processes": 2, "all_processes": 1}, "`first_process` and `processes` come to 2, beyond"),
    "beyond the last": (
        {"first_process": 2, "processes": 2, "all_processes": 3, "connections": 2},
        "`first_process` and `processes` come to 4, beyond the 3 of `all_processes`",
    ),
    "no start in common": ({"all_processes": 2}, "`all_processes` beyond `processes` goes with `wait_for_start`"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_share_that_cannot_be_is_told_before_anything_is_opened(tmp_path: Path, name: str) -> None:
    settings, message = BAD[name]
    ended = run(tmp_path, **{"url": "http://127.0.0.1:1/", "connections": 4, **settings})
    assert (ended.status, ended.names()) == (1, ["error"])
    assert message in ended.events[0]["message"]
