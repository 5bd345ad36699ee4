"""What the checks work with: the server under test, started through the runtime exactly as a trial does."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from signal import SIGTERM
from typing import TypeVar

from harness.conformance.findings import Failed, Gone, NotApplicable
from harness.conformance.messages import GET_AND_CLOSE, require_right
from harness.conformance.scale import Scale, held_at_most
from harness.conformance.wire import Answer, Connection
from harness.deploy import Deployed, server_up
from harness.fleet import site_here
from harness.runtime.base import Runtime, Service
from harness.spec.experiment import Handler, Trial
from harness.spec.model import Model
from harness.spec.quantities import Size
from harness.spec.traffic import Load

LARGEST_BODY_BYTES = 64 << 20  # the contract's limit: far more than the kernel keeps for a connection
Found = TypeVar("Found")


class Server:
    """A server under test, up and proved right."""

    def __init__(self, bench: "Bench", deployed: Deployed) -> None:
        self.service: Service = deployed.service
        self.proving_requests = deployed.proving_requests
        self.stop_signal = deployed.stop or SIGTERM
        self.address = (deployed.service.address, int(deployed.service.spec.port or 0))
        self._bench = bench
        self._connections: list[Connection] = []

    def connect(self) -> Connection:
        """A new connection; closed at the check's end, if not before.

        Raises:
            Gone: nobody listens.
            Silent: the connection was not made in time.
        """
        connection = self._connection()
        self._connections.append(connection)
        return connection

    def ask_once(self, request: bytes = GET_AND_CLOSE) -> Answer:
        """One request on a connection of its own."""
        connection = self._connection()
        try:
            return connection.ask(request)
        finally:
            connection.close()

    def require_alive(self) -> None:
        """It still answers others.

        Raises:
            Failed: it does not.
        """
        try:
            require_right(self.ask_once(), None, GET_AND_CLOSE)
        except Failed as failed:
            raise Failed(f"afterwards the server does not serve others: {failed}") from None

    def close_all(self) -> None:
        """Close what the check has left open."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def _connection(self) -> Connection:
        try:
            return Connection(self.address, self._bench.until_s)
        except Gone as gone:
            if self.service.running():
                raise
            raise Gone(f"{gone}; the server has ended, its last output:\n{self.service.logs()[-800:]}") from None


class Bench:
    """One model with its options, and the servers of it that run now.

    Servers are kept from check to check, one for each handler; after a failed check all are made anew.

    Args:
        runtime: where they run.
        model: what the folder says of itself.
        trial: the model and its options.
        cores: CPUs of the server.
        scale: how much of everything.
    """

    def __init__(self, runtime: Runtime, model: Model, trial: Trial, cores: Sequence[int], scale: Scale) -> None:
        self.model = model
        self.scale = scale
        self.until_s = math.inf  # the running check's deadline
        self.notes: list[str] = []
        self._site = site_here(runtime)
        self._trial = trial.model_copy(update={"load": Load(connections=held_at_most(scale))})
        self._cores = cores
        self._kept: dict[Handler, tuple[Server, contextlib.ExitStack]] = {}
        self._used: list[Server] = []  # by the check that runs
        self._found: dict[object, object] = {}
        self._started = 0

    @property
    def bound(self) -> int | None:
        """Connections that are served at once; none where there is no bound."""
        if self.model.concurrency == "unbounded":
            return None
        if not self.model.workers:
            raise NotApplicable("model.yaml names no options as `workers`, so the bound is not known")
        return math.prod(int(str(self._trial.options[name])) for name in self.model.workers)

    @property
    def _bound_is_known(self) -> bool:
        return self.model.concurrency == "unbounded" or bool(self.model.workers)

    @property
    def takes_handler(self) -> bool:
        """Whether the server does what the configuration's `handler` says."""
        return self.model.contract == "full"

    @property
    def takes_echo(self) -> bool:
        """Whether it can be told to give a request's body back."""
        return self.takes_handler and "echo" in self.model.does

    def at_once(self, wanted: int) -> int:
        """How many connections to hold at once: as many as wanted, where a bound that is known allows."""
        bound = self.bound if self._bound_is_known else None
        return wanted if bound is None else min(wanted, bound)

    def need_two_at_once(self) -> None:
        """Go on where one connection can be served while another is held.

        Raises:
            NotApplicable: there is one worker only.
        """
        if self._bound_is_known and self.bound == 1:
            raise NotApplicable("one worker serves one connection at a time")

    def plain(self) -> Server:
        """A server with the default handler."""
        return self._server(Handler())

    def echo(self) -> Server:
        """A server that answers with the request's own body.

        Raises:
            NotApplicable: this one cannot be told to.
        """
        self._need_handler()
        if not self.takes_echo:
            raise NotApplicable("it cannot give a request's body back (`does`)")
        return self._server(Handler(kind="echo"))

    def body(self, size: int) -> Server:
        """A server whose answers have a body of this size.

        Raises:
            NotApplicable: this one cannot be told to.
        """
        self._need_handler()
        return self._server(Handler(body=Size(size)))

    @contextlib.contextmanager
    def fresh(self, body_bytes: int | None = None) -> Iterator[Server]:
        """A server that no other check has touched or will.

        Raises:
            NotApplicable: a size of body is asked for, and this one cannot be told.
        """
        if body_bytes is not None:
            self._need_handler()
        with self._up(Handler() if body_bytes is None else Handler(body=Size(body_bytes))) as server:
            try:
                yield server
            finally:
                server.close_all()

    def once(self, find: "Callable[[Bench], Found]") -> Found:
        """What several checks judge, each another side of it: found out by the first of them."""
        if find not in self._found:
            try:
                self._found[find] = find(self)
            except (Failed, NotApplicable) as error:
                self._found[find] = error
        found = self._found[find]
        if isinstance(found, Failed | NotApplicable):
            raise found
        return found  # type: ignore[return-value] # what `find` returned

    def settle(self) -> None:
        """A check has ended: every server that it used still answers.

        Raises:
            Failed: one does not.
        """
        used, self._used = self._used, []
        for server in used:
            server.close_all()
        for server in used:
            server.require_alive()

    def discard(self) -> None:
        """Take all servers down; the next check starts its own."""
        self._used.clear()
        while self._kept:
            _, (server, stack) = self._kept.popitem()
            server.close_all()
            stack.close()

    def _server(self, handler: Handler) -> Server:
        if handler not in self._kept:
            stack = contextlib.ExitStack()
            self._kept[handler] = stack.enter_context(self._up(handler)), stack
        server = self._kept[handler][0]
        if server not in self._used:
            self._used.append(server)
        return server

    @contextlib.contextmanager
    def _up(self, handler: Handler) -> Iterator[Server]:
        self._started += 1
        trial = self._trial.model_copy(update={"handler": handler})
        name = f"verify-{self._started}"
        with server_up(self._site, name, trial, self.model, self._cores, 0.0, self.notes) as deployed:
            yield Server(self, deployed)

    def _need_handler(self) -> None:
        if not self.takes_handler:
            raise NotApplicable("its answers cannot be configured (`contract: port`)")


def wait_until(condition: Callable[[], bool], for_s: float) -> bool:
    """Look until the condition holds; whether it did in time."""
    until_s = time.monotonic() + for_s
    while not condition():
        if time.monotonic() > until_s:
            return False
        time.sleep(0.02)
    return True
