"""A server that is stopped under load: what clients got, and what it says itself."""

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGUSR1, Signals

from harness.conformance.bench import Bench, Server, wait_until
from harness.conformance.findings import Failed
from harness.conformance.messages import GET, GET_AND_CLOSE
from harness.conformance.wire import Connection
from harness.deploy import fetch_record
from harness.errors import DeployError, MeasureError
from harness.raw import ServerReport

STOP_S = 5.0  # the contract's
GRACE_S = 2.0  # for the runtime to notice, on a loaded machine
CLIENTS = 16
ANSWERED_EACH = 20  # before the server is stopped
MARKS = 2
BODY_BYTES = 200_000  # an answer takes several sends, so that a careless end cuts one


@dataclass
class Client:
    """What one client saw."""

    answers: int = 0
    unknown: int = 0  # requests without an answer: the server may have counted them or not
    connections: int = 0  # opened
    served: int = 0  # of them, those with an answer
    cut: list[str] = field(default_factory=list)  # answers that began and did not end
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Ending:
    """All there is to know of an end under load."""

    clients: Sequence[Client]
    proving: int  # right answers before the load, each on a connection of its own
    status: int | None  # none: it did not end in time
    took_s: float
    report: ServerReport | None
    trouble: str  # why there is no report
    printed: bool  # the report, as a line
    marks: int  # asked for
    port_taken: str | None  # why the port cannot be listened on again; empty: it can; none: it was not ours
    logs: str

    def total(self, name: str) -> int:
        """The sum of a counter over all clients."""
        return sum(int(getattr(client, name)) for client in self.clients)


def end_under_load(bench: Bench) -> Ending:
    """Load a server, take marks, stop it in the middle, and keep all evidence."""
    count = bench.at_once(CLIENTS)
    size = BODY_BYTES if bench.takes_handler else None
    with bench.fresh(size) as server:
        stopped = threading.Event()
        clients = [Client() for _ in range(count)]
        threads = [
            threading.Thread(target=_ask_on, args=(server, client, number % 4 == 3, stopped), daemon=True)
            for number, client in enumerate(clients)
        ]
        for thread in threads:
            thread.start()
        wait_until(lambda: sum(client.answers for client in clients) >= ANSWERED_EACH * count, STOP_S)
        marks = _mark(server) if bench.takes_handler else 0
        begun_s = time.monotonic()
        status = stop(server, server.stop_signal)
        took_s = time.monotonic() - begun_s
        stopped.set()
        for thread in threads:
            thread.join(STOP_S)
        report, trouble = _report(server)
        return Ending(
            clients=clients,
            proving=server.proving_requests,
            status=status,
            took_s=took_s,
            report=report,
            trouble=trouble,
            printed=_printed(server, status),
            marks=marks,
            port_taken=_port_taken(server),
            logs=server.service.logs()[-800:],
        )


def stop(server: Server, number: Signals) -> int | None:
    """Ask it to end, and wait; its exit status, or none where it has not ended in time."""
    server.service.signal(number)
    try:
        return server.service.wait(STOP_S + GRACE_S)
    except DeployError:
        return None


def _ask_on(server: Server, client: Client, each_its_own: bool, stopped: threading.Event) -> None:
    while not stopped.is_set():
        try:
            connection = server.connect()
        except Failed:
            return
        client.connections += 1
        with contextlib.closing(connection):
            _use(connection, client, each_its_own)


def _use(connection: Connection, client: Client, each_its_own: bool) -> None:
    """Ask until the connection ends."""
    first = True
    while first or not each_its_own:
        try:
            answer = connection.ask(GET_AND_CLOSE if each_its_own else GET)
        except Failed as failed:
            client.unknown += 1
            if begun := connection.begun():
                client.cut.append(f"{len(begun):,} bytes of an answer, then: {failed}")
            return
        if answer.status != 200:
            client.wrong.append(str(answer))
            return
        client.answers += 1
        client.served += first
        first = False
        if "close" in answer.fields.get("connection", ""):
            return


def _mark(server: Server) -> int:
    for _ in range(MARKS):
        server.service.signal(SIGUSR1)
        wait_until(lambda: not _pending(server.service.main_pid), STOP_S)
        time.sleep(0.05)
    return MARKS


def _pending(pid: int) -> bool:
    """Whether SIGUSR1 still waits to be delivered to the process; false where that cannot be seen."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("ShdPnd:"):
                return bool(int(line.split()[1], 16) >> (SIGUSR1 - 1) & 1)
    return False


def _report(server: Server) -> tuple[ServerReport | None, str]:
    try:
        return fetch_record(server.service, "exit.json", ServerReport), ""
    except MeasureError as error:
        return None, str(error)


def _printed(server: Server, status: int | None) -> bool:
    """Whether the report that it left is also a line of its standard output."""
    if status is None:
        return False
    with contextlib.suppress(FileNotFoundError, ValueError, DeployError):
        left = json.loads(server.service.fetch("exit.json"))
        for line in server.service.lines(STOP_S):
            with contextlib.suppress(ValueError):
                if json.loads(line) == left:
                    return True
    return False


def _port_taken(server: Server) -> str | None:
    host, port = server.address
    if host != "127.0.0.1":
        return None
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError as error:
            return os.strerror(error.errno or 0)
    return ""
