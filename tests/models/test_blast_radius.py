"""What a faulty handler takes with it, model by model: what the model predicts, and nothing else (claims C14, C15, C21).

Several innocent connections are open and were answered; one more sends the request that sets the fault off. Who shares a
process with it is read from the kernel, so that the prediction is exact where the model leaves to chance who serves whom.
"""

import select
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil
import pytest

from tests.models.support import GET, PATIENCE_S, Client, Server, serving, wait_for

pytestmark = pytest.mark.slow

FAULT = b"GET /-/fault HTTP/1.1\r\nHost: test\r\n\r\n"
INNOCENTS = 7
QUIET_S = 0.4  # a connection that is asked and says nothing for so long after the last answer is silent

Reach = Literal["nobody", "loop", "process", "everybody"]


@dataclass(frozen=True)
class Case:
    """A server, and whom the model predicts to suffer beside the connection that has the fault."""

    model: str
    dies: Reach  # with a handler that crashes or ends its process
    accepts: bool  # afterwards
    hangs: Reach  # with a handler that never returns
    locks: Reach  # with one that deadlocks
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join([self.model, *map(str, self.options.values())])


CASES = [
    Case("ppc", dies="nobody", accepts=True, hangs="nobody", locks="nobody"),
    Case("prefork", "nobody", True, "nobody", "nobody", {"workers": 12, "accept": "blocking"}),
    Case("prefork", "nobody", True, "nobody", "nobody", {"workers": 12, "accept": "epoll-exclusive"}),
    Case("tpc", "everybody", False, "nobody", "everybody"),
    Case("prethread", "everybody", False, "nobody", "everybody", {"variant": "handoff", "threads": 12}),
    Case("prethread", "everybody", False, "nobody", "everybody", {"variant": "accept", "threads": 12}),
    Case("prethread", "process", True, "nobody", "process", {"variant": "handoff", "threads": 4, "processes": 3}),
    Case("prethread", "process", True, "nobody", "process", {"variant": "accept", "threads": 4, "processes": 3}),
    Case("reactor", "everybody", False, "everybody", "nobody", {"variant": "single"}),
    Case("reactor", "everybody", False, "everybody", "nobody", {"variant": "uvloop"}),
    Case(
        "reactor", "everybody", False, "loop", "everybody", {"variant": "main-sub", "loops": 2, "loops_in": "threads"}
    ),
    Case("reactor", "process", True, "process", "nobody", {"variant": "main-sub", "loops": 2, "loops_in": "processes"}),
    Case("reactor", "everybody", False, "nobody", "everybody", {"variant": "pool", "threads": 12}),
    Case("proactor", "everybody", False, "everybody", "nobody", {"processes": 1}),
    Case("proactor", "process", True, "process", "nobody", {"processes": 2}),
]
every_case = pytest.mark.parametrize("case", CASES, ids=str)


