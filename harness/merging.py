"""The reports of several load clients, and of several servers, made one: what one alone would have counted, and used. Pure.

Counts add up, and so do histograms, bucket by bucket, as all are in one layout. Nothing is averaged, and nothing is pooled from
a part: whoever calls has every report, or there is no number.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel

from harness.errors import MeasureError
from harness.raw import BackendReport, ClientReport, ServerMark, ServerReport
from harness.result import NetworkUse, ServiceUsage

Report = TypeVar("Report", bound=BaseModel)

_AGREED = frozenset(
    {"format", "contract", "start_ns", "window_start_ns", "window_end_ns", "from_ns", "to_ns", "rate_per_s"}
)
_LAST = frozenset({"begun_ns"})  # the latest of all
_LISTED = frozenset({"processes"})  # one behind the other
_BY_PLACE = frozenset({"per_100ms", "errors_per_100ms", "phases", "mix", "by_server"})  # the same length everywhere


def shifted(report: ClientReport, by_ns: int) -> ClientReport:
    """A client's report with its instants in another clock: histograms hold lengths of time and stay as they are.

    Args:
        report: of one client.
        by_ns: what is added to each instant.
    """
    if not by_ns:
        return report
    edges = {name: getattr(report, name) + by_ns for name in ("start_ns", "window_start_ns", "window_end_ns")}
    phases = tuple(
        phase.model_copy(update={"from_ns": phase.from_ns + by_ns, "to_ns": phase.to_ns + by_ns})
        for phase in report.phases
    )
    begun_ns = None if report.begun_ns is None else report.begun_ns + by_ns
    return report.model_copy(update={**edges, "begun_ns": begun_ns, "phases": phases})


def merged_clients(reports: Sequence[ClientReport]) -> ClientReport:
    """One report of all clients of a trial, their instants in one clock.

    Raises:
        MeasureError: they do not fit together.
    """
    if len(reports) == 1:
        return reports[0]
    if any(report.growth is not None for report in reports):
        raise MeasureError("a load that grows is one client's: its order of connections is lost among several")
    first = reports[0]
    whole = _objects([report.model_dump(exclude={"growth"}) for report in reports])
    return ClientReport.model_validate({**whole, "growth": first.growth}, strict=False)


def merged_servers(reports: Mapping[str, ServerReport]) -> ServerReport | None:
    """The counts of several servers as one; None where there is none.

    Marks are added by their place: they were taken at the same edges of the window. Where one server has fewer than two, as one
    that was broken on purpose, there are none. `at_ns` is the first server's: hosts have clocks of their own.
    """
    known = list(reports.values())
    if len(known) < 2:
        return known[0] if known else None
    marks = [report.marks for report in known]
    alike = len({len(taken) for taken in marks}) == 1
    added = tuple(_mark(together) for together in zip(*marks, strict=True)) if alike else ()
    whole = _mark(known)
    first = known[0]
    kept = {name: getattr(first, name) for name in ("model", "python", "switch_interval_s", "ballast_huge_bytes")}
    return ServerReport(**whole.model_dump(), **kept, marks=added)


def merged_backends(reports: Sequence[BackendReport]) -> BackendReport | None:
    """The counts of several backends as one; None where there is none."""
    if len(reports) < 2:
        return reports[0] if reports else None
    return BackendReport.model_validate(_objects([report.model_dump() for report in reports]), strict=False)


def _mark(marks: Sequence[ServerMark]) -> ServerMark:
    """Counters that one of them does not tell are not told of the whole; workers stand one behind the other."""
    found: dict[str, Any] = {"at_ns": marks[0].at_ns}
    for name in ServerMark.model_fields:
        if name == "at_ns":
            continue
        values = [getattr(mark, name) for mark in marks]
        if any(value is None for value in values):
            found[name] = None
        elif name == "connections_by_worker":
            found[name] = tuple(count for value in values for count in value)
        else:
            found[name] = sum(values)
    return ServerMark(**found)


def _objects(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Records of one kind, key by key."""
    return {key: _values(key, [part[key] for part in parts]) for key in parts[0]}


