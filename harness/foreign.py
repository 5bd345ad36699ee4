"""Servers that are no folder of images/: a ready image is run as it is, what runs already is measured from outside."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence

from harness.deploy import Deployed, Reached, open_files_of_server, refuse_taken, running
from harness.fleet import Site
from harness.load_clients import LoadClient, led
from harness.measure import STEP_DEADLINE_S, Job, Take, client_specs, load_clients, logs_of, started
from harness.merging import merged_clients
from harness.proof import origin_of, prove_foreign
from harness.raw import ClientReport
from harness.runtime.base import ServiceSpec
from harness.spec.experiment import Trial
from harness.spec.foreign import ReadyImage, RunningServer
from harness.trust import trust_in


@contextlib.contextmanager
def image_up(
    site: Site,
    name: str,
    trial: Trial,
    image: ReadyImage,
    cores: Sequence[int],
    certificates: Mapping[str, str],
    notes: list[str],
) -> Iterator[Deployed]:
    """A ready image as a trial's server: run as it is, its answers proved right; killed and removed on the way out.

    Args:
        site: where it runs.
        name: unique within the run.
        trial: what is asked of it, and its limits.
        image: the trial's `model`.
        cores: CPUs of the server.
        certificates: what each `ca` file holds.
        notes: gets what goes wrong without touching the numbers.

    Raises:
        DeployError: it does not start, its port is taken, or it answers wrongly.
    """
    if trial.network == "host":
        refuse_taken(site, image.port)
    spec = ServiceSpec(
        name=name,
        role="server",
        image=image.reference,
        config={},
        cores=cores,
        memory_bytes=trial.limits.memory.bytes if trial.limits.memory else None,
        network=trial.network,
        open_files=open_files_of_server(trial, None),
        port=image.port,
        ready=image,
    )
    with running(site.runtime, spec, notes) as service:
        origin, trust = (
            origin_of(service, image.port, "https" if image.https else "http"),
            trust_in(image, certificates),
        )
        proved, expected = prove_foreign(origin, trial, trust, service, notes, site.dial)
        yield Deployed(
            url=f"{origin}{trial.request.path}",
            proving_requests=proved,
            expected=expected,
            trust=trust,
            service=service,
            stop=None,
            dial=site.dial,
        )


def reach(trial: Trial, server: RunningServer, certificates: Mapping[str, str], notes: list[str]) -> Reached:
    """A server that runs already, its answers proved right; nothing is started.

    Args:
        trial: what is asked of it.
        server: the trial's `model`.
        certificates: what each `ca` file holds.
        notes: gets what goes wrong without touching the numbers.

    Raises:
        DeployError: it does not answer, or wrongly.
    """
    trust = trust_in(server, certificates)
    proved, expected = prove_foreign(server.url, trial, trust, None, notes)
    return Reached(url=f"{server.url}{trial.request.path}", proving_requests=proved, expected=expected, trust=trust)


def measure_from_outside(reached: Reached, job: Job, take: Take) -> None:
    """Load a server that runs already, and collect what the clients have to tell: nobody looks into the server.

    Args:
        reached: the server, proved right.
        job: what is to be measured.
        take: gets each report as it comes.

    Raises:
        MeasureError: a client broke down or missed a deadline.
    """
    with started(client_specs(reached, job), take.notes) as services:
        try:
            take.shares = _follow(load_clients(services, job), job)
            take.client = merged_clients(take.shares)
        finally:
            take.logs |= logs_of(services, "client")


def _follow(clients: Sequence[LoadClient], job: Job) -> list[ClientReport]:
    """The trial's timeline, from ready to done: the clients' own (harness/measure.py)."""
    load = job.trial.load
    length_s = job.connecting_s + load.warmup.s + load.window.s + load.timeout.s
    with led(clients, length_s, job.on_tick) as together:
        together.expect("ready", job.connecting_s)
        timeline = together.start(job.start_delay_ns, STEP_DEADLINE_S)
        together.pump_until(timeline.window_end_ns)
        together.expect("done", load.timeout.s + 2 * STEP_DEADLINE_S)
        together.wait(STEP_DEADLINE_S)
        return together.reports()
