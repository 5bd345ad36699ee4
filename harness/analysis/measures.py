"""What a stored trial says, metric by metric: the code behind harness/spec/metrics.py."""

from collections.abc import Mapping

from harness import ledger, readings
from harness.analysis.breakdown import imbalance
from harness.analysis.recovery import recoveries, worst
from harness.histogram import percentiles
from harness.merging import merged_servers, merged_usages
from harness.raw import ClientReport, HistogramName, ServerReport
from harness.result import Capacity, ServiceUsage, TrialResult
from harness.spec.metrics import METRICS

Values = dict[str, float | None]

_BY_HISTOGRAM: Mapping[HistogramName, list[tuple[str, float]]] = {
    name: [(m.name, m.quantile_of[1]) for m in METRICS.values() if m.quantile_of and m.quantile_of[0] == name]
    for name in readings.CENSORED_BY
}
"""Histogram: the metrics made from it and their percentages."""


def measure(result: TrialResult) -> Values:
    """Every metric of one trial; None where the trial cannot carry it."""
    values: Values = dict.fromkeys(METRICS)
    values["overhead_s"] = result.overhead_s
    if result.capacity is not None:
        values |= _of_search(result.capacity)
    if result.client is None:
        return values
    values |= _of_client(result.client) | _percentiles(result.client)
    server, usage = _servers_as_one(result)
    if usage is not None:
        values |= _of_server(usage, result.client, server)
        if (
            result.trial.handler.fault != "none" or result.trial.faults
        ):  # what is held after it, and what leaks, is no price of a connection
            values |= dict.fromkeys(("memory_per_connection_bytes", "cgroup_bytes_per_connection"))
    renewed = result.trial.load.lifetime == "per-request"
    values |= ledger.costs(usage, result.client, server, renewed=renewed)
    if result.trial.faults:
        values |= _of_faults(result)
    values["connection_gini"] = ledger.connection_gini(server)
    values["imbalance"] = imbalance(result)
    if (terms := readings.little(result.client, server)) is not None:
        values["throughput_times_response"] = terms.product
    return values


def _servers_as_one(result: TrialResult) -> tuple[ServerReport | None, ServiceUsage | None]:
    """What the servers counted and used together; None where one of several did not tell."""
    names = result.trial.server_names
    usages = [result.usage[name] for name in names if name in result.usage]
    own = result.cores.get("server")
    # Several servers of one machine may have to share their cores.
    cores = sum(usage.cores for usage in usages) if result.hosts or own is None else len(own.cpus)
    usage = merged_usages(usages, cores, one_network=result.trial.network == "host")
    complete = len(result.servers) == len(names)
    return merged_servers(result.servers) if complete else None, usage if len(usages) == len(names) else None


def _ratio(part: float | None, whole: float) -> float | None:
    return part / whole if part is not None and whole > 0 else None


def _of_search(capacity: Capacity) -> Values:
    return {
        "capacity_rps": capacity.low_rps,
        "capacity_high_rps": capacity.high_rps,
        "capacity_steps": len(capacity.steps),
    }


def _of_client(client: ClientReport) -> Values:
    window_s, failed = readings.window_s(client), sum(client.errors.values())
    cpu_s = client.cpu_user_s + client.cpu_system_s
    return {
        "throughput_rps": readings.throughput_rps(client),
        "offered_rps": _ratio(client.intended, window_s),
        "errors": _ratio(failed, client.intended),
        "error_count": failed,
        "client_cpu_us_per_request": _ratio(cpu_s * 1e6, client.completed_in_window),
        "client_cpu_utilisation": readings.client_utilisation(client),
        "served_connections": client.connections_served,
        "starved_connections": client.connections_starved,
        "connections_lost": client.connections_lost,
        "connections_held": client.growth.held if client.growth else None,
        "connections_at_failure": client.growth.first_failed_at if client.growth else None,
        "in_flight": _ratio(client.in_flight_integral_s, window_s),
    }


def _of_faults(result: TrialResult) -> Values:
    found = recoveries(result)
    missed = [one.missed for one in found if one.missed is not None]
    return {
        "time_to_detect_s": worst([one.detect_s for one in found]),
        "time_to_recover_s": worst([one.recover_s for one in found]),
        "missed_answers": sum(missed) if found and len(missed) == len(found) else None,
    }


def _of_server(usage: ServiceUsage, client: ClientReport, server: ServerReport | None) -> Values:
    return {
        "cpu_us_per_request": readings.cpu_us_per_request(usage, client, server),
        "memory_bytes": usage.memory_bytes,
        "context_switches_per_request": readings.switches_per_request(usage, client, server),
        "server_cpu_utilisation": readings.cpu_utilisation(usage),
        "memory_per_connection_bytes": ledger.memory_per_connection_bytes(usage),
        "cgroup_bytes_per_connection": ledger.cgroup_bytes_per_connection(usage),
        "descriptors": usage.descriptors,
        "processes": usage.processes,
        "threads": usage.threads,
    }


def _percentiles(client: ClientReport) -> Values:
    values: Values = {}
    for name, asked in _BY_HISTOGRAM.items():
        censored = readings.censored(name, client)
        found_ns = percentiles(client.histograms.get(name, {}), [percent for _, percent in asked], censored)
        for (metric, _), value_ns in zip(asked, found_ns, strict=True):
            values[metric] = None if value_ns is None else value_ns / 1e3
    return values
