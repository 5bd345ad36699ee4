"""Bringing a trial's server up, proving that it answers rightly, and taking it down again whatever happens."""

import contextlib
import json
import resource
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from signal import SIGTERM, Signals
from typing import TypeVar
from urllib.parse import urlsplit

from pydantic import ValidationError

from harness.clients import most_connections
from harness.errors import DeployError, HarnessError, MeasureError
from harness.fleet import HERE, Site
from harness.hosts.connection import Dial
from harness.ports import LOOPBACK
from harness.proof import START_DEADLINE_S, Expected, origin_of, prove_right
from harness.raw import BackendReport, BalancerReport, ClientReport, ProbeReport, ServerReport
from harness.runtime.base import Runtime, Service, ServiceSpec
from harness.spec.catalogue import held_by_one, option_values
from harness.spec.contract import BackendAddress, HandlerConfig, ServerConfig
from harness.spec.experiment import Trial
from harness.spec.fault_rules import has_crash
from harness.spec.model import Model
from harness.trust import Trust

STOP_DEADLINE_S = 10.0
OPEN_FILES_OF_OTHERS = 16_384  # at least, of a server that is none of ours, where the host allows it
BACKLOG = 4096  # asked for in listen(2), the same in every model; the kernel caps it at net.core.somaxconn
Fetched = TypeVar("Fetched", ClientReport, ProbeReport, ServerReport, BackendReport, BalancerReport)


@dataclass(frozen=True, kw_only=True)
class Reached:
    """A server that answers, and was proved right."""

    url: str
    proving_requests: int  # right answers it gave before the load
    expected: tuple[Expected, ...]  # of each kind of request
    trust: Trust | None = None  # none: it does not speak https
    addresses: tuple[str, ...] = ()  # host:port of each of several servers that the clients spread over themselves
    dial: Dial | None = None  # how the controller reaches it: by its host; none: directly


@dataclass(frozen=True, kw_only=True)
class Deployed(Reached):
    """One that was started for the trial."""

    service: Service
    stop: Signals | None = SIGTERM  # on which it finishes; none: nothing is known of it, and it is killed in the end
    name: str = "server"  # within the trial
    host: str = HERE


@dataclass(frozen=True, kw_only=True)
class Front(Reached):
    """What the load meets: one server, or whatever stands in front of several."""

    servers: tuple[Deployed, ...]

    @classmethod
    def of(cls, servers: Sequence[Deployed], *, direct: bool = False) -> "Front":
        """Servers with nothing in front of them.

        Args:
            servers: at least one; the load meets the first by its own address.
            direct: whether it meets all of them, by theirs: clients spread their connections themselves.
        """
        first = servers[0]
        return cls(
            url=first.url,
            proving_requests=sum(server.proving_requests for server in servers),
            expected=first.expected,
            trust=first.trust,
            servers=tuple(servers),
            addresses=tuple(urlsplit(server.url).netloc for server in servers) if direct else (),
            dial=first.dial,
        )


@contextlib.contextmanager
def running(runtime: Runtime, spec: ServiceSpec, notes: list[str]) -> Iterator[Service]:
    """A service that is removed on the way out; what fails then becomes a note."""
    service = runtime.start(spec)
    try:
        yield service
    finally:
        remove(service, notes)


@contextlib.contextmanager
def together(coming: Sequence[contextlib.AbstractContextManager[Deployed]]) -> Iterator[list[Deployed]]:
    """Several servers that come up side by side, and go side by side.

    Raises:
        HarnessError: the first of them that did not come up; those that did are gone then, too.
    """
    with ThreadPoolExecutor(max(len(coming), 1)) as pool:
        entering = [pool.submit(one.__enter__) for one in coming]
        try:
            yield [entered.result() for entered in entering]
        finally:
            up = [one for one, entered in zip(coming, entering, strict=True) if entered.exception() is None]
            list(pool.map(lambda one: one.__exit__(None, None, None), up))


def remove(service: Service, notes: list[str]) -> None:
    """Remove a service. Good data is never lost because cleaning failed: that becomes a note, and the next run cleans."""
    try:
        service.remove()
    except HarnessError as error:
        notes.append(f"{service.spec.name} could not be removed: {error}")


