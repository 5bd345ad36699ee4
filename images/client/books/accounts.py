"""The books of a run: the logs that the hot path fills, folded in bulk and never for long."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from client.books import outcome
from client.books.buckets import Histogram
from client.books.growth import Growth, merged
from client.books.records import Log, key_of
from client.books.spread import Spread
from client.books.tally import Parts, Tally
from client.books.totals import Totals, Window
from client.config import Config
from client.pace.rates import phases_of, rates_of
from client.pace.schedule import WHOLE, Schedule, Share, newcomers_of, schedule_of

_PENDING_LIMIT_BYTES = 64 << 20  # two million requests: only beyond it is there any folding while the load runs
_ROWS_WHILE_RUNNING = 4_096  # about 0.5 ms of folding: of fewer rows hardly less, as what is cold has to be fetched
_MISSING = -1
_ROWS_AT_THE_END = 16_384  # columns of 128 KiB: temporaries stay in the cache and off mmap


class PairLog:
    """(intended, a length of time) pairs and their histogram over a span of intended times.

    Attributes:
        missing: how many in that span should have had a length and never got one.
        phases: the histograms of the parts of that span, where it is counted in parts.
    """

    def __init__(self) -> None:
        self.log = Log(columns=2)
        self._histogram = Histogram()
        self.missing = 0
        self.over(0, 0)

    def push(self, intended_ns: int, length_ns: int) -> None:
        """Note one pair."""
        self.log.push(intended_ns)
        self.log.push(length_ns)

    def miss(self, intended_ns: int) -> None:
        """Note one that did not come to an end: it has no length, and still counts."""
        self.push(intended_ns, _MISSING)

    def over(self, from_ns: int, to_ns: int, phases: Sequence[int] = ()) -> None:
        """Count only what is intended in [from, to), and apart what is intended in each of its phases."""
        self._from_ns, self._to_ns = from_ns, to_ns
        self._parts = Parts(phases)
        self.phases = [Histogram() for _ in range(self._parts.count)]

    def fold(self, most_rows: int) -> None:
        """Fold about so many rows."""
        rows = self.log.take(most_rows)
        if not len(rows):
            return
        inside = (rows[:, 0] >= self._from_ns) & (rows[:, 0] < self._to_ns)
        lengths = rows[inside, 1]
        there = lengths != _MISSING
        self.missing += len(lengths) - int(np.count_nonzero(there))
        self._histogram.add(lengths[there])
        if self.phases:
            which, lengths = self._parts.of(rows[inside, 0][there]), lengths[there]
            for i in np.unique(which).tolist():
                self.phases[i].add(lengths[which == i])

    def sparse(self) -> dict[int, int]:
        """Bucket index: count."""
        return self._histogram.sparse()


class Accounts:
    """Logs and totals of one run."""

    def __init__(self, config: Config, share: Share = WHOLE, *, alone: bool = True) -> None:
        """The books of a process that is a client of its own (`alone`), or whose report is one part of its client's."""
        self._config = config
        self._alone = alone
        self._share = share
        self.requests = Log(columns=4)  # (intended, sent or 0, ended, key)
        self.connects = PairLog()
        self.first_bytes = PairLog()
        self.lags = PairLog()
        self.lost = Log(columns=1)  # when a kept connection was ended by the server
        self.unclosed = Log(columns=2)  # (intended, given up) of last requests after which the server did not close
        self.growth = Growth() if config.growth_per_s is not None else None
        self._pairs = (self.connects, self.first_bytes, self.lags)
        self.failed = 0  # requests that ended in an error so far
        self.draw_kind: Callable[[], int] = lambda: 0  # of a request that never gets as far as a connection
        self.slots = config.connections + newcomers_of(config, share)
        self._totals = Totals(Window(0, 0, 0), self.slots)  # until the real window is known
        self._schedule: Schedule | None = None
        self._start_ns = 0

    @property
    def ended(self) -> int:
        """Requests that have ended so far, however they did."""
        return self.requests.rows + (self.growth.firsts.rows if self.growth else 0)

    def unsent(self, intended_ns: int, now_ns: int) -> None:
        """A request found no connection in time; it belongs to no slot, and never came to open one."""
        if self._config.per_request:
            self.first_bytes.miss(intended_ns)
        for number in (intended_ns, 0, now_ns, key_of(self.slots, outcome.UNSENT, self.draw_kind())):
            self.requests.push(number)
        self.failed += 1

    def over(self, start_ns: int, window: Window) -> None:
        """Fix the window. Until then everything is only gathered."""
        config = self._config
        phases = phases_of(config, window.start_ns)
        self._start_ns = start_ns
        self._totals = Totals(
            window,
            self.slots,
            asked_for=config.connections,
            phases=phases,
            kinds=len(config.mix),
            spread=Spread(len(config.servers), config.first_connection, config.connections),
        )
        if config.open_loop:
            self._schedule = schedule_of(config, self._share, start_ns)
        # Kept connections are opened ahead of the window, so theirs counts whenever it was; see docs/contract.
        opened_from_ns = window.start_ns if config.per_request else 0
        self.connects.over(opened_from_ns, window.end_ns)
        self.first_bytes.over(opened_from_ns, window.end_ns)
        self.lags.over(window.start_ns, window.end_ns, phases)

    def keep(self) -> None:
        """Called every few milliseconds: set aside what is new, and fold a little when too much has gathered."""
        logs = self._logs()
        for log in (*logs, self.lost, self.unclosed):
            log.set_aside()
        if self._totals.window.end_ns and sum(log.pending_bytes for log in logs) > _PENDING_LIMIT_BYTES:
            self._fold(_ROWS_WHILE_RUNNING)

    def close(self) -> dict[str, object]:
        """Fold all that is left; the counted part of the report."""
        totals, window = self._totals, self._totals.window
        self.keep()
        while any(log.pending_bytes for log in self._logs()):
            self._fold(_ROWS_AT_THE_END)
        return {
            **_counts(totals.whole),
            "schedule": self._schedule and self._schedule.count(window.start_ns, window.end_ns),
            "completed_in_window": totals.completed_in_window,
            "in_flight_integral_s": totals.in_flight_integral_ns / 1e9,
            "in_flight_starved_integral_s": totals.in_flight_starved_integral_ns / 1e9,
            "residence_s": totals.residence_ns / 1e9,
            "connections_lost": _within(window, self.lost),
            "connections_unclosed": _across(window, self.unclosed),
            "connections_served": totals.served,
            "connections_starved": totals.starved,
            "connect_missing": self.connects.missing,
            "first_byte_missing": self.first_bytes.missing,
            "life_ok": totals.life_ok,
            "life_unknown": totals.life_unknown,
            "bytes_received": totals.bytes_received,
            "per_100ms": totals.per_slice.tolist(),
            "errors_per_100ms": totals.errors_per_slice.tolist(),
            "phases": self._phases(),
            "mix": [_mix_share(tally) for tally in totals.kinds],
            "growth": self._grown(),
            "by_server": totals.spread.report(),
            "histograms": {
                "response": totals.whole.response.sparse(),
                "service": totals.whole.service.sparse(),
                "first_byte": self.first_bytes.sparse(),
                "connect": self.connects.sparse(),
                "send_lag": self.lags.sparse(),
            },
        }

    def _phases(self) -> list[dict[str, object]]:
        """The window part by part; the rate is that of the whole client, as its processes share it."""
        totals = self._totals
        rates = rates_of(self._config, self._start_ns)
        spans = pairwise(totals.parts.edges)
        return [
            {
                "from_ns": from_ns,
                "to_ns": to_ns,
                "rate_per_s": rates.expected(from_ns, to_ns) / (to_ns - from_ns) * 1e9,
                **_counts(tally),
                "completed": completed,
                "histograms": {
                    "response": tally.response.sparse(),
                    "service": tally.service.sparse(),
                    "send_lag": lags.sparse(),
                },
            }
            for (from_ns, to_ns), tally, completed, lags in zip(
                spans, totals.phases, totals.completed_in_phase.tolist(), self.lags.phases, strict=True
            )
        ]

    def _grown(self) -> dict[str, object] | None:
        """As in the report; of one process among several, what is needed to make them one (client.books.growth)."""
        if self.growth is None:
            return None
        return merged([self.growth.part()]) if self._alone else self.growth.part()

    def _logs(self) -> list[Log]:
        """All that is folded while the load runs, if it must be."""
        return [self.requests, *([self.growth.firsts] if self.growth else []), *(pair.log for pair in self._pairs)]

    def _fold(self, most_rows: int) -> None:
        self._totals.fold(self.requests.take(most_rows))
        if self.growth is not None:
            firsts = self.growth.firsts.take(most_rows)
            self.growth.fold(firsts, self._totals.window.timeout_ns)
            self._totals.fold(firsts, scheduled=False)
        for pair in self._pairs:
            pair.fold(most_rows)


def _within(window: Window, log: Log) -> int:
    """Folded at the very end only: they are few, and no moment of the load is spent on them."""
    times = log.take(log.rows)[:, 0]
    return int(np.count_nonzero((times >= window.start_ns) & (times < window.end_ns)))


def _across(window: Window, log: Log) -> int:
    """How many of these (beginning, end) fall into the window with a part of them."""
    spans = log.take(log.rows)
    return int(np.count_nonzero((spans[:, 0] < window.end_ns) & (spans[:, 1] >= window.start_ns)))


def _counts(tally: Tally) -> dict[str, object]:
    return {"intended": tally.intended, "sent": tally.sent, "ok": tally.ok, "errors": tally.errors()}


def _mix_share(tally: Tally) -> dict[str, object]:
    return {
        "intended": tally.intended,
        "ok": tally.ok,
        "errors": tally.errors(),
        "response": tally.response.sparse(),
    }
