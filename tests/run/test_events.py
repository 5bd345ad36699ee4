"""Following what a service prints: no event is lost, whenever it comes."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.errors import MeasureError
from harness.events import EventStream, Tick
from harness.runtime.base import Service, ServiceSpec, make_owner
from harness.runtime.process import ProcessRuntime

PRINTER = """\
import json, pathlib, sys, time
for line in json.loads(pathlib.Path(sys.argv[1], "config.json").read_text())["lines"]:
    print(json.dumps(line), flush=True)
"""
TICK = {"event": "tick", "at_ns": 1, "ok": 2, "errors": 0, "connections": 1}


class Printer:
    """Starts services that print lines of JSON and end."""

    def __init__(self, folder: Path) -> None:
        (folder / "images" / "printer").mkdir(parents=True)
        (folder / "images" / "printer" / "main.py").write_text(PRINTER)
        self._runtime = ProcessRuntime(make_owner("test-events"), folder / "images", folder / "work")
        self.started: list[Service] = []

    def __call__(self, *lines: dict[str, object]) -> Service:
        spec = ServiceSpec("printer", "tool", "printer", {"lines": list(lines)}, ())
        self.started.append(self._runtime.start(spec))
        return self.started[-1]


@pytest.fixture
def printer(tmp_path: Path) -> Iterator[Printer]:
    made = Printer(tmp_path)
    yield made
    for service in made.started:
        service.remove()


def test_what_comes_while_ticks_are_passed_on_is_kept_for_whoever_expects_it(printer: Printer) -> None:
    ticks: list[Tick] = []
    service = printer({"event": "started"}, TICK, {"event": "drained"}, {"event": "done"})
    with EventStream(service, 10, ticks.append) as events:
        events.expect("started", 10)
        deadline_s = time.monotonic() + 10
        while not events.has("done") and time.monotonic() < deadline_s:
            time.sleep(0.01)
        with pytest.raises(MeasureError):
            events.pump_until(time.monotonic_ns() + 2_000_000_000)  # it has ended; what it said before is not lost
        assert events.has("drained")
        assert events.has("done")
        assert events.expect("drained", 0.1) == {"event": "drained"}
        assert events.expect("done", 0.1) == {"event": "done"}
    assert [tick.ok for tick in ticks] == [2]


class Late(EventStream):
    """Followed by a thread that wakes up late: a busy machine."""

    def _next(self, deadline_ns: int) -> dict[str, Any] | None:
        time.sleep(max(0.0, (deadline_ns - time.monotonic_ns()) / 1e9) + 0.01)
        return super()._next(deadline_ns)


def test_whoever_looks_late_finds_the_service_ended_and_that_was_not_too_early(printer: Printer) -> None:
    service = printer()
    service.wait(10)
    with Late(service, 10) as events:
        events.pump_until(time.monotonic_ns() + 200_000_000)
    with EventStream(service, 10) as events, pytest.raises(MeasureError, match="ended too early"):
        events.pump_until(time.monotonic_ns() + 2_000_000_000)


def test_an_error_that_it_reports_is_raised_where_it_is_met(printer: Printer) -> None:
    service = printer({"event": "error", "message": "no port"})
    with EventStream(service, 10) as events, pytest.raises(MeasureError, match="printer: no port"):
        events.expect("ready", 10)


def test_an_end_before_the_event_is_told_with_its_output(printer: Printer) -> None:
    with EventStream(printer({"event": "ready"}), 10) as events:
        events.expect("ready", 10)
        with pytest.raises(MeasureError, match=json.dumps({"event": "ready"})):
            events.expect("done", 10)