def fetch_record(service: Service, name: str, kind: type[Fetched]) -> Fetched:
    """A JSON file that a service left, as the record it must be.

    Raises:
        MeasureError: it left none, or one that breaks the contract.
    """
    try:
        return kind.model_validate_json(service.fetch(name))
    except FileNotFoundError:
        raise MeasureError(f"{service.spec.name}: it left no {name}; its last output:\n{service.logs()}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise MeasureError(f"{service.spec.name}: its {name} breaks the contract: {where}: {first['msg']}") from None


@contextlib.contextmanager
def server_up(
    site: Site,
    name: str,
    trial: Trial,
    model: Model,
    cores: Sequence[int],
    iterations_per_us: float,
    notes: list[str],
    backend: BackendAddress | None = None,
) -> Iterator[Deployed]:
    """A trial's server of a folder of images/, listening and proved right; removed on the way out.

    Args:
        site: where it runs.
        name: unique within the run.
        trial: what to start.
        model: what its folder says of itself.
        cores: CPUs of the server.
        iterations_per_us: calibration of the CPU work.
        notes: gets what goes wrong without touching the numbers.
        backend: whom it is to ask, where it has a backend.

    Raises:
        DeployError: it does not start, or answers wrongly.
    """
    port, host = port_for(site, trial, model), site.listening_address(trial.network)
    spec = ServiceSpec(
        name=name,
        role="server",
        image=trial.model_name,
        config=server_config(trial, model, port, iterations_per_us, backend, host).model_dump(mode="json"),
        cores=cores,
        memory_bytes=trial.limits.memory.bytes if trial.limits.memory else None,
        network=trial.network,
        open_files=open_files_of_server(trial, model),
        port=port,
    )
    with running(site.runtime, spec, notes) as service:
        proved, expected = prove_right(service, port, trial, model, notes, site.dial)
        yield Deployed(
            service=service,
            url=f"{origin_of(service, port, model.protocol)}{trial.request.path}",
            proving_requests=proved,
            expected=expected,
            stop=Signals[model.stop],
            dial=site.dial,
        )


def port_for(site: Site, trial: Trial, model: Model) -> int:
    """The port that a server is to listen on: a free one, unless it is told none or has the network to itself.

    Raises:
        DeployError: a server that cannot be told finds its port taken.
    """
    if trial.network != "host":
        return model.port
    if model.contract == "full":
        return site.ports.next()
    refuse_taken(site, model.port)
    return model.port


def refuse_taken(site: Site, port: int) -> None:
    """See that nothing listens on a port of a host: a server with a port of its own would end, and the other answer.

    Raises:
        DeployError: something does.
    """
    try:
        opened = site.dial or _dialled_here
        opened(LOOPBACK, port, 1.0).close()
    except OSError:
        return
    which = "this host" if site.here else f"host {site.name}"
    raise DeployError(
        f"port {port} of {which} is taken, and this server listens on no other; stop what listens there, or set"
        " `network: bridge`"
    )


def _dialled_here(host: str, port: int, timeout_s: float) -> socket.socket:
    return socket.create_connection((host, port), timeout_s)


def server_config(
    trial: Trial,
    model: Model,
    port: int,
    iterations_per_us: float,
    backend: BackendAddress | None = None,
    host: str = LOOPBACK,
) -> ServerConfig:
    """The configuration that the image contract gives to a server."""
    return ServerConfig(
        model=trial.model_name,
        host=host,
        port=port,
        backlog=BACKLOG,
        options=option_values(model, trial.options),
        handler=handler_config(trial, iterations_per_us, backend),
    )


def handler_config(trial: Trial, iterations_per_us: float, backend: BackendAddress | None) -> HandlerConfig:
    """The handler's work, CPU time turned into calibrated iterations."""
    handler = trial.handler
    return HandlerConfig(
        kind=handler.kind,
        body_bytes=handler.body.bytes,
        cpu_iterations=round(handler.cpu.us * iterations_per_us),
        log=handler.log,
        backend=backend,
        fault="crash" if has_crash(trial) else handler.fault,
    )


def open_files_for(connections: int) -> int:
    """Descriptors that a client or a backend needs: one a connection, and room for its own."""
    return connections + 256


def open_files_of_server(trial: Trial, model: Model | None) -> int:
    """Descriptors that one process of a trial's server needs: with a backend, each connection may have a call under way.

    A server that is none of ours opens for itself what nobody here knows, such as a log or a database's connections: a
    limit made for ours would be a wall that its people never meet.

    Args:
        trial: what is asked of it.
        model: what its folder says of it; none: it has no folder.
    """
    held = most_connections(trial.load)
    if model is not None:
        held = held_by_one(model, trial.options, held)
    needed = open_files_for(held * (1 if trial.handler.backend.delay is None else 2))
    if model is not None and model.contract == "full":
        return needed
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return max(needed, OPEN_FILES_OF_OTHERS if hard == resource.RLIM_INFINITY else min(OPEN_FILES_OF_OTHERS, hard))


def stop_and_report(service: Service, exact: bool, stop: Signals | None = SIGTERM) -> ServerReport | None:
    """Ask a server to finish, and read its exit report where it writes one.

    Args:
        service: the server.
        exact: whether it writes an exit report.
        stop: on which it finishes; none: nothing is known of it, and it is killed when it is removed.

    Raises:
        DeployError: it does not end in time, or ends with another status than 0.
        MeasureError: it leaves no right report.
    """
    if stop is None:
        return None
    if exact:
        return stop_and_fetch(service, ServerReport, stop)
    service.signal(stop)
    service.wait(STOP_DEADLINE_S)
    return None


def stop_and_fetch(service: Service, kind: type[Fetched], stop: Signals = SIGTERM) -> Fetched:
    """Ask a service to finish, and read the report that it leaves.

    Args:
        service: of ours.
        kind: of its report.
        stop: on which it finishes.

    Raises:
        DeployError: it does not end in time, or ends with another status than 0.
        MeasureError: it leaves no right report.
    """
    service.signal(stop)
    if status := service.wait(STOP_DEADLINE_S):
        raise DeployError(
            f"{service.spec.name}: the {service.spec.role} ended with status {status}, not 0:\n{service.logs()}"
        )
    return fetch_record(service, "exit.json", kind)


def calibrate(runtime: Runtime, image: str, cores: Sequence[int]) -> float:
    """Iterations of the shared work loop per microsecond, on the server's cores.

    Raises:
        DeployError: the tool did not print its measurement.
    """
    spec = ServiceSpec(
        name="calibrate", role="tool", image=image, config={}, cores=cores, command=("-m", "common.calibrate")
    )
    with running(runtime, spec, []) as service:
        for line in service.lines(START_DEADLINE_S):
            with contextlib.suppress(ValueError, KeyError, TypeError):
                return float(json.loads(line)["iterations_per_us"])
        raise DeployError(f"{service.spec.name}: no calibration of the CPU work:\n{service.logs()}")
