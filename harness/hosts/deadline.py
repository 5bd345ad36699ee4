"""Deadlines that hold whatever blocks: a resolver, an agent, a socket that takes no more, a peer that has gone."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


class Late(TimeoutError):  # noqa: N818 - the name says it
    """The deadline has passed, and the work is not done."""


@dataclass(frozen=True)
class Deadline:
    """An instant of this process's monotonic clock."""

    at_s: float

    @classmethod
    def after(cls, timeout_s: float) -> "Deadline":
        """The instant that far from now."""
        return cls(time.monotonic() + timeout_s)

    def within(self, most_s: float) -> "Deadline":
        """The earlier of this one and the instant that far from now."""
        return Deadline(min(self.at_s, time.monotonic() + most_s))

    @property
    def left_s(self) -> float:
        """Seconds until then, 0 where it has passed."""
        return max(0.0, self.at_s - time.monotonic())


def by(deadline: Deadline, work: Callable[[], T], late: Callable[[T], object] = lambda _: None) -> T:
    """Do some work in a thread of its own, so that its caller is back at the deadline whatever it blocks on.

    Args:
        deadline: of the work.
        work: what to do. It goes on after the deadline until it ends by itself, so whoever gives up on it takes away
            what it waits for.
        late: gets the result that came after the deadline, to let go of it.

    Raises:
        Late: not done by then.
        Exception: whatever the work raises.
    """
    outcome: Future[T] = Future()

    def act() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised again in the caller's thread
            outcome.set_exception(error)

    def let_go(done: Future[T]) -> None:
        if done.exception() is None:
            late(done.result())

    threading.Thread(target=act, daemon=True).start()
    if not wait([outcome], deadline.left_s).done:
        outcome.add_done_callback(let_go)
        raise Late
    return outcome.result()