def _values(key: str, values: Sequence[Any]) -> Any:  # noqa: ANN401 - whatever a record holds
    first = values[0]
    if key in _AGREED:
        if any(value != first for value in values):
            raise MeasureError(
                f"the load clients' reports do not fit together: {key} is {' and '.join(map(str, values))}"
            )
        return first
    if key in _LAST:
        return None if any(value is None for value in values) else max(values)
    if key in _LISTED:
        return [element for value in values for element in value]
    if key in _BY_PLACE:
        return _by_place(key, values)
    if isinstance(first, Mapping):
        return _by_name(values)
    return _sum_if_known(values)


def _by_place(key: str, values: Sequence[Sequence[Any]]) -> list[Any]:
    if len({len(value) for value in values}) > 1:
        raise MeasureError(f"the load clients' reports do not fit together: they hold different numbers of {key}")
    return [
        _objects(together) if isinstance(together[0], Mapping) else sum(together)
        for together in zip(*values, strict=True)
    ]


def _by_name(values: Sequence[Mapping[Any, Any]]) -> dict[Any, Any]:
    """Counts by name, or by bucket; histograms by name."""
    total: dict[Any, Any] = {}
    for value in values:
        for name, count in value.items():
            known = total.get(name)
            if isinstance(count, Mapping):
                total[name] = _by_name([known or {}, count])
            else:
                total[name] = (known or 0) + count
    return total


def merged_usages(usages: Sequence[ServiceUsage], cores: int, *, one_network: bool) -> ServiceUsage | None:
    """What several services used, as if they were one; None of none, and what is of one alone as it is.

    Amounts add up, over the first one's interval. Of what has no sum (open files, time held back by a quota) it is that of whoever is
    worst off. Limits and looks at memory are each one's own, and are not told of the whole.

    Args:
        usages: of the services.
        cores: that they have together.
        one_network: whether they share a network namespace, whose counters are then each one's.
    """
    if len(usages) < 2:
        return usages[0] if usages else None
    interval_s = usages[0].interval_s
    fullest = max(usages, key=lambda usage: (usage.fullest_descriptors or 0) / (usage.descriptor_limit or 1))
    delays = [usage.run_delay_share * usage.cores for usage in usages if usage.run_delay_share is not None]
    held_back = [usage.throttled_s for usage in usages if usage.throttled_s is not None]
    open_files = [usage.descriptors for usage in usages if usage.descriptors is not None]
    summed = ["memory_bytes", "voluntary_switches_per_s", "involuntary_switches_per_s", "minor_faults_per_s"]
    summed += ["major_faults_per_s", "memory_limit_hits", "oom_kills"]
    return ServiceUsage(
        interval_s=interval_s,
        cores=cores,
        cpu_user_s=interval_s * sum(usage.cpu_user_s / usage.interval_s for usage in usages),
        cpu_system_s=interval_s * sum(usage.cpu_system_s / usage.interval_s for usage in usages),
        processes=sum(usage.processes for usage in usages),
        threads=sum(usage.threads for usage in usages),
        throttled_s=max(held_back, default=None),
        descriptors=max(open_files, default=None),
        fullest_descriptors=fullest.fullest_descriptors,
        descriptor_limit=fullest.descriptor_limit,
        run_delay_share=sum(delays) / cores if len(delays) == len(usages) else None,
        network=merged_networks(
            [usage.network for usage in usages if usage.network is not None], one_network=one_network
        ),
        **{name: _sum_if_known([getattr(usage, name) for usage in usages]) for name in summed},
    )


def merged_networks(uses: Sequence[NetworkUse], *, one_network: bool) -> NetworkUse | None:
    """That of the fullest listen queue, which is each service's own; counters of namespaces apart add up, of links it is the fullest. None of none."""
    if not uses:
        return None
    fullest = max(uses, key=lambda use: (use.accept_queue_waiting or 0.0, use.accept_queue or 0.0))
    if one_network:
        return fullest
    counters = ("listen_overflows", "listen_drops", "syn_drops", "syn_cookies", "retransmits", "time_wait")
    summed = {name: sum(getattr(use, name) for use in uses) for name in counters}
    shares = [use.link_share for use in uses if use.link_share is not None]
    return fullest.model_copy(update={**summed, "link_share": max(shares, default=None)})


def _sum_if_known(values: Sequence[Any]) -> Any:  # noqa: ANN401 - a number, or None
    return None if any(value is None for value in values) else sum(values)
