"""The load clients of a trial, led as one: all connect, all start at one instant, and their reports become one.

The barrier is a time, not a message: each client is told beforehand when to start, in the clock of its own host. So clients on
several hosts start together as exactly as the hosts' clocks are known, whatever the way that the message takes.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from harness.deploy import fetch_record
from harness.errors import MeasureError
from harness.events import EventStream, Tick
from harness.hosts.connection import CONTROLLERS_CLOCK, ClockOffset
from harness.merging import merged_clients, shifted
from harness.raw import ClientReport
from harness.runtime.base import Service

TURN_NS = 100_000_000  # the longest that one client's events are listened to while those of others wait


@dataclass(frozen=True)
class LoadClient:
    """One of them."""

    service: Service
    clock: ClockOffset = CONTROLLERS_CLOCK  # of its host


@dataclass(frozen=True)
class Timeline:
    """The instants of a load, CLOCK_MONOTONIC of the controller."""

    start_ns: int
    window_start_ns: int
    window_end_ns: int


class LoadClients:
    """Speaks to all, and hears all. Made by `led`."""

    def __init__(self, clients: Sequence[LoadClient], streams: Sequence[EventStream], pool: ThreadPoolExecutor) -> None:
        self._clients = clients
        self._streams = streams
        self._pool = pool

    def expect(self, name: str, timeout_s: float) -> list[dict[str, Any]]:
        """The event of this name from each of them.

        Raises:
            MeasureError: one of them did not say it in time, ended, or reported an error.
        """
        deadline_s = time.monotonic() + timeout_s
        return [stream.expect(name, max(deadline_s - time.monotonic(), 0.0)) for stream in self._streams]

    def put(self, name: str, content: object = None) -> None:
        """Hand each of them the same file."""
        self._put_each(name, [content or {}] * len(self._clients))

    def start(self, delay_ns: int, timeout_s: float) -> Timeline:
        """Have all of them start at one instant.

        Args:
            delay_ns: from now to that instant; long enough for every client to hear of it.
            timeout_s: how long they may take to say that they have.

        Raises:
            MeasureError: one of them did not, or starts at another time.
        """
        start_ns = time.monotonic_ns() + delay_ns
        self._put_each("start.json", [{"start_ns": client.clock.on_host(start_ns)} for client in self._clients])
        told = self.expect("started", timeout_s)
        timelines = {
            Timeline(*(client.clock.on_controller(said[name]) for name in Timeline.__dataclass_fields__))
            for client, said in zip(self._clients, told, strict=True)
        }
        if len(timelines) > 1:
            late_ms = (max(each.start_ns for each in timelines) - start_ns) / 1e6
            raise MeasureError(
                f"the load clients did not start together: one heard of it {late_ms:.0f} ms too late; try again"
            )
        return timelines.pop()

    def pump_until(self, at_ns: int) -> None:
        """Pass ticks on until an instant of the controller's clock, each client's in turn.

        Raises:
            MeasureError: one of them ended before that instant, or reported an error.
        """
        while (now_ns := time.monotonic_ns()) < at_ns:
            for stream in self._streams:
                stream.pump_until(min(at_ns, now_ns + TURN_NS))
                now_ns = time.monotonic_ns()

    def has(self, name: str) -> bool:
        """Whether any of them has said this, and nobody has taken note yet."""
        return any(stream.has(name) for stream in self._streams)

    def wait(self, timeout_s: float) -> None:
        """Wait for the end of all.

        Raises:
            DeployError: one of them did not end in time.
        """
        for client in self._clients:
            client.service.wait(timeout_s)

    def reports(self) -> list[ClientReport]:
        """What each of them counted, in the controller's clock.

        Raises:
            MeasureError: one of them left no report, or none that is right: then there is no number at all.
        """
        found = self._pool.map(lambda one: fetch_record(one.service, "client.json", ClientReport), self._clients)
        return [shifted(report, -client.clock.offset_ns) for client, report in zip(self._clients, found, strict=True)]

    def report(self) -> ClientReport:
        """What they counted together."""
        return merged_clients(self.reports())

    def logs(self) -> dict[str, str]:
        """What each of them printed, by its role; of several, numbered."""
        several = len(self._clients) > 1
        return {
            f"client-{number}" if several else "client": client.service.logs()
            for number, client in enumerate(self._clients, start=1)
        }

    def _put_each(self, name: str, contents: Sequence[object]) -> None:
        """Side by side: what is handed over one after the other comes late to the last."""
        made = [json.dumps(content).encode() for content in contents]
        list(self._pool.map(lambda client, data: client.service.put(name, data), self._clients, made))


@contextlib.contextmanager
def led(clients: Sequence[LoadClient], silence_s: float, on_tick: Callable[[Tick], None]) -> Iterator[LoadClients]:
    """Follow clients that have been started.

    Args:
        clients: at least one.
        silence_s: after so long without a line a client counts as ended.
        on_tick: told of the sum of their ticks.
    """
    totals = _Totals(len(clients), on_tick)
    with contextlib.ExitStack() as open_ones:
        pool = open_ones.enter_context(ThreadPoolExecutor(len(clients)))
        streams = [
            open_ones.enter_context(EventStream(client.service, silence_s, totals.of(number)))
            for number, client in enumerate(clients)
        ]
        yield LoadClients(clients, streams, pool)


class _Totals:
    """The sum of the last tick of each client, told whenever the last one of them has a new one."""

    def __init__(self, clients: int, on_tick: Callable[[Tick], None]) -> None:
        self._last: list[Tick | None] = [None] * clients
        self._on_tick = on_tick

    def of(self, number: int) -> Callable[[Tick], None]:
        """Takes the ticks of one of them."""

        def take(tick: Tick) -> None:
            self._last[number] = tick
            known = [last for last in self._last if last is not None]
            if number == len(self._last) - 1:
                self._on_tick(
                    Tick(
                        tick.at_ns,
                        sum(last.ok for last in known),
                        sum(last.errors for last in known),
                        sum(last.connections for last in known),
                    )
                )

        return take
