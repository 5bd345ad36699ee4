"""What the probes saw of a trial, and the evidence made of it."""

from collections.abc import Mapping, Sequence

from harness.backend import CORES as BACKEND_CORES
from harness.judging.evidence import Evidence
from harness.measure import Job, Take
from harness.merging import merged_servers, shifted
from harness.raw import ClientReport
from harness.readings import cpu_utilisation
from harness.result import CoreLoad, ServiceUsage, Side
from harness.spec.catalogue import workers_of
from harness.spec.model import Model
from harness.usage import client_usage, core_loads, usage_of


def looked_at(job: Job, take: Take) -> tuple[dict[str, ServiceUsage], dict[Side, CoreLoad]]:
    """What the probes saw of each service, and of the cores of each side; nothing without clients' and probes' reports."""
    if take.client is None or not take.probes:
        return {}, {}
    trial, placement = job.trial, job.placement
    found = {
        placed.name: usage_of(take.probes[placed.host], placed.name, trial.limits.cores, take.servers.get(placed.name))
        for placed in placement.servers
    }
    backends = [usage_of(take.probes[host], "backend", BACKEND_CORES, None) for host in placement.backends]
    found["backend"] = busiest([usage for usage in backends if usage is not None])
    first = placement.clients[0]
    there = shifted(take.client, job.fleet[first.host].clock.offset_ns)
    found["client"] = client_usage(take.probes[first.host], there, sum(len(one.cores) for one in placement.clients))
    usage = {name: used for name, used in found.items() if used is not None}
    return usage, busiest_cores(job, take, take.client)


def busiest(usages: Sequence[ServiceUsage]) -> ServiceUsage | None:
    """The usage of the service that used the largest share of its cores; None of none."""
    return max(usages, key=cpu_utilisation, default=None)


def busiest_cores(job: Job, take: Take, client: ClientReport) -> dict[Side, CoreLoad]:
    """Of each side, the cores of the host where they were busiest."""
    placement, found = job.placement, dict[Side, CoreLoad]()
    loading = {placed.host for placed in placement.clients}  # elsewhere the client's side is the probe alone
    for host, probe in take.probes.items():
        there = shifted(client, job.fleet[host].clock.offset_ns)
        for side, load in core_loads(probe.host, there, placement.sides[host]).items():
            if (side != "client" or host in loading) and (side not in found or load.busy > found[side].busy):
                found[side] = load
    return found


def evidence_of(
    job: Job, take: Take, model: Model | None, usage: Mapping[str, ServiceUsage], cores: Mapping[Side, CoreLoad]
) -> Evidence:
    """What a judgement rests on; of a search, its last step.

    Args:
        job: the trial, placed.
        take: what it has brought; the client has reported.
        model: the servers', where it is a folder of images/.
        usage: of each service.
        cores: of each side.
    """
    assert take.client is not None  # noqa: S101 - whoever asks has looked
    return Evidence(
        trial=take.measured or job.trial,
        concurrency=model.concurrency if model else None,
        workers=workers_of(model, job.trial.options) if model else None,
        client=take.client,
        server=merged_servers(take.servers),
        proving_requests=take.proved,
        usage=busiest([usage[placed.name] for placed in job.placement.servers if placed.name in usage]),
        client_usage=usage.get("client"),
        cores=cores,
        backend=take.backend,
        backend_usage=usage.get("backend"),
        fault=take.fault,
        earlier_ok=take.earlier_ok,
        earlier_unknown=take.earlier_unknown,
        searched=take.capacity is not None and take.capacity.ended != "client gave out",
    )
