"""Alarms on the loop: never early, by both ways to a timerfd that this interpreter has."""

import asyncio
import os
import time
from collections.abc import Callable

import pytest
import uvloop

from client.pace.alarm import Alarm

WAYS = [True, False] if hasattr(os, "timerfd_create") else [True]
ms = 1_000_000


def on_a_loop(scene: Callable[[Alarm], "asyncio.Future[None] | None"], use_ctypes: bool) -> None:
    async def play() -> None:
        alarm = Alarm(asyncio.get_running_loop(), use_ctypes=use_ctypes)
        waiting = scene(alarm)
        await asyncio.wait_for(waiting or asyncio.sleep(0.05), 10)
        alarm.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(play())


@pytest.mark.parametrize("use_ctypes", WAYS)
def test_it_never_rings_before_its_time(use_ctypes: bool) -> None:
    early = []

    async def ring_often(alarm: Alarm) -> None:
        for i in range(1, 50):
            due = time.monotonic_ns() + i * 100_000
            await alarm.until(due)
            early.append(time.monotonic_ns() < due)

    on_a_loop(lambda alarm: asyncio.ensure_future(ring_often(alarm)), use_ctypes)
    assert early == [False] * 49


@pytest.mark.parametrize("use_ctypes", WAYS)
def test_arming_it_again_replaces_the_earlier_time(use_ctypes: bool) -> None:
    rung: list[str] = []

    def arm_twice(alarm: Alarm) -> None:
        alarm.at(time.monotonic_ns() + 5 * ms, lambda: rung.append("first"))
        alarm.at(time.monotonic_ns() + 10 * ms, lambda: rung.append("second"))

    on_a_loop(arm_twice, use_ctypes)
    assert rung == ["second"]


@pytest.mark.parametrize("use_ctypes", WAYS)
@pytest.mark.parametrize("due", [0, -5, 1])
def test_a_time_that_has_passed_rings_at_once_and_once(use_ctypes: bool, due: int) -> None:
    rung: list[int] = []
    on_a_loop(lambda alarm: alarm.at(due, lambda: rung.append(1)), use_ctypes)
    assert rung == [1]


@pytest.mark.parametrize("use_ctypes", WAYS)
def test_it_can_be_armed_from_its_own_callback(use_ctypes: bool) -> None:
    rung: list[int] = []

    def chain(alarm: Alarm) -> None:
        def ring() -> None:
            rung.append(1)
            if len(rung) < 5:
                alarm.at(time.monotonic_ns() + ms, ring)

        alarm.at(time.monotonic_ns(), ring)

    on_a_loop(chain, use_ctypes)
    assert rung == [1] * 5


@pytest.mark.parametrize("use_ctypes", WAYS)
def test_one_that_is_put_off_when_the_loop_has_seen_it_ring_already_rings_at_its_new_time(use_ctypes: bool) -> None:
    """Two ring in the same turn of the loop, and whichever comes first puts the other off."""
    rung: list[tuple[int, int]] = []  # (due, rung)

    async def play() -> None:
        alarms = [Alarm(asyncio.get_running_loop(), use_ctypes=use_ctypes) for _ in range(2)]
        due = time.monotonic_ns() + ms

        def ring(number: int, due: int, *, first: bool) -> None:
            rung.append((due, time.monotonic_ns()))
            if first:
                later = time.monotonic_ns() + 10 * ms
                alarms[1 - number].at(later, lambda: ring(1 - number, later, first=False))

        for number, alarm in enumerate(alarms):
            alarm.at(due, lambda number=number: ring(number, due, first=True))  # type: ignore[misc]
        while time.monotonic_ns() < due + ms:  # both are over when the loop looks
            pass
        await asyncio.sleep(0.05)
        for alarm in alarms:
            alarm.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(play())
    assert len(rung) == 2
    assert rung[0][0] < rung[1][0]
    assert all(due <= at for due, at in rung)
