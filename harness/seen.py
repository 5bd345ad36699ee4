"""What the probes saw of a trial, and the evidence made of it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.backend import CORES as BACKEND_CORES
from harness.fleet import Look
from harness.histogram import percentiles
from harness.hosts.cores import CoreMap
from harness.judging.evidence import Evidence, Sharing
from harness.measure import Job, Take
from harness.merging import merged_networks, merged_servers, merged_usages, shifted
from harness.raw import ClientReport
from harness.readings import censored, cpu_share, cpu_utilisation
from harness.result import ClientShare, CoreLoad, HostUse, ServiceUsage, Side
from harness.spec.catalogue import workers_of
from harness.spec.model import Model
from harness.usage import client_usage, core_loads, usage_of

SHARE_PERCENTILES = {"p50": 50.0, "p99": 99.0}
"""Of each client's response times: kept for seeing whether they agree."""


def looked_at(job: Job, take: Take) -> tuple[dict[str, ServiceUsage], dict[Side, CoreLoad]]:
    """What the probes saw of each service, and of the cores of each side; nothing without clients' and probes' reports."""
    if take.client is None or not take.probes:
        return {}, {}
    trial, placement = job.trial, job.placement
    found = {
        placed.name: usage_of(take.probes[placed.host], placed.name, trial.limits.cores, take.servers.get(placed.name))
        for placed in placement.servers
        if placed.host in take.probes
    }
    watched = [host for host in placement.backends if host in take.probes]
    backends = [usage_of(take.probes[host], "backend", BACKEND_CORES, None) for host in watched]
    found["backend"] = busiest([usage for usage in backends if usage is not None])
    if (balancer := placement.balancer) is not None:
        found["balancer"] = usage_of(take.probes[balancer.host], balancer.name, trial.balancing.cores, None)
    first = placement.clients[0]
    there = shifted(take.client, job.fleet[first.host].clock.offset_ns)
    found["client"] = client_usage(take.probes[first.host], there, sum(len(one.cores) for one in placement.clients))
    usage = {name: used for name, used in found.items() if used is not None}
    return usage, busiest_cores(cores_by_host(job, take))


def busiest(usages: Sequence[ServiceUsage]) -> ServiceUsage | None:
    """The usage of the service that used the largest share of its cores; None of none."""
    return max(usages, key=cpu_utilisation, default=None)


def cores_by_host(job: Job, take: Take) -> dict[str, dict[Side, CoreLoad]]:
    """How busy the cores of each side were, host by host; of the client's only where load clients ran."""
    if take.client is None:
        return {}
    loading = {placed.host for placed in job.placement.clients}  # elsewhere the client's side is the probe alone
    found: dict[str, dict[Side, CoreLoad]] = {}
    for host, probe in take.probes.items():
        there = shifted(take.client, job.fleet[host].clock.offset_ns)
        loads = core_loads(probe.host, there, job.placement.sides[host])
        if host not in loading and "client" in loads:
            rest = loads.pop("client")
            loads |= dict.fromkeys(_alone_with_the_probe(job.placement.sides[host]), rest)
        found[host] = loads
    return found


def _alone_with_the_probe(sides: CoreMap) -> list[Side]:
    """Who has the CPUs that would be the client's, on a host without one, and shares them with the probe only."""
    theirs: dict[Side, tuple[int, ...]] = {"backend": sides.backend, "balancer": sides.balancer}
    there = [side for side, cpus in theirs.items() if cpus and set(cpus) <= set(sides.client)]
    return there if len(there) == 1 and not set(sides.client) & set(sides.server) else []


def busiest_cores(by_host: Mapping[str, Mapping[Side, CoreLoad]]) -> dict[Side, CoreLoad]:
    """Of each side, the cores of the host where they were busiest."""
    found: dict[Side, CoreLoad] = {}
    for loads in by_host.values():
        for side, load in loads.items():
            if side not in found or load.busy > found[side].busy:
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
    placed = job.placement.servers
    servers = _servers_as_one(job, take, usage)
    workers = workers_of(model, job.trial.options) if model else None
    return Evidence(
        trial=take.measured or job.trial,
        concurrency=model.concurrency if model else None,
        workers=None if workers is None else workers * max(1, len(placed)),
        client=take.client,
        # A part of the servers' counts is no count of what all of them answered.
        server=merged_servers(take.servers) if len(take.servers) == len(placed) else None,
        proving_requests=take.proved,
        usage=servers.usage,
        each={one.name: usage[one.name] for one in placed if one.name in usage} if len(placed) > 1 else {},
        client_usage=usage.get("client"),
        cores=cores,
        sharing=_sharing(job, take, servers),
        backend=take.backend,
        backend_usage=usage.get("backend"),
        balancer=take.balancer,
        balancer_usage=usage.get("balancer"),
        shares=take.shares,
        fault=take.fault,
        faults=take.faults,
        earlier_ok=take.earlier_ok,
        earlier_unknown=take.earlier_unknown,
        searched=take.capacity is not None and take.capacity.ended != "client gave out",
    )


@dataclass(frozen=True)
class _Together:
    """Servers whose usage is judged as one: those of a host, and of other hosts that are on the very same CPUs."""

    usage: ServiceUsage | None
    cores: tuple[int, ...] = ()
    hosts: tuple[str, ...] = ()


