"""The one handler: what every model does with a request (`handler` of the configuration)."""

import time
from typing import Final

from common.access_log import AccessLog
from common.config import HandlerConfig
from common.faults import make_fault
from common.head import Request, RequestError
from common.work import work

# What an answer says of the connection: HTTP/1.1 keeps it and HTTP/1.0 closes it unless told otherwise.
_AS_USUAL: Final = b""
_CLOSE: Final = b"Connection: close\r\n"
_KEEP: Final = b"Connection: keep-alive\r\n"
_PHRASES: Final = {
    400: b"Bad Request",
    413: b"Content Too Large",
    431: b"Request Header Fields Too Large",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    505: b"HTTP Version Not Supported",
}


class Handler:
    """Turns requests into answers. Shared by all threads of a process; what it caches is replaced, never changed.

    Attributes:
        backend: whom each request is to ask before it is answered, if anyone.
    """

    __slots__ = ("_answers", "_body", "_date", "_echo", "_fault", "_iterations", "_log", "_second", "backend")

    def __init__(self, config: HandlerConfig, log: AccessLog) -> None:
        self._echo = config.kind == "echo"
        self._body = b"x" * config.body_bytes
        self._iterations = config.cpu_iterations
        self._log = log
        self._fault = make_fault(config.fault)
        self.backend = config.backend
        self._second = 0
        self._date = b""
        self._answers: dict[bytes, bytes] = {}  # of this second: the answer differs by its Connection line only

    def answer(self, request: Request, keep_alive: bool, peer: str) -> bytes:
        """Do the work, log it, and return the whole answer."""
        if self._fault is not None:
            self._fault.meet(request.target)
        if self._iterations:
            work(self._iterations)
        if (second := int(time.time())) != self._second:
            self._tick(second)
        if self._log.enabled:
            self._write_log(request, peer)
        connection = _AS_USUAL
        if not keep_alive:
            connection = _CLOSE
        elif request.http_1_0:
            connection = _KEEP
        if self._echo:
            return self._assemble(request.body, request.method, connection)
        if request.method == b"HEAD":
            return self._assemble(self._body, request.method, connection)
        answers = self._answers
        if (answer := answers.get(connection)) is None:
            answer = answers[connection] = self._assemble(self._body, request.method, connection)
        return answer

    def _tick(self, second: int) -> None:
        """A new second begins: the Date field changes, and with it what is ready-made."""
        self._date = _http_date(second)
        self._answers = {}
        self._second = second

    def _assemble(self, body: bytes | bytearray, method: bytes, connection: bytes) -> bytes:
        head = (
            b"HTTP/1.1 200 OK\r\nDate: %b\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n%b\r\n"
        ) % (self._date, len(body), connection)
        return head if method == b"HEAD" else b"".join((head, body))

    def _write_log(self, request: Request, peer: str) -> None:
        sent = 0 if request.method == b"HEAD" else len(request.body if self._echo else self._body)
        target = request.target.replace(b'"', b"%22")
        version = b"1.0" if request.http_1_0 else b"1.1"
        self._log.write(
            b'%b - - [%b] "%b %b HTTP/%b" 200 %d\n' % (peer.encode(), self._date, request.method, target, version, sent)
        )


def refusal(error: RequestError) -> bytes:
    """The answer to a request that cannot be served; the connection closes after it."""
    phrase = _PHRASES[error.status]
    body = b"%d %b: %b\n" % (error.status, phrase, error.why.encode())
    return (
        b"HTTP/1.1 %d %b\r\nDate: %b\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
    ) % (error.status, phrase, _http_date(time.time()), len(body), body)


def _http_date(seconds: float) -> bytes:
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(seconds)).encode()
