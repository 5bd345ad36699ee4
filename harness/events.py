"""The events that services print while they run, one JSON object a line."""

import contextlib
import json
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.errors import MeasureError
from harness.runtime.base import Service


@dataclass(frozen=True)
class Tick:
    """What the client said while running: totals so far."""

    at_ns: int
    ok: int
    errors: int
    connections: int


class EventStream:
    """The events that a service prints, one JSON object a line, read by a thread of its own."""

    def __init__(self, service: Service, silence_s: float, on_tick: Callable[[Tick], None] | None = None) -> None:
        """Follow a service.

        Args:
            service: that prints.
            silence_s: after so long without a line it counts as ended.
            on_tick: told of its ticks.
        """
        self._service = service
        self._silence_s = silence_s
        self._on_tick = on_tick
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._early: deque[dict[str, Any]] = deque()  # came while only ticks were looked for
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> "EventStream":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to do: the thread ends with the service's output, and its queue with it."""

    def _read(self) -> None:
        with contextlib.suppress(Exception):  # whatever ends the stream, `expect` meets the silence with its deadline
            for line in self._service.lines(self._silence_s):
                with contextlib.suppress(ValueError):
                    event = json.loads(line)
                    if isinstance(event, dict):
                        self._events.put(event)
        self._events.put(None)

    def expect(self, name: str, timeout_s: float) -> dict[str, Any]:
        """The next event of a name; ticks before it are passed on.

        Raises:
            MeasureError: it did not come in time, the service ended, or it reported an error.
        """
        deadline_ns = time.monotonic_ns() + round(timeout_s * 1e9)
        while True:
            event = self._early.popleft() if self._early else self._next(deadline_ns)
            if event is not None and event.get("event") == name:
                return event
            if event is None:
                waited = f"{self._service.spec.name}: no {name!r} event"
                why = f"within {timeout_s:.0f} s" if self._service.running() else "before it ended"
                raise MeasureError(f"{waited} {why}; its last output:\n{self._service.logs()}")

    def pump_until(self, at_ns: int) -> None:
        """Pass ticks on until an instant of the monotonic clock; what else comes is kept for `expect`.

        On a busy machine this thread may wake up late, when the service is a step further already, or has ended as it
        should: a client has little to do after the window where connections are not kept.

        Raises:
            MeasureError: the service ended before that instant, or reported an error.
        """
        while time.monotonic_ns() < at_ns:
            event = self._next(at_ns)
            if event is not None and event.get("event") != "tick":
                self._early.append(event)
            elif event is None and not self._service.running() and time.monotonic_ns() < at_ns:
                raise MeasureError(
                    f"{self._service.spec.name} ended too early; its last output:\n{self._service.logs()}"
                )

    def has(self, name: str) -> bool:
        """Whether an event of a name has come and not been taken yet."""
        with self._events.mutex:
            coming = [*self._early, *self._events.queue]
        return any(event is not None and event.get("event") == name for event in coming)

    def _next(self, deadline_ns: int) -> dict[str, Any] | None:
        try:
            event = self._events.get(timeout=max(0.0, (deadline_ns - time.monotonic_ns()) / 1e9))
        except queue.Empty:
            return None
        if event is not None and event.get("event") == "error":
            raise MeasureError(f"{self._service.spec.name}: {event.get('message')}")
        if event is not None and event.get("event") == "tick" and self._on_tick is not None:
            self._on_tick(Tick(event["at_ns"], event["ok"], event["errors"], event["connections"]))
        return event