@dataclass
class Scene:
    """A server with connections that have all been answered once, in the order in which they came."""

    server: Server
    case: Case
    clients: list[Client]
    owners: list[int]  # the process that has each connection

    @property
    def victim(self) -> Client:
        """The connection that has the fault: one in the middle."""
        return self.clients[INNOCENTS // 2]

    def within(self, reach: Reach) -> tuple[list[Client], list[Client]]:
        """The innocent connections within reach of the victim's, and the others."""
        near: list[Client] = []
        far: list[Client] = []
        at = self.clients.index(self.victim)
        for index, client in enumerate(self.clients):
            same_process = self.owners[index] == self.owners[at]
            same_loop = (index - at) % self.case.options.get("loops", 1) == 0  # loops take connections in turn
            suffers = {"nobody": False, "loop": same_loop, "process": same_process, "everybody": True}[reach]
            if client is not self.victim:
                (near if suffers else far).append(client)
        return near, far


@contextmanager
def scene(case: Case, folder: Path, fault: str) -> Iterator[Scene]:
    with serving(case.model, folder, options=case.options, fault=fault) as server:
        family = psutil.Process(server.pid)
        clients = []
        for _ in range(INNOCENTS + 1):
            clients.append(server.client())
            assert clients[-1].ask(GET).status == 200
        members = [family, *family.children(recursive=True)]
        try:
            yield Scene(server, case, clients, owners_of(clients, members))
        finally:
            for member in [family, *children_of(family), *members]:
                if member.is_running():
                    member.kill()


def children_of(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def owners_of(clients: Sequence[Client], members: Sequence[psutil.Process]) -> list[int]:
    """The process that has the other end of each connection; one has it, and no other."""
    held = [
        (tuple(connection.raddr), member.pid)
        for member in members
        for connection in member.net_connections("tcp4")
        if connection.raddr
    ]
    owners = dict(held)
    assert len(owners) == len(held), "a connection has two owners"
    return [owners[client.socket.getsockname()] for client in clients]


def assert_silent(clients: Sequence[Client]) -> None:
    """Ask them all, and those that answer again, until none does: what was under way before the fault may still come."""
    asked: set[Client] = set()
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        for client in set(clients) - asked:
            client.send(GET)
            asked.add(client)
        by_socket = {client.socket: client for client in clients}
        ready, _, _ = select.select(by_socket, [], [], QUIET_S)
        if not ready:
            return
        for one in ready:
            assert by_socket[one].response().status == 200
            asked.discard(by_socket[one])
        assert time.monotonic() < deadline_s, "they go on answering"


def accepts(server: Server) -> bool:
    """Whether a new connection is answered."""
    try:
        client = Client(server.port)
    except ConnectionRefusedError:
        return False
    try:
        return client.ask(GET).status == 200
    except (EOFError, ConnectionResetError):
        return False
    finally:
        client.close()


@every_case
@pytest.mark.parametrize("fault", ["crash", "exit"])
def test_with_its_process_a_handler_takes_the_connections_that_the_model_predicts(
    case: Case, fault: str, folder: Path
) -> None:
    with scene(case, folder, fault) as now:
        lost, kept = now.within(case.dies)
        now.victim.send(FAULT)
        assert all(client.at_end() for client in [now.victim, *lost])
        assert all(client.ask(GET).status == 200 for client in kept)
        if case.accepts:
            wait_for(lambda: accepts(now.server))
        else:
            now.server.process.wait(PATIENCE_S)
            assert not accepts(now.server)


@every_case
def test_a_handler_that_hangs_stops_whom_the_model_predicts(case: Case, folder: Path) -> None:
    with scene(case, folder, "hang") as now:
        stopped, going_on = now.within(case.hangs)
        now.victim.send(FAULT)
        assert_silent(stopped)
        assert all(client.ask(GET).status == 200 for client in going_on)
        assert not select.select([now.victim.socket], [], [], 0)[0]


@every_case
def test_two_locks_taken_in_opposite_order_stop_the_threads_that_share_them_and_no_process(
    case: Case, folder: Path
) -> None:
    with scene(case, folder, "deadlock") as now:
        stopped, going_on = now.within(case.locks)
        now.victim.send(FAULT)
        assert_silent(stopped)
        assert all(client.ask(GET).status == 200 for client in going_on)
        if case.locks == "nobody":
            assert now.victim.response().status == 200


@pytest.mark.parametrize("case", [CASES[0], CASES[1], CASES[3], CASES[7], CASES[8]], ids=str)
def test_a_leak_grows_with_the_requests_of_its_process_and_of_no_other(case: Case, folder: Path) -> None:
    with scene(case, folder, "leak") as now:
        assert now.victim.ask(FAULT).status == 200
        at = now.clients.index(now.victim)
        for index in (at, (at + 1) % len(now.clients)):
            process = psutil.Process(now.owners[index])
            ask_many(now.clients[index], 500)  # what is made once is made now
            before = process.memory_info().rss
            ask_many(now.clients[index], 4_000)
            grown_kib = (process.memory_info().rss - before) >> 10
            assert (grown_kib > 3_000) == (now.owners[index] == now.owners[at]), f"{grown_kib} KiB"


def ask_many(client: Client, number: int) -> None:
    for _ in range(number // 100):
        client.send(GET * 100)
        for _ in range(100):
            client.response()
