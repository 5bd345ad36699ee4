"""The lines that a container prints, followed with deadlines that the SDK's own streams do not have."""

import queue
import threading
from collections.abc import Iterator

from docker.errors import DockerException
from docker.models.containers import Container

from harness.runtime.docker.patience import LOST, Reach
from harness.runtime.docker.resumed import Resumed

CATCH_UP_S = 5.0  # after the way was lost: for what was printed meanwhile


class Lines:
    """Standard output, line by line, read by a thread that ends with the container."""

    def __init__(self, container: Container, reach: Reach, passed_over: int = 0) -> None:
        """Begin to read.

        Args:
            container: that prints.
            reach: of its engine.
            passed_over: lines at the beginning that are none of it: an earlier life of the same container printed them.
        """
        self._container = container
        self._reach = reach
        self._passed_over = passed_over
        self._resumed = Resumed(container, reach) if reach.patience_s else None
        self._queue: queue.SimpleQueue[str | Exception | None] = queue.SimpleQueue()
        self._ended = False
        threading.Thread(target=self._read, name=f"lines of {container.name}", daemon=True).start()

    def next(self, timeout_s: float) -> str | None:
        """The next line; none after the last one.

        Raises:
            TimeoutError: nothing came for `timeout_s`, and the way to the engine is not to blame.
            Exception: one of `FAILURES`: the way was lost, and patience is over.
        """
        if self._ended:
            return None
        try:
            line = self._queue.get(timeout=timeout_s)
        except queue.Empty:
            if self._resumed is None:
                raise TimeoutError from None
            line = self._late(self._resumed)
        self._ended = not isinstance(line, str)
        if isinstance(line, Exception):
            raise line
        return line

    def stop(self) -> None:
        """Nobody reads on; a stream that is lost from now on is not resumed."""
        if self._resumed is not None:
            self._resumed.give_up()

    def _late(self, resumed: Resumed) -> str | Exception | None:
        """The next line, where it is the way that was in its way; one that is lost is told by asking the engine."""
        stood = resumed.flowing.is_set()
        self._reach.again(self._container.reload)
        try:
            return self._queue.get(timeout=0 if stood and resumed.flowing.is_set() else CATCH_UP_S)
        except queue.Empty:
            raise TimeoutError from None

    def _read(self) -> None:
        rest = b""
        last: Exception | None = None
        try:
            for piece in self._pieces():
                *lines, rest = (rest + piece).split(b"\n")
                fresh, self._passed_over = lines[self._passed_over :], max(0, self._passed_over - len(lines))
                for line in fresh:
                    self._queue.put(line.decode("utf-8", "replace"))
        except (DockerException, *LOST) as error:
            last = error if self._resumed is not None else None
        if rest and last is None:
            self._queue.put(rest.decode("utf-8", "replace"))
        self._queue.put(last)

    def _pieces(self) -> Iterator[bytes]:
        if self._resumed is not None:
            return self._resumed.pieces()
        return iter(self._container.logs(stdout=True, stderr=False, stream=True, follow=True))
