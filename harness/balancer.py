"""The balancer of a trial: HAProxy, up when it knows every server to be well, and gone before them."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.clients import most_connections
from harness.deploy import BACKLOG, open_files_for, running, stop_and_fetch
from harness.errors import DeployError, MeasureError, RuntimeUnavailable
from harness.events import EventStream
from harness.fleet import Site
from harness.proof import origin_of
from harness.raw import BalancerReport
from harness.runtime.base import Service, ServiceSpec
from harness.spec.cluster import BalancerKind
from harness.spec.contract import BalancedAddress, BalancerConfig
from harness.spec.experiment import Trial

IMAGE = "haproxy"
PORT_OF_ITS_OWN = 8080  # in a network of its own
OTHERS = 64
"""Connections beside the load's that it takes: those that prove it, and one that sets a fault off."""

READY_DEADLINE_S = 15.0
"""For the first check of each server, beside the checks that one which is slow may take."""

_ADMIN_DIRECTORIES = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # where Debian has it; often not in a user's PATH


@dataclass(frozen=True)
class BalancerUp:
    """A balancer that takes connections and knows its servers to be well."""

    service: Service
    port: int

    @property
    def origin(self) -> str:
        """Where it answers, as a URL without a path."""
        return origin_of(self.service, self.port)


@contextlib.contextmanager
def balancer_up(
    site: Site,
    name: str,
    trial: Trial,
    servers: Sequence[BalancedAddress],
    cores: Sequence[int],
    notes: list[str],
) -> Iterator[BalancerUp]:
    """A trial's balancer, with every server behind it known to be well; removed on the way out.

    Args:
        site: where it runs.
        name: of the trial.
        trial: what is asked for; its `balancer` is one of HAProxy's.
        servers: behind it, proved right.
        cores: CPUs that it runs on.
        notes: gets what goes wrong without touching the numbers.

    Raises:
        RuntimeUnavailable: it is to be a plain process, and this machine has no HAProxy.
        DeployError: it does not start, or does not reach a server: which, and what its check said.
    """
    if site.runtime.name == "process":
        refuse_without_haproxy(trial.balancer)
    port = site.ports.next() if trial.network == "host" else PORT_OF_ITS_OWN
    config = balancer_config(trial, servers, port=port, host=site.listening_address(trial.network))
    spec = ServiceSpec(
        name=f"{name}-balancer",
        role="balancer",
        image=IMAGE,
        config=config.model_dump(mode="json"),
        cores=cores,
        network=trial.network,
        open_files=open_files_of_balancer(config),
        port=port,
    )
    with running(site.runtime, spec, notes) as service:
        _await_servers(service, READY_DEADLINE_S + config.rise * config.check_interval_s)
        yield BalancerUp(service, port)


def balancer_config(trial: Trial, servers: Sequence[BalancedAddress], *, port: int, host: str) -> BalancerConfig:
    """The configuration that the image contract gives to a balancer.

    Args:
        trial: what is asked for; its `balancer` is one of HAProxy's.
        servers: behind it.
        port: to listen on.
        host: address to listen on.
    """
    balancing = trial.balancing
    return BalancerConfig(
        mode=_mode(trial.balancer),
        host=host,
        port=port,
        backlog=BACKLOG,
        servers=tuple(servers),
        algorithm=balancing.algorithm,
        check=_mode(trial.balancer) if balancing.check == "auto" else balancing.check,
        check_interval_s=balancing.interval.s,
        fall=balancing.fall,
        rise=balancing.rise,
        connections=most_connections(trial.load) + OTHERS,
        server_connections=balancing.per_server,
        keep_alive=trial.load.lifetime != "per-request",
        timeout_s=trial.load.timeout.s,
        threads=balancing.cores,
    )


def open_files_of_balancer(config: BalancerConfig) -> int:
    """Descriptors that it needs: two a connection, two a server for checks, and its own."""
    return open_files_for(2 * config.connections + 2 * len(config.servers))


def stop_balancer(up: BalancerUp) -> BalancerReport:
    """Ask it to finish and end, and read its report; raises as `stop_and_fetch` does."""
    return stop_and_fetch(up.service, BalancerReport)


def refuse_without_haproxy(kind: BalancerKind) -> None:
    """See that this machine has HAProxy, where the balancer is to be a plain process.

    Raises:
        RuntimeUnavailable: it has none.
    """
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *_ADMIN_DIRECTORIES))
    if shutil.which("haproxy", path=path) is None:
        raise RuntimeUnavailable(
            f"balancer {kind}: there is no HAProxy on this machine; use RUNTIME=docker, which brings its own, or"
            " `apt-get install haproxy`"
        )


def _mode(kind: BalancerKind) -> Literal["tcp", "http"]:
    if kind not in ("haproxy-tcp", "haproxy-http"):
        raise ValueError(f"{kind} is no balancer of HAProxy's")
    return "http" if kind == "haproxy-http" else "tcp"


def _await_servers(service: Service, deadline_s: float) -> None:
    """Wait until it says that every server is well.

    Raises:
        DeployError: it does not in time, or ends; which servers it waits for, and what their checks said.
    """
    with EventStream(service, deadline_s) as events:
        try:
            events.expect("ready", deadline_s)
        except MeasureError as error:
            raise DeployError(f"{error}{_waited_for(service)}") from None


def _waited_for(service: Service) -> str:
    """The servers that are not well, by the last that it said of them."""
    told = [json.loads(line) for line in service.logs().splitlines() if line.startswith('{"event": "waiting"')]
    if not told:
        return ""
    return "; it waits for " + ", ".join(f"{name}: {why}" for name, why in told[-1]["servers"].items())
