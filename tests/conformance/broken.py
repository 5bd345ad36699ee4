"""Servers with one mistake each: a right one (a thread per connection), and a few lines that spoil it."""

from dataclasses import dataclass

IMPORTS = """\
import os, signal, subprocess, sys, threading, time
import common.blocking, common.family, common.handler, common.head, common.parser, common.report, common.service
import common.session, common.sockets

def wrap(place, name):
    def decorate(changed):
        original = getattr(place, name)
        setattr(place, name, lambda *args, **more: changed(original, *args, **more))
    return decorate
"""
RUN = """
from tpc.server import main
main()
"""

# In place of `contextlib.suppress`: what a conversation cannot stand ends the process.
DIES = """
class Suppress:
    def __init__(self, kind): pass
    def __enter__(self): pass
    def __exit__(self, kind, error, traceback):
        seen = traceback.tb_frame.f_locals if traceback else {{}}
        large = len(seen.get("answer", b"")) > 1_000_000
        if isinstance(error, ConnectionError) and "session" in seen and not seen["session"]._life.stopping and {when}:
            os.abort()
        return isinstance(error, OSError)
common.blocking.contextlib = type("contextlib", (), dict(suppress=Suppress))
"""


@dataclass(frozen=True)
class Mistake:
    """What is wrong with a server, and who must notice."""

    code: str
    caught_by: frozenset[str]
    evidence: str = ""  # of one of them: what must stand in it
    long: bool = False  # shows only after thousands of connections
    model: str = ""  # changes to model.yaml


def _m(code: str, *caught_by: str, evidence: str = "", long: bool = False, model: str = "") -> Mistake:
    return Mistake(code, frozenset(caught_by), evidence, long, model)


