"""Bringing a trial's server up, proving that it answers rightly, and taking it down again whatever happens."""

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from signal import SIGTERM
from typing import TypeVar

from pydantic import ValidationError

from harness.errors import DeployError, HarnessError, MeasureError
from harness.result import ClientReport, ProbeReport, ServerReport
from harness.runtime.base import Runtime, Service, ServiceSpec
from harness.spec.catalogue import option_values
from harness.spec.contract import BackendAddress, HandlerConfig, ServerConfig
from harness.spec.experiment import Handler, Trial
from harness.spec.model import Model

START_DEADLINE_S = 15.0
STOP_DEADLINE_S = 10.0
BACKLOG = 4096  # asked for in listen(2), the same in every model; the kernel caps it at net.core.somaxconn
Fetched = TypeVar("Fetched", ClientReport, ProbeReport, ServerReport)
PATTERN = b"0123456789abcdef"


@dataclass(frozen=True)
class Deployed:
    """A server that is up and proved right."""

    service: Service
    url: str
    proving_requests: int  # right answers it gave before the load


@contextlib.contextmanager
def running(runtime: Runtime, spec: ServiceSpec, notes: list[str]) -> Iterator[Service]:
    """A service that is removed on the way out; what fails then becomes a note."""
    service = runtime.start(spec)
    try:
        yield service
    finally:
        remove(service, notes)


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
    runtime: Runtime,
    name: str,
    trial: Trial,
    model: Model,
    cores: Sequence[int],
    iterations_per_us: float,
    notes: list[str],
) -> Iterator[Deployed]:
    """A trial's server, listening and proved right; removed on the way out.

    Args:
        runtime: where it runs.
        name: unique within the run.
        trial: what to start.
        model: what its folder says of itself.
        cores: CPUs of the server.
        iterations_per_us: calibration of the CPU work.
        notes: gets what goes wrong without touching the numbers.

    Raises:
        DeployError: it does not start, or answers wrongly.
    """
    config = server_config(trial, model, free_port() if trial.network == "host" else 8080, iterations_per_us)
    spec = ServiceSpec(
        name=name,
        role="server",
        image=trial.model,
        config=config.model_dump(mode="json"),
        cores=cores,
        memory_bytes=trial.limits.memory.bytes if trial.limits.memory else None,
        network=trial.network,
        open_files=open_files_for(trial.load.connections),
        port=config.port,
    )
    with running(runtime, spec, notes) as service:
        proved = prove(service, config.port, trial)
        path = trial.request.path
        yield Deployed(service, f"http://{service.address}:{config.port}{path}", proved)


def server_config(
    trial: Trial, model: Model, port: int, iterations_per_us: float, backend: BackendAddress | None = None
) -> ServerConfig:
    """The configuration that the image contract gives to a server."""
    return ServerConfig(
        model=trial.model,
        host="127.0.0.1" if trial.network == "host" else "0.0.0.0",  # noqa: S104 - inside its own network namespace
        port=port,
        backlog=BACKLOG,
        options=option_values(model, trial.options),
        handler=handler_config(trial.handler, iterations_per_us, backend),
    )


def handler_config(handler: Handler, iterations_per_us: float, backend: BackendAddress | None) -> HandlerConfig:
    """The handler's work, CPU time turned into calibrated iterations."""
    return HandlerConfig(
        kind=handler.kind,
        body_bytes=handler.body.bytes,
        cpu_iterations=round(handler.cpu.us * iterations_per_us),
        log=handler.log,
        backend=backend,
        fault=handler.fault,
    )


def open_files_for(connections: int) -> int:
    """Descriptors that a server or a client needs: one a connection, and room for its own."""
    return connections + 256


def free_port() -> int:
    """A TCP port of the loopback address that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def prove(service: Service, port: int, trial: Trial) -> int:
    """Ask until the server answers, then judge the answer. Returns how many requests it answered rightly.

    Raises:
        DeployError: it ended, stayed silent for 15 s, or answered wrongly; with its last output.
    """
    deadline = time.monotonic() + START_DEADLINE_S
    while True:
        try:
            # In attempts: a port that somebody else holds may accept and never answer, while the server has ended.
            patience_s = min(2 + 2 * trial.handler.cpu.s, deadline - time.monotonic())
            status, body = _ask(service.address, port, trial, patience_s)
            break
        except (OSError, http.client.HTTPException) as error:
            if not service.running():
                raise DeployError(
                    f"{service.spec.name}: the server ended before it answered:\n{service.logs()}"
                ) from None
            if time.monotonic() > deadline:
                raise DeployError(
                    f"{service.spec.name}: no answer at {service.address}:{port} within {START_DEADLINE_S:.0f} s"
                    f" ({error}); its last output:\n{service.logs()}"
                ) from None
            time.sleep(0.005)
    _judge_answer(service.spec.name, trial, status, body)
    return 1


def _ask(address: str, port: int, trial: Trial, timeout_s: float) -> tuple[int, bytes]:
    request = trial.request
    connection = http.client.HTTPConnection(address, port, timeout=max(timeout_s, 0.1))
    try:
        body = pattern(request.body.bytes) or None
        connection.request(request.method, request.path, body, {**request.headers, "Connection": "close"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def expected_body_bytes(trial: Trial) -> int:
    """Length of a right answer's body."""
    return trial.request.body.bytes if trial.handler.kind == "echo" else trial.handler.body.bytes


def pattern(size: int) -> bytes:
    """A body of a size, no part of which looks like another."""
    return (PATTERN * (size // len(PATTERN) + 1))[:size]


def _judge_answer(name: str, trial: Trial, status: int, body: bytes) -> None:
    expected = expected_body_bytes(trial)
    if status != 200:
        raise DeployError(
            f"{name}: the server answers {trial.request.method} {trial.request.path} with status {status}, not 200"
        )
    if len(body) != expected:
        raise DeployError(f"{name}: the server answers with a body of {len(body)} bytes, not {expected}")
    if trial.handler.kind == "echo" and body != pattern(expected):
        raise DeployError(f"{name}: the server does not echo the request's body")


def stop_and_report(service: Service, exact: bool) -> ServerReport | None:
    """Ask a server to finish, and read its exit report where it writes one.

    Raises:
        DeployError: it does not end in time, or ends with another status than 0.
        MeasureError: it leaves no right report.
    """
    service.signal(SIGTERM)
    status = service.wait(STOP_DEADLINE_S)
    if not exact:
        return None
    if status != 0:
        raise DeployError(f"{service.spec.name}: the server ended with status {status}, not 0:\n{service.logs()}")
    return fetch_record(service, "exit.json", ServerReport)


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
