"""The lines that a container prints, followed with deadlines that the SDK's own streams do not have."""

import contextlib
import queue
import threading
from http.client import HTTPException

from docker.errors import DockerException
from docker.models.containers import Container
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError


class Lines:
    """Standard output, line by line, read by a thread that ends with the container."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._ended = False
        threading.Thread(target=self._read, name=f"lines of {container.name}", daemon=True).start()

    def next(self, timeout_s: float) -> str | None:
        """The next line; none after the last one.

        Raises:
            TimeoutError: nothing came for `timeout_s`.
        """
        if self._ended:
            return None
        try:
            line = self._queue.get(timeout=timeout_s)
        except queue.Empty:
            raise TimeoutError from None
        self._ended = line is None
        return line

    def _read(self) -> None:
        with contextlib.suppress(DockerException, RequestException, HTTPError, HTTPException, OSError):
            rest = b""
            for chunk in self._container.logs(stdout=True, stderr=False, stream=True, follow=True):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._queue.put(line.decode("utf-8", "replace"))
            if rest:
                self._queue.put(rest.decode("utf-8", "replace"))
        self._queue.put(None)
