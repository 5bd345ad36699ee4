"""The books of a run: the logs that the hot path fills, folded in bulk and never for long."""

import numpy as np

from client import outcome
from client.buckets import Histogram
from client.config import Config
from client.records import Log, key_of
from client.schedule import ConstantRate
from client.totals import Totals, Window

_PENDING_LIMIT_BYTES = 64 << 20  # two million requests: only beyond it is there any folding while the load runs
_ROWS_WHILE_RUNNING = 2_048  # about 0.3 ms of folding
_MISSING = -1
_ROWS_AT_THE_END = 16_384  # columns of 128 KiB: temporaries stay in the cache and off mmap


class PairLog:
    """(intended, a length of time) pairs and their histogram over a span of intended times.

    Attributes:
        missing: how many in that span should have had a length and never got one.
    """

    def __init__(self) -> None:
        self.log = Log(columns=2)
        self._histogram = Histogram()
        self._from_ns = self._to_ns = 0
        self.missing = 0

    def push(self, intended_ns: int, length_ns: int) -> None:
        """Note one pair."""
        self.log.push(intended_ns)
        self.log.push(length_ns)

    def miss(self, intended_ns: int) -> None:
        """Note one that did not come to an end: it has no length, and still counts."""
        self.push(intended_ns, _MISSING)

    def over(self, from_ns: int, to_ns: int) -> None:
        """Count only what is intended in [from, to)."""
        self._from_ns, self._to_ns = from_ns, to_ns

    def fold(self, most_rows: int) -> None:
        """Fold about so many rows."""
        rows = self.log.take(most_rows)
        inside = (rows[:, 0] >= self._from_ns) & (rows[:, 0] < self._to_ns)
        lengths = rows[inside, 1]
        there = lengths != _MISSING
        self.missing += len(lengths) - int(np.count_nonzero(there))
        self._histogram.add(lengths[there])

    def sparse(self) -> dict[int, int]:
        """Bucket index: count."""
        return self._histogram.sparse()


class Accounts:
    """Logs and totals of one run."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.requests = Log(columns=4)  # (intended, sent or 0, ended, key)
        self.connects = PairLog()
        self.first_bytes = PairLog()
        self.lags = PairLog()
        self.lost = Log(columns=1)  # when a kept connection was ended by the server
        self._pairs = (self.connects, self.first_bytes, self.lags)
        self.failed = 0  # requests that ended in an error so far
        self._no_slot_key = key_of(config.connections, outcome.UNSENT)
        self._totals = Totals(Window(0, 0, 0), config.connections)  # until the real window is known
        self._schedule: ConstantRate | None = None

    def unsent(self, intended_ns: int, now_ns: int) -> None:
        """A request found no connection in time; it belongs to no slot, and never came to open one."""
        if self._config.per_request:
            self.first_bytes.miss(intended_ns)
        for number in (intended_ns, 0, now_ns, self._no_slot_key):
            self.requests.push(number)
        self.failed += 1

    def over(self, start_ns: int, window: Window) -> None:
        """Fix the window. Until then everything is only gathered."""
        config = self._config
        self._totals = Totals(window, config.connections)
        if config.rate_per_s is not None:
            self._schedule = ConstantRate.per_second(config.rate_per_s, start_ns)
        # Kept connections are opened ahead of the window, so theirs counts whenever it was; see docs/contract.
        opened_from_ns = window.start_ns if config.per_request else 0
        self.connects.over(opened_from_ns, window.end_ns)
        self.first_bytes.over(opened_from_ns, window.end_ns)
        self.lags.over(window.start_ns, window.end_ns)

    def keep(self) -> None:
        """Called every few milliseconds: set aside what is new, and fold a little when too much has gathered."""
        logs = (self.requests, self.lost, *(pair.log for pair in self._pairs))
        for log in logs:
            log.set_aside()
        if self._totals.window.end_ns and sum(log.pending_bytes for log in logs) > _PENDING_LIMIT_BYTES:
            self._fold(_ROWS_WHILE_RUNNING)

    def close(self) -> dict[str, object]:
        """Fold all that is left; the counted part of the report."""
        totals, window = self._totals, self._totals.window
        self.keep()
        while any(log.pending_bytes for log in (self.requests, *(pair.log for pair in self._pairs))):
            self._fold(_ROWS_AT_THE_END)
        return {
            "intended": totals.intended,
            "sent": totals.sent,
            "ok": int(totals.endings[outcome.OK]),
            "errors": {
                name: count
                for name, count in zip(outcome.NAMES, totals.endings.tolist(), strict=True)
                if count and name != "ok"
            },
            "schedule": self._schedule and self._schedule.count(window.start_ns, window.end_ns),
            "completed_in_window": totals.completed_in_window,
            "in_flight_integral_s": totals.in_flight_integral_ns / 1e9,
            "in_flight_starved_integral_s": totals.in_flight_starved_integral_ns / 1e9,
            "residence_s": totals.residence_ns / 1e9,
            "connections_lost": self._lost_within(window),
            "connections_served": totals.served,
            "connections_starved": totals.starved,
            "connect_missing": self.connects.missing,
            "first_byte_missing": self.first_bytes.missing,
            "life_ok": totals.life_ok,
            "life_unknown": totals.life_unknown,
            "bytes_received": totals.bytes_received,
            "per_100ms": totals.per_slice.tolist(),
            "histograms": {
                "response": totals.response.sparse(),
                "service": totals.service.sparse(),
                "first_byte": self.first_bytes.sparse(),
                "connect": self.connects.sparse(),
                "send_lag": self.lags.sparse(),
            },
        }

    def _lost_within(self, window: Window) -> int:
        """Folded at the very end only: they are few, and no moment of the load is spent on them."""
        times = self.lost.take(self.lost.rows)[:, 0]
        return int(np.count_nonzero((times >= window.start_ns) & (times < window.end_ns)))

    def _fold(self, most_rows: int) -> None:
        self._totals.fold(self.requests.take(most_rows))
        for pair in self._pairs:
            pair.fold(most_rows)
