"""One run of the client, from the first connection to the report: the life cycle of docs/contract/README.md."""

import asyncio
import gc
import json
import socket
import time
from functools import partial
from pathlib import Path

from client.books.accounts import Accounts
from client.books.totals import Window
from client.books.usage import Use, entry, memory_bytes
from client.config import Config
from client.errors import CannotRunError
from client.events import emit
from client.loads.closed_loop import ClosedLoop, Thinking, Thinks
from client.loads.hold import Hold, Newcomers
from client.loads.loops import Loop
from client.loads.open_loop import OpenLoop
from client.pace.alarm import Alarm
from client.pace.schedule import ConstantRate, Share, growth_at, schedule_of
from client.protocols.by_scheme import wire_of
from client.wire.mix import Mix
from client.wire.shared import Shared
from client.wire.slot import Slot
from client.wire.sources import Sources
from client.wire.states import CONNECTING
from client.wire.target import Target, nothing_listens, reason_of
from client.wire.tls import Tls

_FIRST_ANSWER_DEADLINE_S = 1.0  # of the connect phase; a starved connection is no reason to wait longer
_START_DEADLINE_S = 60.0
_START_POLL_S = 0.005
_SWEEP_S = 0.01
_SWEPT_AT_ONCE = 512  # slots looked at per sweep, about 25 µs; of more slots a deadline is noticed later, not wrongly
_TICK_NS = 500_000_000

_clock = time.monotonic_ns