MISTAKES = {
    "none at all": _m(""),
    "leaks a descriptor for each connection": _m(
        """
@wrap(common.blocking, "converse")
def converse(original, *args):
    original(*args)
    os.open("/dev/null", os.O_RDONLY)
""",
        "leak-descriptors",
    ),
    "leaks a KiB for each connection": _m(
        """
kept = []
@wrap(common.blocking, "converse")
def converse(original, *args):
    original(*args)
    kept.append(bytes([1]) * 1024)
""",
        "leak-memory",
        evidence="bytes a connection",
        long=True,
    ),
    "leaks a thread for each connection": _m(
        """
@wrap(common.blocking, "converse")
def converse(original, *args):
    original(*args)
    threading.Thread(target=threading.Event().wait, daemon=True).start()
""",
        "leak-threads",
    ),
    "leaves a dead process for each connection": _m(
        """
@wrap(common.blocking, "converse")
def converse(original, *args):
    original(*args)
    if not os.fork():
        os._exit(0)
""",
        "leak-processes",
    ),
    "answers out of order when there are many": _m(
        """
START = b"HTTP/1.1 200"
@wrap(common.session.Session, "receive")
def receive(original, self, data):
    answer = original(self, data)
    if len(answer) > 1_000_000:
        return answer
    before, *answers = answer.split(START)
    if len(answers) > 10:
        answers[0], answers[1] = answers[1], answers[0]
    return START.join([before, *answers])
""",
        "pipelined",
        evidence="request 0 of 1000",
    ),
    "waits for ever where a head is cut within its last line break": _m(
        """
@wrap(common.parser.Parser, "feed")
def feed(original, self, data):
    if not self.buffer.endswith(b"\\r\\n\\r"):
        original(self, data)
""",
        "split",
        "slow-writer",
        evidence="cut behind",
    ),
    "loses the beginning of a request that comes with the end of another": _m(
        """
@wrap(common.session.Session, "receive")
def receive(original, self, data):
    answer, parser = original(self, data), self._parser
    if answer and 0 < len(parser.buffer) - parser._at < 1_000 and not self.behind:
        parser.buffer, parser._at = b"", 0
    return answer
""",
        "coalesced",
    ),
    "drops a request that is there when it is to stop": _m(
        """
@wrap(common.session.Session, "receive")
def receive(original, self, data):
    if self._life.stopping:
        self.closing = True
        return b""
    return original(self, data)
""",
        "stop-received",
        evidence="sent just before SIGTERM",
    ),
    "cuts the answer that it is sending when it is to stop": _m(
        """
@wrap(common.blocking, "converse")
def converse(original, connection, session, *more):
    class Cutting:
        def __getattr__(self, name):
            return getattr(connection, name)
        def sendall(self, data):
            for start in range(0, len(data), 4_000_000):
                if start and session._life.stopping:
                    raise ConnectionAbortedError
                connection.sendall(data[start:start + 4_000_000])
                time.sleep(0.02 if start else 0)
    original(Cutting(), session, *more)
""",
        "stop-sending",
        evidence="begun before SIGTERM",
    ),
    "counts every hundredth request twice": _m(
        """
@wrap(common.session.Session, "_answer")
def answer(original, self, request):
    if not (self.counts[common.session.REQUESTS] + 1) % 10:
        self.counts[common.session.REQUESTS] += 1
    return original(self, request)
""",
        "counts",
        evidence="it counted",
    ),
    "crashes on a NUL in a head": _m(
        """
@wrap(common.parser.Parser, "feed")
def feed(original, self, data):
    if self._request is None and b"\\0" in data and b"POST" not in data:
        os.abort()
    original(self, data)
""",
        "malformed",
        "generated",
        evidence="the smallest request that does it: '\\x00'",
    ),
    "answers an encoded NUL with 500": _m(
        """
@wrap(common.handler.Handler, "answer")
def answer(original, self, request, *more):
    answer = original(self, request, *more)
    return answer.replace(b" 200 OK", b" 500 Oops", 1) if b"%00" in request.target else answer
""",
        "generated",
        evidence="an answer has status 500",
    ),
    "hangs on a field that it does not know": _m(
        """
@wrap(common.parser.Parser, "feed")
def feed(original, self, data):
    if b"Upgrade" in data:
        threading.Event().wait()
    original(self, data)
""",
        "generated",
        evidence="it hung",
    ),
    "ignores Connection: close": _m(
        """
common.head._keep_alive = lambda options, http_1_0: not http_1_0 or b"keep-alive" in options
""",
        "close",
        evidence="Connection: close is not said",
    ),
    "says Connection: close and does not close": _m(
        """
@wrap(common.session.Session, "_answer")
def answer(original, self, request):
    answer = original(self, request)
    self.closing = self.closing and self._life.stopping
    return answer
""",
        "close",
        "http-1-0",
        evidence="did not close the connection",
    ),
    "keeps HTTP/1.0 connections": _m(
        """
common.head._keep_alive = lambda options, http_1_0: b"close" not in options
""",
        "http-1-0",
    ),
    "closes after every answer": _m(
        """
@wrap(common.session.Session, "_answer")
def answer(original, self, request):
    answer = original(self, request)
    self.closing = True
    return answer
""",
        *(
            "answer",
            "any-request",
            "body",
            "echo",
            "head",
            "keep-alive",
            "split",
            "coalesced",
            "pipelined",
            "half-close",
        ),
        *(
            "malformed",
            "large-head",
            "not-understood",
            "large-body",
            "idle",
            "stop-received",
            "slow-reader",
            "http-1-0",
        ),
    ),
    "sends a body to HEAD": _m(
        """
@wrap(common.handler.Handler, "_assemble")
def assemble(original, self, body, method, connection):
    return original(self, body, b"GET", connection)
""",
        "head",
    ),
    "says no date": _m(
        """
@wrap(common.handler.Handler, "_assemble")
def assemble(original, self, *args):
    return original(self, *args).replace(b"Date: ", b"Dote: ", 1)
""",
        "answer",
        evidence="without a right Date",
    ),
    "knows only GET and POST": _m(
        """
@wrap(common.handler.Handler, "answer")
def answer(original, self, request, *more):
    answer = original(self, request, *more)
    known = request.method in (b"GET", b"POST", b"HEAD")
    return answer if known else answer.replace(b" 200 OK", b" 405 No", 1)
""",
        "any-request",
    ),
    "loses the eighth bit of an echo": _m(
        """
@wrap(common.handler.Handler, "_assemble")
def assemble(original, self, body, *more):
    return original(self, body.translate(bytes(byte & 127 for byte in range(256))), *more)
""",
        "echo",
        evidence="other bytes, from byte 128 on",
    ),
    "never says 100 Continue": _m(
        """
common.parser.Parser.wants_continue = lambda self: False
""",
        "expect-continue",
    ),
    "answers the wrong size of body": _m(
        """
@wrap(common.handler.Handler, "__init__")
def init(original, self, config, log):
    original(self, config._replace(body_bytes=config.body_bytes or 1), log)
""",
        "body",
    ),
    "says 400 of whatever it refuses": _m(
        """
@wrap(common.handler, "refusal")
def refusal(original, error):
    error.status = 400
    return original(error)
common.session.refusal = common.handler.refusal
""",
        "large-head",
        "large-body",
        "not-understood",
    ),
    "dies when a client resets what it is answered": _m(
        DIES.format(when="large"),
        "reset-in-response",
    ),
    "dies when a client resets its request": _m(
        DIES.format(when="not large"),
        "reset-in-request",
    ),
    "serves beyond its bound": _m(
        "",
        "beyond-bound",
        evidence="did not wait",
        model="concurrency: workers\nworkers: [workers]\n",
    ),
    "turns away what is beyond its bound": _m(
        """
@wrap(common.blocking, "converse")
def converse(original, connection, *more):
    if threading.active_count() <= 9:
        original(connection, *more)
""",
        "beyond-bound",
        model="concurrency: workers\nworkers: [workers]\n",
    ),
    "leaves the listening socket to a child": _m(
        """
@wrap(common.sockets.Listener, "close")
def close(original, self):
    os.set_inheritable(self.fileno(), True)
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(20)"], close_fds=False)
    original(self)
""",
        "port-free",
        evidence="Address already in use",
    ),
    "ends with another status": _m(
        """
@wrap(common.service.Service, "finish")
def finish(original, self):
    original(self)
    os._exit(3)
""",
        "stop-status",
        "stop-idle",
        evidence="status 3, not 0",
    ),
    "does not end while a connection is idle": _m(
        """
common.blocking.insist = lambda: iter(lambda: (time.sleep(0.1), common.blocking.FINISH)[1], None)
@wrap(common.blocking, "hang_up")
def hang_up(original, connection, how):
    pass
""",
        "stop-idle",
        evidence="it had not ended",
    ),
    "writes no exit report": _m(
        """
common.service.write_report = lambda *args: None
""",
        "exit-report",
        evidence="exit.json",
    ),
    "prints no exit report": _m(
        """
@wrap(common.service.Service, "finish")
def finish(original, self):
    os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
    original(self)
""",
        "exit-report",
    ),
    "breaks the contract in its exit report": _m(
        """
@wrap(common.service, "write_report")
def write_report(original, folder, model, marks, end):
    del end["connections"]
    original(folder, model, marks, end)
""",
        "exit-report",
        evidence="breaks the contract",
    ),
    "takes one mark only": _m(
        """
@wrap(common.service.Service, "_mark")
def mark(original, self, *args):
    if not self._marks:
        original(self, *args)
""",
        "marks",
    ),
    "counts down between marks": _m(
        """
@wrap(common.service, "take_mark")
def take_mark(original, *args):
    mark = original(*args)
    mark["wakeups"] = 1_000_000_000 - mark["wakeups"]
    return mark
""",
        "marks",
        evidence="wakeups was",
    ),
}
