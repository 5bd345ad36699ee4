"""How the children of a server that forks report each request to their parent through a pipe, the classic way (claim C11).

A child writes one byte for each request it has answered, the parent counts bytes. So a message is whole or not there
(a write of at most PIPE_BUF bytes is atomic), many writers need no lock, and the parent need not know who wrote.
"""

import os
import signal
from functools import partial
from typing import Final

from common.scoreboard import REQUESTS
from common.service import Service
from common.session import Tell

_MESSAGE: Final = b"."
_PIPE_BYTES: Final = 64 << 10  # what a pipe holds; who writes into a full one waits for the parent


class RequestPipe:
    """The pipe, and the parent's count of what has come through it; `Service.wait` returns when there is something."""

    def __init__(self, service: Service) -> None:
        self._counts = service.counts
        self._read_end, self._write_end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._read_end, False)
        service.before_mark = self.collect
        service.wake_for(self._read_end)

    def teller(self) -> Tell:
        """In a child: what it calls for each request that it answers. It keeps the writing end only.

        So writing fails (BrokenPipeError) when the parent is there no more, instead of waiting for it in vain.
        """
        os.close(self._read_end)
        return partial(os.write, self._write_end, _MESSAGE)

    def collect(self) -> None:
        """In the parent: add up what the children have told so far.

        A mark may be asked for at any moment, and collects too. It must not come between a read and its sum.
        """
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        try:
            while told := self._read():
                self._counts[REQUESTS] += told
                if told < _PIPE_BYTES:
                    break
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _read(self) -> int:
        try:
            return len(os.read(self._read_end, _PIPE_BYTES))
        except BlockingIOError:
            return 0