class Run:
    """Everything that lives as long as a run."""

    def __init__(
        self, config: Config, folder: Path, loop: asyncio.AbstractEventLoop, share: Share, *, alone: bool = True
    ) -> None:
        """A run of a client that is one process (`alone`), or of one of its processes."""
        self._config = config
        self._share = share  # of the load, among several processes
        self._folder = folder
        self._loop = loop
        self._timeout_ns = round(config.timeout_s * 1e9)
        self._sources = Sources(config.sources) if config.sources else None
        self._target = Target.of(config.url, self._sources.family if self._sources else socket.AF_UNSPEC)
        self._accounts = Accounts(config, share, alone=alone)
        self._edge = Alarm(loop)
        self._pace = Alarm(loop)
        self._load = self._make_load()
        self._shared = self._make_shared()
        self._memory_bytes = memory_bytes()  # before there are connections; after that, what came with them
        self._slots = [Slot(number, self._shared) for number in range(config.connections)]
        self._swept = 0
        self._next_tick_ns: int | None = None
        self._begun_ns = 0

    def _make_load(self) -> Loop:
        config, share, accounts = self._config, self._share, self._accounts
        if not config.open_loop:
            return Thinking(Thinks(config, share), self._pace, accounts) if config.think_s else ClosedLoop()
        schedule_from = partial(schedule_of, config, share)
        stream = OpenLoop(schedule_from, self._pace, accounts, self._timeout_ns, next_turn=self._loop.call_soon)
        return stream if config.kind == "open" else Hold(stream, self._make_newcomers(stream))

    def _make_newcomers(self, stream: OpenLoop) -> Newcomers | None:
        """Where a hold load grows: who opens the new connections."""
        books, rate_per_s = self._accounts.growth, self._config.growth_per_s
        if books is None or rate_per_s is None:
            return None
        return Newcomers(
            partial(growth_at, rate_per_s, self._share),
            Alarm(self._loop),
            self._accounts,
            books,
            open_slot=self._open_slot,
            held=lambda: self._shared.held,
            stream_first=stream.catch_up,
        )

    def _open_slot(self) -> Slot:
        """One more than were asked for."""
        slot = Slot(len(self._slots), self._shared)
        self._slots.append(slot)
        return slot

    def _make_shared(self) -> Shared:
        config, accounts = self._config, self._accounts
        targets = [self._target.at(server) for server in config.servers] or [self._target]
        found = [target.addresses() for target in targets]
        tls = Tls(config, self._target.host) if self._target.encrypted else None
        wire, mix = wire_of(config, self._target), None
        if config.mix:
            mix = Mix([kind.weight for kind in config.mix], config.seed, self._share.index)
            accounts.draw_kind = mix.unsent.draw
        greets = bool(wire.session().greeting())
        # Kept connections tell by themselves whether anything listens; otherwise, and among several addresses, ask.
        probed = config.per_request or any(len(each) > 1 for each in found) or tls is not None or greets
        return Shared(
            loop=self._loop,
            addresses=tuple(
                target.reach(tls, wire.session()) if probed else each[0]
                for target, each in zip(targets, found, strict=True)
            ),
            first_connection=config.first_connection,
            wire=wire,
            mix=mix,
            requests_per_connection=config.requests_per_connection,
            accounts=accounts,
            tls=tls,
            ready=self._load.ready,
            sources=self._sources,
            opened=len(targets) if probed else 0,
        )

    async def live(self) -> None:
        """The whole life, with an event for each step.

        Raises:
            CannotRunError: nothing listens, or nobody gave the start.
        """
        self._sweep()
        if self._config.wait_to_connect:
            await self._appearance_of("connect.json")
        await self._connect()
        self._memory_bytes = memory_bytes() - self._memory_bytes
        gc.freeze()
        gc.disable()  # nothing here makes cycles, and a collection in the window would be a stall of our own
        emit("ready")
        start_ns = await self._wait_for_start()
        if self._share.of == 1:  # several processes start at the one time given, and a late one catches up
            start_ns = max(start_ns, _clock())
        window = self._window_from(start_ns)
        self._accounts.over(start_ns, window)
        emit("started", start_ns=start_ns, window_start_ns=window.start_ns, window_end_ns=window.end_ns)
        use = await self._load_from(start_ns, window)
        await self._drain()
        emit("drained")
        await self._hold()
        for slot in self._slots:
            slot.close()
        self._write_report(start_ns, window, use)
        emit("done")

    async def _connect(self) -> None:
        """Open every kept connection, each with a first request, so that first bytes are timed from the connect."""
        if self._config.per_request:
            for slot in self._slots:
                self._load.ready(slot, _clock())
            return
        schedule = ConstantRate.per_second(self._config.connect_rate_per_s, _clock())
        for number, slot in enumerate(self._slots):
            intended = schedule.intended_ns(self._share.number(number))
            await (self._edge.until(intended) if intended > _clock() else asyncio.sleep(0))
            slot.launch(intended, _clock())
        deadline_ns = _clock() + round(min(_FIRST_ANSWER_DEADLINE_S, self._config.timeout_s) * 1e9)
        while _clock() < deadline_ns and any(slot.state >= CONNECTING for slot in self._slots):
            await asyncio.sleep(0.001)
        if not self._shared.opened:
            raise nothing_listens(self._target, reason_of(self._shared.last_errno))

    async def _wait_for_start(self) -> int:
        """The start that whoever runs several clients wants them to have in common, or now."""
        if not self._config.wait_for_start:
            return _clock()
        path = await self._appearance_of("start.json")
        try:
            return int(json.loads(path.read_text())["start_ns"])
        except (ValueError, KeyError, TypeError) as error:
            raise CannotRunError(f'{path}: must be {{"start_ns": <nanoseconds>}}: {error!r}') from error

    async def _appearance_of(self, name: str) -> Path:
        """The file by which whoever started the client says that it may go on."""
        path, deadline_ns = self._folder / name, _clock() + round(_START_DEADLINE_S * 1e9)
        while not path.exists():
            if _clock() > deadline_ns:
                raise CannotRunError(f"no {name} within {_START_DEADLINE_S:g} s; whoever started the client is gone")
            await asyncio.sleep(_START_POLL_S)
        return path

    async def _hold(self) -> None:
        """Keep the connections until somebody has seen enough of them, or the time for that is up."""
        path, until_ns = self._folder / "release.json", _clock() + round(self._config.plateau_s * 1e9)
        while _clock() < until_ns and not path.exists():
            await asyncio.sleep(_START_POLL_S)

    def _window_from(self, start_ns: int) -> Window:
        begin_ns = start_ns + round(self._config.warmup_s * 1e9)
        return Window(begin_ns, begin_ns + round(self._config.window_s * 1e9), self._timeout_ns)

    async def _load_from(self, start_ns: int, window: Window) -> Use:
        """Make the load; what that took of the CPU in the window."""
        await self._edge.until(start_ns)
        self._next_tick_ns = start_ns + _TICK_NS
        self._begun_ns = _clock()
        self._load.begin(self._slots, start_ns, window.end_ns)
        await self._edge.until(window.start_ns)
        before = Use.now()
        await self._edge.until(window.end_ns)
        use = Use.now().since(before)
        self._load.stop()
        return use

    async def _drain(self) -> None:
        """Wait until every request is answered or has failed; deadlines bound it."""
        while self._load.waiting or any(slot.state >= CONNECTING for slot in self._slots):
            await asyncio.sleep(0.002)
        self._next_tick_ns = None

    def _sweep(self) -> None:
        """What is done every few milliseconds beside the load: deadlines, books, ticks."""
        now = _clock()
        cutoff_ns = now - self._timeout_ns
        self._load.expire(cutoff_ns, now)
        for _ in range(min(len(self._slots), _SWEPT_AT_ONCE)):
            slot = self._slots[self._swept]
            self._swept = (self._swept + 1) % len(self._slots)
            if slot.state >= CONNECTING and slot.intended_ns <= cutoff_ns:
                slot.expire(now)
        self._accounts.keep()
        if self._next_tick_ns is not None and now >= self._next_tick_ns:
            self._next_tick_ns += _TICK_NS
            self._tick(now)
        self._loop.call_later(_SWEEP_S, self._sweep)

    def _tick(self, now_ns: int) -> None:
        errors = self._accounts.failed
        ok = self._accounts.ended - errors
        emit("tick", at_ns=now_ns, ok=ok, errors=errors, connections=self._shared.connected)

    def _write_report(self, start_ns: int, window: Window, use: Use) -> None:
        """Write the report, which appears whole or not at all."""
        config = self._config
        report: dict[str, object] = {
            "format": 1,
            "start_ns": start_ns,
            "begun_ns": self._begun_ns,
            "window_start_ns": window.start_ns,
            "window_end_ns": window.end_ns,
            "connections_opened": self._shared.opened,
            "cpu_user_s": use.user_s,
            "cpu_system_s": use.system_s,
            "processes": [entry(use, config.connections, None if config.per_request else self._memory_bytes)],
            **self._accounts.close(),
        }
        out = self._folder / "out"
        out.mkdir(exist_ok=True)
        half = out / "client.json.tmp"
        half.write_text(json.dumps(report))
        half.replace(out / "client.json")