def _servers_as_one(job: Job, take: Take, usage: Mapping[str, ServiceUsage]) -> _Together:
    """What the servers used together, where their cores were busiest: those whose load is in the record.

    What happened in network namespaces is that of all: connections may be dropped on another host than the busiest.
    """
    placed = job.placement.servers
    if len(placed) == 1:
        return _Together(usage.get(placed[0].name), placed[0].cores, (placed[0].host,))
    by_host = {host: _servers_of(job, usage, host) for host in dict.fromkeys(one.host for one in placed)}
    networks = [
        one.usage.network for one in by_host.values() if one.usage is not None and one.usage.network is not None
    ]
    loads, found = cores_by_host(job, take), list[tuple[float, _Together]]()
    for together in _on_the_same_cpus(job, by_host.values()):
        if together.usage is not None:
            busy = [loads[host]["server"].busy for host in together.hosts if "server" in loads.get(host, {})]
            found.append((max(busy, default=cpu_utilisation(together.usage)), together))
    busiest_of_all = max(found, key=lambda pair: pair[0], default=(0.0, _Together(None)))[1]
    if busiest_of_all.usage is None:
        return busiest_of_all
    everywhere = {"network": merged_networks(networks, one_network=False)}
    return replace(busiest_of_all, usage=busiest_of_all.usage.model_copy(update=everywhere))


def _servers_of(job: Job, usage: Mapping[str, ServiceUsage], host: str) -> _Together:
    """Those of one host."""
    placed = [one for one in job.placement.servers if one.host == host]
    there = [usage[one.name] for one in placed if one.name in usage]
    cpus = tuple(sorted({cpu for one in placed for cpu in one.cores}))
    pooled = merged_usages(there, len(cpus) or sum(one.cores for one in there), one_network=job.trial.network == "host")
    return _Together(pooled, cpus, (host,))


def _on_the_same_cpus(job: Job, by_host: Iterable[_Together]) -> Iterator[_Together]:
    """Hosts that are containers of one machine and have the same CPUs for their servers, as in a testbed, become one."""
    found: dict[tuple[str, tuple[int, ...]], list[_Together]] = {}
    for one in by_host:
        found.setdefault((job.fleet[one.hosts[0]].cpus_of, one.cores), []).append(one)
    for (_, cpus), alike in found.items():
        known = [one.usage for one in alike if one.usage is not None]
        pooled = merged_usages(known, len(cpus) or sum(one.cores for one in known), one_network=False)
        yield _Together(pooled, cpus, tuple(host for one in alike for host in one.hosts))


def _sharing(job: Job, take: Take, servers: _Together) -> Sharing:
    """Which sides met on a CPU. Of hosts that are machines of their own, equal numbers are not the same CPU."""
    placement = job.placement
    sides, balancer = placement.sides, placement.balancer

    def on(cpus: Mapping[str, Sequence[int]]) -> set[tuple[str, int]]:
        return {(job.fleet[host].cpus_of, cpu) for host, there in cpus.items() for cpu in there}

    client = on({one.host: sides[one.host].client for one in placement.clients})
    server = on({one.host: sides[one.host].server for one in placement.servers})
    backend = on({host: sides[host].backend for host in placement.backends})
    balancing = on({} if balancer is None else {balancer.host: sides[balancer.host].balancer})
    return Sharing(
        client_and_server=bool(client & server),
        client_and_backend=bool(client & backend),
        client_and_balancer=bool(client & balancing),
        backend_on_servers=_backends_beside(job, take, servers),
    )


def _backends_beside(job: Job, take: Take, servers: _Together) -> float:
    """Share of these servers' cores that backends took which run nowhere else."""
    placement = job.placement
    confined = [
        host
        for host in servers.hosts
        if host in placement.backends and set(placement.sides[host].backend) <= set(servers.cores)
    ]
    used = [usage_of(take.probes[host], "backend", BACKEND_CORES, None) for host in confined if host in take.probes]
    return sum(cpu_share(one) for one in used if one is not None) / max(1, len(servers.cores))


def client_shares(job: Job, take: Take) -> tuple[ClientShare, ...]:
    """The part of each of several load clients; none of one alone."""
    if take.client is None or len(take.shares) < 2:
        return ()
    return tuple(
        ClientShare(
            host=placed.host,
            processes=placed.plan.processes,
            connections=placed.connections,
            intended=share.intended,
            ok=share.ok,
            errors=sum(share.errors.values()),
            start_late_ns=None if share.begun_ns is None else share.begun_ns - share.start_ns,
            percentiles_us=_percentiles_us(share),
        )
        for placed, share in zip(job.placement.clients, take.shares, strict=True)
    )


def _percentiles_us(share: ClientReport) -> dict[str, float | None]:
    found_ns = percentiles(
        share.histograms.get("response", {}), list(SHARE_PERCENTILES.values()), censored("response", share)
    )
    return {
        name: None if value is None else value / 1e3 for name, value in zip(SHARE_PERCENTILES, found_ns, strict=True)
    }


def host_uses(job: Job, take: Take, before: Mapping[str, Look]) -> dict[str, HostUse]:
    """What ran on each host of an inventory, and how well its clock was known.

    Args:
        job: the trial, placed.
        take: what it has brought.
        before: each host as the trial began; none: this machine is all there is, or a host was away from the start.
    """
    if not before:
        return {}
    fleet, placement = job.fleet, job.placement
    moved_ns = {name: look.clock.offset_ns - before[name].clock.offset_ns for name, look in take.looks.items()}
    services = [*placement.servers, *placement.backends.values(), *placement.clients]
    services += [placement.balancer] if placement.balancer is not None else []
    by_host = cores_by_host(job, take)
    return {
        host: HostUse(
            boot_id=before[host].boot_id,
            services=tuple(placed.name for placed in services if placed.host == host),
            clock_offset_ns=fleet[host].clock.offset_ns,
            clock_error_ns=fleet[host].clock.error_ns,
            clock_moved_ns=moved_ns.get(host),
            cores=by_host.get(host, {}),
        )
        for host in placement.hosts
    }
