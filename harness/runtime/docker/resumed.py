"""What a container of a remote engine prints, from its beginning to its end, whatever becomes of the connection."""

import threading
from collections.abc import Generator, Iterator
from datetime import datetime

from docker.errors import NotFound
from docker.models.containers import Container

from harness.runtime.docker.patience import LOST, Reach

SECONDS = len("2006-01-02T15:04:05")


class Resumed:
    """Standard output of a container, each piece once.

    The engine stamps every piece with its time, to the nanosecond and in order. A stream that was lost is read again
    from the second of the last piece on, and what was handed out already is left out: by its stamp, and by how many
    had that same stamp.
    """

    def __init__(self, container: Container, reach: Reach) -> None:
        self._container = container
        self._reach = reach
        self._last = b""  # stamp of the newest piece
        self._with_last = 0  # how many had it
        self._given_up = False
        self.flowing = threading.Event()  # set while a stream stands, as far as is known

    def pieces(self) -> Iterator[bytes]:
        """As they come, until the container has ended and all it printed was read.

        Raises:
            Exception: one of `LOST`: patience is over.
        """
        ended = False
        while not self._given_up:
            whole = yield from self._one_pass()
            if whole and ended:
                return
            # Looked at after one pass, believed after the next: a stream also ends when its engine goes.
            ended = whole and not self._running()

    def give_up(self) -> None:
        """Nobody wants what may still come."""
        self._given_up = True

    def _one_pass(self) -> Generator[bytes, None, bool]:
        """What is new, until the stream ends; whether it came to its own end."""
        again = 0  # pieces of this pass that carry the newest stamp
        try:
            stream = self._reach.again(self._open)
        except NotFound:
            self._given_up = True  # removed: there is nothing to come
            return True
        self.flowing.set()
        try:
            for piece in stream:
                stamp, _, text = piece.partition(b" ")
                if stamp < self._last:
                    continue
                again = again + 1 if stamp == self._last else 1
                if stamp == self._last and again <= self._with_last:
                    continue
                self._last, self._with_last = stamp, again
                yield text
        except LOST:
            self.flowing.clear()
            return False
        return True

    def _open(self) -> Iterator[bytes]:
        """The log from the newest piece's second on, and then what follows."""
        since = datetime.fromisoformat(f"{self._last[:SECONDS].decode()}+00:00") if self._last else None
        stream = self._container.logs(
            stdout=True,
            stderr=False,
            stream=True,
            follow=True,
            timestamps=True,
            **({"since": int(since.timestamp())} if since else {}),
        )
        pieces: Iterator[bytes] = vars(stream)[
            "_stream"
        ]  # the wrapper takes a stream that broke off for one that ended
        return pieces

    def _running(self) -> bool:
        try:
            self._reach.again(self._container.reload)
        except NotFound:
            return False
        return bool(self._container.attrs["State"]["Running"])
