"""Think times: how long, how spread, and that no connection waits for another's."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice, pairwise
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from client.books.accounts import Accounts
from client.config import Config
from client.loads.closed_loop import Thinking, Thinks
from client.pace.alarm import Alarm
from client.pace.schedule import WHOLE, Share
from client.wire.slot import Slot
from client.wire.states import IDLE
from harness.histogram import percentile
from tests.client.anderson_darling import CRITICAL, statistic
from tests.client.running import checked, run
from tests.client.servers import CLOSE_RESPONSE, OK_RESPONSE, answering, running

MS, S = 1_000_000, 1_000_000_000


def config(**settings: object) -> Config:
    return Config(**{"url": "", "think_s": 0.1, **settings})  # type: ignore[arg-type]


@dataclass
class World:
    """Connections that answer `service_ns` after each send, around the real loop, on a simulated clock."""

    connections: int
    config: Config
    service_ns: int = 5 * MS
    late_ns: int = 0  # of the alarm
    now: int = 0
    sends: list[list[int]] = field(default_factory=list)  # by connection
    lags: list[int] = field(default_factory=list)
    armed: int = 0  # how often the alarm was set
    _alarm: tuple[int, Callable[[], None]] | None = None
    _answers: list[tuple[int, int]] = field(default_factory=list)

    def at(self, time_ns: int, callback: Callable[[], None]) -> None:
        """The alarm that the loop sets."""
        self.armed += 1
        self._alarm = (time_ns, callback)

    def play(self, length_ns: int) -> "World":
        """Run for so long, and then to the last answer."""
        books = Accounts(self.config)
        loop = Thinking(Thinks(self.config, WHOLE), cast(Alarm, self), books, clock=lambda: self.now)
        slots = [_Slot(self, number) for number in range(self.connections)]
        self.sends = [[] for _ in slots]
        loop.begin(cast(list[Slot], slots), 0, length_ns)
        stopped = False
        while self._answers or (self._alarm and not stopped):
            if self._alarm and (not self._answers or self._alarm[0] + self.late_ns <= self._answers[0][0]):
                (time_ns, callback), self._alarm = self._alarm, None
                self.now = max(self.now, time_ns + self.late_ns)
                if not stopped:
                    callback()
            else:
                answered, number = heapq.heappop(self._answers)
                self.now = max(self.now, answered)
                loop.ready(cast(Slot, slots[number]), self.now)
            if self.now >= length_ns and not stopped:
                stopped = True
                loop.stop()
        books.lags.log.set_aside()
        self.lags = books.lags.log.take(1 << 30)[:, 1].tolist()
        return self


@dataclass
class _Slot:
    """What the loop sees of a slot."""

    world: World
    number: int
    state: int = IDLE

    def launch(self, intended_ns: int, now_ns: int) -> None:
        assert intended_ns == now_ns == self.world.now
        self.world.sends[self.number].append(now_ns)
        heapq.heappush(self.world._answers, (now_ns + self.world.service_ns, self.number))


def test_a_constant_think_time_lies_between_each_answer_and_the_next_request_to_the_nanosecond() -> None:
    world = World(20, config(thinking="constant")).play(2 * S)
    gaps = {later - sent for sends in world.sends for sent, later in pairwise(sends)}
    assert gaps == {105 * MS}
    assert set(world.lags) == {0}


def test_exponential_think_times_have_their_mean_and_shape() -> None:
    world = World(200, config(), service_ns=0).play(5 * S)
    gaps = [later - sent for sends in world.sends for sent, later in pairwise(sends)]
    drawn = np.array(list(islice(Thinks(config(), WHOLE).each(), 20_000)), np.float64)
    assert statistic(drawn, 10) < CRITICAL
    assert len(gaps) == pytest.approx(200 * 5 * 10, rel=0.05)


@pytest.mark.parametrize("thinking", ["constant", "exponential"])
def test_connections_do_not_go_in_step(thinking: str) -> None:
    """Of 1,000 connections with 0.1 s of thought no 5 ms has much more than its share, from the first request on."""
    world = World(1_000, config(thinking=thinking), service_ns=MS).play(S)
    in_5_ms = np.bincount([sent // (5 * MS) for sends in world.sends for sent in sends])
    assert in_5_ms[:200].max() < 90  # 50 on average, of a spread of about 7
    assert in_5_ms[:20].min() > 20


def test_what_the_alarm_is_late_is_send_lag() -> None:
    world = World(5, config(thinking="constant"), late_ns=3 * MS).play(S)
    assert len(world.lags) == sum(map(len, world.sends))
    assert 0 < max(world.lags) <= 3 * MS
    assert sum(lag == 3 * MS for lag in world.lags) > 0.4 * len(world.lags)


def test_ten_thousand_thinking_connections_set_the_alarm_no_more_often_than_it_rings() -> None:
    world = World(10_000, config(thinking="constant", think_s=1.0), service_ns=100_000).play(2 * S)
    assert sum(map(len, world.sends)) == pytest.approx(20_000, rel=0.01)
    assert world.armed <= sum(map(len, world.sends)) + 10


def test_think_times_follow_from_the_seed_and_differ_between_processes() -> None:
    def some(share: Share, seed: int = 1) -> list[int]:
        return list(islice(Thinks(config(seed=seed), share).each(), 50))

    assert some(WHOLE) == some(WHOLE)
    assert len({tuple(each) for each in (some(WHOLE), some(Share(0, 2)), some(Share(1, 2)), some(WHOLE, 2))}) == 4


@pytest.mark.slow
@pytest.mark.parametrize("thinking", ["constant", "exponential"])
@pytest.mark.parametrize("lifetime", ["keep-alive", "per-request"])
def test_a_thinking_client_makes_as_many_requests_as_its_think_time_allows(
    tmp_path: Path, lifetime: str, thinking: str
) -> None:
    """20 connections, 0.1 s: at most 200/s on average. Nothing is lost, and lags are noted for each request."""
    once = lifetime == "per-request"
    with running(answering(CLOSE_RESPONSE if once else OK_RESPONSE, then_close=once)) as server:
        settings = {"connections": 20, "think_s": 0.1, "window_s": 1.5, "lifetime": lifetime, "thinking": thinking}
        report = checked(run(tmp_path, url=server.url, **settings))
    assert report.errors == {}
    assert 0 < report.ok <= (310 if thinking == "constant" else 400)
    assert sum(report.histograms["send_lag"].values()) == report.sent
    assert report.life_ok == server.requests
    response, service = (percentile(report.histograms[name], 50) or 0 for name in ("response", "service"))
    assert response > service if once else response == service  # with the connect, and without


@pytest.mark.slow
def test_after_a_failure_a_connection_thinks_too(tmp_path: Path) -> None:
    """Without a pause 4 connections would make thousands of requests to a server that hangs up on each."""
    with running(answering(b"", then_close=True)) as server:
        report = checked(run(tmp_path, url=server.url, connections=4, think_s=0.1, thinking="constant", window_s=1.0))
    assert report.ok == 0
    assert set(report.errors) == {"closed"}
    assert report.intended <= 44
