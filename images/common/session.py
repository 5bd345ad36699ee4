"""One connection's conversation, without any I/O: what was received goes in, what is to be sent comes out.

The models bring the bytes here and take the answers away, each in its own way; that is all they differ in.
"""

from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from common.handler import Handler, refusal
from common.head import Request, RequestError
from common.parser import Parser
from common.scoreboard import BAD_REQUESTS, CONNECTIONS, REQUESTS, Counts

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
# Answers to pipelined requests go out together, up to here: a client that pipelines must not fill our memory
# by reading nothing, nor keep other connections of the same loop waiting.
_BATCH_REQUESTS: Final = 64
_BATCH_BYTES: Final = 256 << 10


Tell: TypeAlias = Callable[[], object]


class Life(Protocol):
    """Whether the server is being stopped."""

    stopping: bool


class Session:
    """The state of one connection: its parser, and how it is to go on.

    Attributes:
        counts: where it is counted: the slot of the worker that has it now.
        asking: the next answer needs the backend's. Ask it, and go on with `resume`; until then receive nothing.
        behind: requests are waiting that were received with earlier ones; ask again with no new data, before
            receiving more.
        closing: nothing more will be answered; close once everything returned is sent.
        lingering: the client may still be sending; let it read the last answer before the close resets the
            connection (see `linger` in blocking.py).
    """

    __slots__ = (
        "_asked",
        "_handler",
        "_life",
        "_parser",
        "_peer",
        "_tell",
        "asking",
        "behind",
        "closing",
        "counts",
        "lingering",
    )

    def __init__(self, handler: Handler, counts: Counts, life: Life, peer: str, tell: Tell | None = None) -> None:
        """A new connection's session.

        Args:
            handler: what is done with its requests.
            counts: see above.
            life: of the server.
            peer: address of the client.
            tell: called for each request answered, where that is not to be counted in `counts`.
        """
        self._parser = Parser()
        self._handler = handler
        self._life = life
        self._peer = peer
        self._tell = tell
        self._asked: Request | None = None
        self.counts = counts
        self.asking = self.behind = self.closing = self.lingering = False
        counts[CONNECTIONS] += 1

    def receive(self, data: bytes) -> bytes:
        """Take in what was received and return what is now to be sent (nothing, if nothing is due)."""
        parser = self._parser
        parser.feed(data)
        self.behind = False
        try:
            request = parser.next()
            if request is not None and not parser.buffer and self._handler.backend is None:
                return self._answer(request)  # one request, and no more than that: the usual case
            return self._answer_batch(request)
        except RequestError as error:
            return self._refuse(error)

    def resume(self, right: bool) -> bytes:
        """The backend has answered, rightly or not: return what is now to be sent."""
        request, self._asked = self._asked, None
        self.asking = False
        if request is None:
            raise RuntimeError("resumed without having asked")
        answer = self._answer(request) if right else self._refuse(RequestError(502, "the backend did not answer"))
        self.behind = bool(self._parser.buffer) and not self.closing
        return answer

    def _answer(self, request: Request) -> bytes:
        keep_alive = request.keep_alive and not (self._life.stopping and not self._parser.buffer)
        answer = self._handler.answer(request, keep_alive, self._peer)
        if self._tell is None:
            self.counts[REQUESTS] += 1
        else:
            self._tell()
        if not keep_alive:
            self.closing = True
            self.lingering = bool(self._parser.buffer)
        return answer

    def _answer_batch(self, request: Request | None) -> bytes:
        """Answer `request` and those behind it, as far as a batch goes."""
        answers: list[bytes] = []
        size_bytes = 0
        try:
            while request is not None:
                if self._handler.backend is not None:
                    self._asked, self.asking = request, True
                    break
                answers.append(self._answer(request))
                size_bytes += len(answers[-1])
                if self.closing:
                    break
                if len(answers) >= _BATCH_REQUESTS or size_bytes >= _BATCH_BYTES:
                    self.behind = bool(self._parser.buffer)
                    break
                request = self._parser.next()
        except RequestError as error:
            answers.append(self._refuse(error))
        if self._life.stopping and not (self.behind or self.asking):
            self.closing = True  # what is left is no whole request
        elif self._parser.wants_continue():
            answers.append(_CONTINUE)
        return b"".join(answers)

    def _refuse(self, error: RequestError) -> bytes:
        self.counts[BAD_REQUESTS] += 1
        self.closing = self.lingering = True
        return refusal(error)
