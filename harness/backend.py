"""The backend of a trial: up and proved before the server, watched with it, and gone after it."""

import contextlib
import http.client
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.deploy import open_files_for, running, stop_and_fetch
from harness.errors import DeployError
from harness.fleet import Site
from harness.hosts.connection import Dial
from harness.ports import LOOPBACK
from harness.proof import OK, START_DEADLINE_S, ask, longest_answer_s, origin_of
from harness.raw import BackendReport
from harness.runtime.base import Service, ServiceSpec
from harness.spec.contract import BackendAddress, BackendConfig
from harness.spec.experiment import Trial
from harness.spec.traffic import MixedRequest

IMAGE = "backend"
CORES = 1  # it is one thread


@dataclass(frozen=True)
class BackendUp:
    """A backend that answers."""

    service: Service
    address: BackendAddress


@contextlib.contextmanager
def backend_up(
    site: Site, name: str, trial: Trial, cores: Sequence[int], notes: list[str]
) -> Iterator[BackendUp | None]:
    """A trial's backend, answering; removed on the way out. None where the trial has none.

    Args:
        site: where it runs.
        name: of the trial; the same trial gets the same delays in every run.
        trial: what is asked for.
        cores: CPUs that it runs on.
        notes: gets what goes wrong without touching the numbers.

    Raises:
        DeployError: it does not start, or does not answer rightly.
    """
    port, host = site.ports.next() if trial.network == "host" else 8080, site.listening_address(trial.network)
    config = backend_config(trial, port, zlib.crc32(name.encode()), host)
    if config is None:
        yield None
        return
    spec = ServiceSpec(
        name=f"{name}-backend",
        role="backend",
        image=IMAGE,
        config=config.model_dump(mode="json"),
        cores=cores,
        network=trial.network,
        open_files=open_files_for(trial.load.connections),
        port=config.port,
    )
    with running(site.runtime, spec, notes) as service:
        _prove(service, config, longest_answer_s(trial.handler.backend), site.dial)
        # A request whose backend takes longer than this has timed out itself.
        yield BackendUp(service, BackendAddress(host=service.address, port=config.port, timeout_s=trial.load.timeout.s))


def backend_config(trial: Trial, port: int, seed: int, host: str = LOOPBACK) -> BackendConfig | None:
    """The configuration that the image contract gives to a backend; None where the trial has none."""
    backend = trial.handler.backend
    if backend.delay is None:
        return None
    return BackendConfig(
        host=host,
        port=port,
        body_bytes=backend.body.bytes,
        distribution=backend.distribution,
        delay_s=backend.delay.s,
        slow_s=backend.slow.s if backend.slow is not None else 0.0,
        slow_share=backend.slow_share if backend.slow is not None else 0.0,
        seed=seed,
    )


def stop_backend(backend: BackendUp) -> BackendReport:
    """Ask it to end, and read its report; raises as `stop_and_fetch` does."""
    return stop_and_fetch(backend.service, BackendReport)


def _prove(service: Service, config: BackendConfig, answer_s: float, dial: Dial | None) -> None:
    """Ask until it answers, then judge the answer."""
    deadline_s = time.monotonic() + START_DEADLINE_S + answer_s
    while True:
        try:
            status, body = ask(origin_of(service, config.port), MixedRequest(), 2.0 + answer_s, dial=dial)
            break
        except (OSError, http.client.HTTPException) as error:
            if service.running() and time.monotonic() < deadline_s:
                time.sleep(0.005)
                continue
            state = f"no answer at {service.address}:{config.port} ({error})" if service.running() else "it ended"
            raise DeployError(f"{service.spec.name}: {state}; its last output:\n{service.logs()}") from None
    if (status, len(body)) != (OK, config.body_bytes):
        raise DeployError(
            f"{service.spec.name}: the backend answers with status {status} and {len(body)} bytes, not {OK} and {config.body_bytes}"
        )
