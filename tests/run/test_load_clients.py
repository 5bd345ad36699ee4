"""Several real load clients led as one, against a real server."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.client_service import client_spec
from harness.clients import ClientPlan
from harness.deploy import running
from harness.errors import MeasureError
from harness.events import Tick
from harness.hosts.connection import ClockOffset
from harness.load_clients import LoadClient, LoadClients, Timeline, led
from harness.merging import merged_clients
from harness.runtime.base import Service, make_owner
from harness.runtime.process import ProcessRuntime
from harness.spec.contract import ClientConfig
from tests.client.servers import OK_RESPONSE, answering
from tests.client.servers import running as serving
from tests.run.conftest import ROOT

WINDOW_S = 0.5
DELAY_NS = 300_000_000
RATE = 200.0


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[ProcessRuntime]:
    runtime = ProcessRuntime(make_owner("test-load-clients"), ROOT / "images", tmp_path)
    yield runtime
    runtime.clean()


@pytest.fixture
def url() -> Iterator[str]:
    with serving(answering(OK_RESPONSE)) as server:
        yield server.url


def started(runtime: ProcessRuntime, url: str, up: ExitStack, count: int) -> list[Service]:
    """As many clients as asked for, each with its share of one load."""
    return [
        up.enter_context(
            running(
                runtime,
                client_spec(
                    f"client-{number}",
                    ClientConfig(
                        url=url,
                        kind="open",
                        connections=4,
                        rate_per_s=RATE,
                        warmup_s=0.1,
                        window_s=WINDOW_S,
                        timeout_s=5.0,
                        first_process=number,
                        all_processes=count,
                    ),
                    (),
                    ClientPlan(),
                ),
                [],
            )
        )
        for number in range(count)
    ]


def test_two_clients_start_together_and_make_one_load(runtime: ProcessRuntime, url: str) -> None:
    ticks: list[Tick] = []
    with ExitStack() as up:
        services = started(runtime, url, up, 2)
        clients = [LoadClient(service) for service in services]
        with led(clients, 30.0, ticks.append) as together:
            together.expect("ready", 20.0)
            timeline = together.start(DELAY_NS, 20.0)
            together.pump_until(timeline.window_end_ns)
            together.expect("done", 20.0)
            together.wait(10.0)
            first, second = together.reports()
            whole = together.report()
            assert set(together.logs()) == {"client-1", "client-2"}
    assert whole.window_start_ns == timeline.window_start_ns == first.window_start_ns == second.window_start_ns
    assert whole.schedule == RATE * WINDOW_S
    assert whole.intended == first.intended + second.intended == RATE * WINDOW_S
    assert abs(first.intended - second.intended) <= 1
    assert len(whole.processes) == 2


def test_a_client_in_another_clock_is_told_and_read_in_that_clock(runtime: ProcessRuntime, url: str) -> None:
    """Said to be ahead by 5 ms, it is told an instant 5 ms later, and what it reports is taken back by as much."""
    ahead = ClockOffset(offset_ns=5_000_000, error_ns=1_000)
    with ExitStack() as up:
        here, there = (
            LoadClient(service, clock)
            for service, clock in zip(started(runtime, url, up, 2), (ClockOffset(), ahead), strict=True)
        )
        with led([here, there], 30.0, lambda _tick: None) as together:
            together.expect("ready", 20.0)
            timeline = together.start(DELAY_NS, 20.0)
            together.expect("done", 20.0)
            first, second = together.reports()
    assert first.start_ns == second.start_ns == timeline.start_ns
    assert first.begun_ns is not None
    assert second.begun_ns is not None
    assert first.begun_ns >= timeline.start_ns
    assert second.begun_ns >= timeline.start_ns
    assert merged_clients([first, second]).begun_ns == max(first.begun_ns, second.begun_ns)


def test_a_client_that_dies_leaves_no_number(runtime: ProcessRuntime, url: str) -> None:
    with ExitStack() as up:
        first, second = started(runtime, url, up, 2)
        with led([LoadClient(first), LoadClient(second)], 30.0, lambda _tick: None) as together:
            together.expect("ready", 20.0)
            timeline = together.start(DELAY_NS, 20.0)
            second.remove()
            with pytest.raises(MeasureError, match="client-1"):
                to_the_end(together, timeline)


def to_the_end(together: LoadClients, timeline: Timeline) -> None:
    together.pump_until(timeline.window_end_ns)
    together.expect("done", 20.0)
