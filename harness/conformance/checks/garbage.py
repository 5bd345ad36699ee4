"""Generated requests: whatever comes, the server ends the exchange in good order and goes on serving others."""

import contextlib
import re
import time
from collections.abc import Sequence

from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky, NoSuchExample

from harness.conformance.bench import Bench, Server
from harness.conformance.findings import Failed, Gone, excerpt
from harness.conformance.messages import GET, chunked, post
from harness.conformance.wire import PATIENCE_S

SHRINK_S = 20.0  # to find the smallest input that fails; then the smallest one so far is shown
HANG_S = 1.0  # once one input has hung for the usual patience
ALLOWED = frozenset({501, 505})  # of the statuses from 500 on: the contract asks for them
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
_SEEDS = (GET, post(b"hello"), chunked([b"hello", b"wor\r\nld"], b"A: b\r\n"), GET + post(b"\0\xff") + GET)
_WORDS = (
    b"GET / HTTP/1.1\r\n",
    b"POST /a HTTP/1.1\r\n",
    b"HTTP/1.0\r\n",
    b"Host: a\r\n",
    b"Content-Length: 3\r\n",
    b"Content-Length: -1\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Expect: 100-continue\r\n",
    b"3\r\nabc\r\n",
    b"ffffffff\r\n",
    b"0\r\n\r\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\0",
    b"\xff",
    b" ",
    b":",
    b"%00",
)
_METHODS = (b"GET", b"HEAD", b"get", b"CONNECT", b"TRACE", b"PRI", b"\t")
_TARGETS = (b"a", b"/", b"..", b"?", b"#", b"*", b"%", b"%00", b"%zz", b"\\", b"http://", b"a" * 9_000)
_VERSIONS = (b"HTTP/", b"1.1", b"1.10", b"2.0", b"http/1.1", b" ")
_FIELDS = (
    (b"Content-Length", b"3"),
    (b"Transfer-Encoding", b"chunked"),
    (b"Connection", b"close"),
    (b"Expect", b"100-continue"),
    (b"Upgrade", b"h2c"),
    (b"Range", b"bytes=1-0"),
)
_NAMES = (b"A", b"Content-Length", b"Transfer-Encoding", b"Host", b"Connection", b" ", b"_")
_VALUES = (b"3", b"-1", b"chunked", b"identity", b"close", b",", b";", b'"', b"a" * 9_000, b"99999999999999999999")


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Well-formed requests, with a few places replaced."""
    data = draw(st.sampled_from(_SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 20)))
        data = data[:start] + draw(st.sampled_from(_WORDS) | st.binary(max_size=4)) + data[end:]
    return data


def _pieces(words: Sequence[bytes], most: int) -> st.SearchStrategy[bytes]:
    return st.lists(st.sampled_from(words) | st.binary(max_size=4), max_size=most).map(b"".join)


@st.composite
def built(draw: st.DrawFn) -> bytes:
    """A request made of its parts, unusual ones among them, and one of them wrong or none."""
    wrong = draw(st.sampled_from(("nothing", "method", "version", "field", "body")))
    method = draw(_pieces(_METHODS, 3) if wrong == "method" else st.sampled_from((b"GET", b"POST", b"BREW")))
    target = b"/" + b"".join(draw(st.lists(st.sampled_from(_TARGETS), max_size=3)))
    version = draw(_pieces(_VERSIONS, 2)) if wrong == "version" else b"HTTP/1.1"
    fields = draw(st.lists(st.sampled_from(_FIELDS), max_size=2))
    if wrong == "field":
        fields.append((draw(_pieces(_NAMES, 2)), draw(_pieces(_VALUES, 3))))
    body = draw(_pieces(_WORDS, 4)) if wrong == "body" else b""
    lines = b"".join(b"%b: %b\r\n" % field for field in fields)
    return b"%b %b %b\r\nHost: a\r\n%b\r\n%b" % (method, target, version, lines, body)


streams = _pieces(_WORDS, 12) | built() | mutated()  # the simplest first: towards it is shrunk


def generated(bench: Bench) -> str:
    """No generated request makes the server hang, crash or answer with an error of its own (the smallest is shown)."""
    trouble = _Trouble(bench)
    how = settings(
        max_examples=bench.scale.examples,
        deadline=None,
        database=None,
        derandomize=True,  # the same server is asked the same again
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    with contextlib.suppress(NoSuchExample, Flaky):
        find(streams, trouble.comes_of, settings=how)
    if trouble.smallest is None:
        return f"{bench.scale.examples} requests"
    data, what = trouble.smallest
    raise Failed(f"{what}; the smallest request that does it: {excerpt(data)}")


class _Trouble:
    """What came of each input, and the smallest of those that made trouble."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._until_s: float | None = None  # once there was trouble
        self.smallest: tuple[bytes, str] | None = None

    def comes_of(self, data: bytes) -> bool:
        """Whether this input makes trouble; no more is tried when the time to shrink is over."""
        if self._until_s is not None and time.monotonic() > self._until_s:
            return False
        what = self._of(data)
        if what is None:
            return False
        if self._until_s is None:
            self._until_s = time.monotonic() + SHRINK_S
        if self.smallest is None or (len(data), data) < (len(self.smallest[0]), self.smallest[0]):
            self.smallest = data, what
        self._bench.discard()  # it may have crashed, or hang
        return True

    def _of(self, data: bytes) -> str | None:
        try:
            server = self._bench.plain()
            received = _exchange(server, data, PATIENCE_S if self._until_s is None else HANG_S)
            server.require_alive()
        except Failed as failed:
            return str(failed)
        if received and not received.startswith(b"HTTP/1."):
            return f"what came is no HTTP response: {excerpt(received)}"
        bad = {int(status) for status in _STATUS.findall(received) if int(status) >= 500} - ALLOWED
        return f"an answer has status {min(bad)}: {excerpt(received)}" if bad else None


def _exchange(server: Server, data: bytes, hang_s: float) -> bytes:
    """Send it and the end of the stream; return all that comes until the server closes, or resets."""
    received = b""
    with contextlib.closing(server.connect()) as connection, contextlib.suppress(Gone):
        connection.send(data)
        connection.stop_sending()
        while not connection.is_silent(hang_s):
            piece = connection.receive(1 << 16)
            if not piece:
                return received
            received += piece
        raise Failed(f"it hung: after the request and the end of the stream came {excerpt(received)}, then no end")
    return received
