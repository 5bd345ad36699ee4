"""Setting a fault off in the window: one request for `/-/fault`, sent at its time on a connection of its own.

That connection is made, and answered once, before the load client connects. So it has a worker, whatever the model:
with a fixed number of workers, all of them busy with kept connections, one that came later would wait in the listen
queue for ever, and the fault with it. The price is that worker: until the fault, the load has one fewer.
"""

import contextlib
import http.client
import threading
import time
from collections.abc import Iterator
from signal import SIGTERM, Signals
from typing import Literal
from urllib.parse import urlsplit

from harness.deploy import STOP_DEADLINE_S, fetch_record
from harness.errors import DeployError, HostError, MeasureError
from harness.hosts.connection import Dial
from harness.raw import FaultReport, ServerReport
from harness.runtime.base import Service
from harness.spec.experiment import Trial
from harness.spec.request_rules import FAULT_PATH

JOIN_S = 1.0
Kind = Literal["crash", "exit", "hang", "deadlock", "leak"]


class Injector:
    """Holds the connection, and sends the request when it is due."""

    def __init__(self, kind: Kind, url: str, timeout_s: float, dial: Dial | None = None) -> None:
        """Connect, and be answered once.

        Args:
            kind: of the fault.
            url: of the server.
            timeout_s: of each request on the connection; what is not answered by then is silence.
            dial: how the server is reached; none: directly.

        Raises:
            MeasureError: the server does not answer.
        """
        parts = urlsplit(url)
        self._kind = kind
        self._timeout_s = timeout_s
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
        self._cancelled = threading.Event()
        self._thread: threading.Thread | None = None
        self._report = FaultReport(kind=kind, sent_ns=None, outcome="not sent", after_s=None)
        try:
            if dial is not None:
                self._connection.sock = dial(self._connection.host, self._connection.port, timeout_s)
            self._ask("/")
        except (OSError, http.client.HTTPException, HostError) as error:
            self.close()
            raise MeasureError(f"{url}: no answer on the connection that is to set off the fault: {error!r}") from None
        self._connection.auto_open = 0  # from now on this connection or none

    def arm(self, at_ns: int) -> None:
        """Send the request at this time of CLOCK_MONOTONIC; called once."""
        self._thread = threading.Thread(target=self._wait_and_send, args=(at_ns,), daemon=True)
        self._thread.start()

    def report(self) -> FaultReport:
        """What came of it, once that is known: `timeout_s` after it was sent at the latest."""
        if self._thread is not None:
            self._thread.join(self._timeout_s + JOIN_S)
        return self._report

    def close(self) -> None:
        """Let go of the connection; what was not sent is not sent any more."""
        self._cancelled.set()
        self._connection.close()

    def _wait_and_send(self, at_ns: int) -> None:
        while (left_ns := at_ns - time.monotonic_ns()) > 0:
            if self._cancelled.wait(left_ns / 1e9):
                return
        sent_ns = time.monotonic_ns()
        outcome, detail = self._outcome()
        after_s = None if outcome in ("silence", "not sent") else (time.monotonic_ns() - sent_ns) / 1e9
        self._report = FaultReport(
            kind=self._kind,
            sent_ns=None if outcome == "not sent" else sent_ns,
            outcome=outcome,
            after_s=after_s,
            detail=detail,
        )
        self._connection.close()  # its worker is the load's again, if it lives

    def _outcome(self) -> tuple[Literal["answered", "closed", "reset", "silence", "not sent"], str]:
        try:
            return "answered", f"status {self._ask(FAULT_PATH)}"
        except http.client.NotConnected:
            return "not sent", "the server had closed the connection before"
        except TimeoutError:
            return "silence", f"nothing within {self._timeout_s:g} s"
        except (http.client.RemoteDisconnected, http.client.IncompleteRead) as error:
            return "closed", str(error)
        except (OSError, http.client.HTTPException) as error:
            return "reset", str(error)

    def _ask(self, path: str) -> int:
        self._connection.request("GET", path)
        response = self._connection.getresponse()
        response.read()
        return response.status


def requests_answered(report: FaultReport) -> int:
    """Requests that the server answered on the connection, as it counts them: the first, and perhaps the fault's."""
    return 1 + (report.outcome == "answered")


@contextlib.contextmanager
def injector(trial: Trial, url: str, dial: Dial | None = None) -> Iterator[Injector | None]:
    """Whoever sets the trial's fault off, connected; None where none is asked for.

    Args:
        trial: what is asked for.
        url: of the server, or of what stands in front of several.
        dial: how it is reached; none: directly.

    Raises:
        MeasureError: the server does not answer.
    """
    kind = trial.handler.fault
    if kind == "none":
        yield None
        return
    holding = Injector(kind, url, trial.load.timeout.s, dial)
    try:
        yield holding
    finally:
        holding.close()


def stop_what_is_left(service: Service, exact: bool, notes: list[str], stop: Signals = SIGTERM) -> ServerReport | None:
    """Ask a server with a fault to finish; its exit report, if it can still write one.

    A server that has ended, or does not end, is what was asked for: that becomes a note, and no error.

    Args:
        service: the server.
        exact: whether it writes a report at all.
        notes: of the trial.
        stop: on which it finishes.
    """
    service.signal(stop)
    try:
        status = service.wait(STOP_DEADLINE_S)
    except DeployError:
        notes.append(
            f"after the fault the server did not end on {stop.name} within {STOP_DEADLINE_S:.0f} s, and is killed"
        )
        return None
    if status != 0:
        notes.append(f"after the fault the server ended with status {status}, and without an exit report")
        return None
    if not exact:
        return None
    try:
        return fetch_record(service, "exit.json", ServerReport)
    except MeasureError as error:
        notes.append(f"after the fault: {error}")
        return None
