"""Where everything ran, and how well the hosts' clocks were known."""

from collections.abc import Iterator
from statistics import median

from harness.analysis.study import Study
from harness.readings import starts_apart_ns
from harness.report.sections import Section
from harness.report.tables import Cell, Column, Table
from harness.report.text import NOTHING, count, number
from harness.result import HostUse

TITLE = "Hosts"
NOTE = (
    "Over all trials that have a record. Durations come from one host's monotonic clock each; offsets only line up what different"
    " hosts saw, and are right within their error."
)
BOOT_ID_SHOWN = 8
DEFINITIONS = (
    ("Ran", "Services that it ever ran, probes apart."),
    ("Boot", "Of its kernel's boot id; more than one: it went down in between, and trials under way were void."),
    ("Clock offset", "Its monotonic clock less the controller's; below, the range over the trials."),
    ("Error", "The largest: half of the shortest round trip."),
    ("Moved", "The largest change of the offset within a trial, either way."),
    ("Price", "Per hour, from the inventory."),
)


def hosts_section(study: Study) -> Section | None:
    """The table; None where all ran on this machine."""
    found: dict[str, list[HostUse]] = {}
    for trial in study.finished:
        for name, use in trial.hosts.items():
            found.setdefault(name, []).append(use)
    if not found:
        return None
    heads = (
        Column("Host"),
        Column("Ran"),
        Column("Boot"),
        *(Column(title, numeric=True) for title in ("Clock offset", "Error", "Moved", "Price")),
    )
    rows = tuple(_row(study, name, found[name]) for name in sorted(found))
    return Section("hosts", "Hosts", TITLE, (NOTE, *_starts(study)), Table(heads, rows), DEFINITIONS)


def _starts(study: Study) -> Iterator[str]:
    """How well the start barrier held, where trials had several load clients."""
    found_ns = [starts_apart_ns(trial.client_shares, trial.hosts) for trial in study.finished]
    apart_ms = [apart_ns / 1e6 for apart_ns in found_ns if apart_ns is not None]
    if apart_ms:
        yield (
            f"Load clients that made a load together began it {number(median(apart_ms))} ms apart (median of {count(len(apart_ms), 'trial')}),"
            f" {number(max(apart_ms))} ms at most: when each really began, with the errors of both clocks."
        )


def _row(study: Study, name: str, uses: list[HostUse]) -> tuple[Cell, ...]:
    services = sorted({service for use in uses for service in use.services}, key=_in_order)
    boots = list(dict.fromkeys(use.boot_id[:BOOT_ID_SHOWN] for use in uses))
    offsets_ms = [use.clock_offset_ns / 1e6 for use in uses]
    mean = sum(offsets_ms) / len(offsets_ms)
    spread = "" if min(offsets_ms) == max(offsets_ms) else f"{number(min(offsets_ms))}–{number(max(offsets_ms))}"
    moved = [abs(use.clock_moved_ns) / 1e3 for use in uses if use.clock_moved_ns is not None]
    return (
        Cell(name, _labels(study, name)),
        Cell(", ".join(services) or NOTHING),
        Cell(", ".join(boots)),
        Cell(f"{number(mean)} ms", spread, f"{mean:.6g}", numeric=True),
        _micros(max(use.clock_error_ns for use in uses) / 1e3),
        _micros(max(moved)) if moved else Cell(NOTHING, key="", numeric=True),
        _price(study, name),
    )


def _micros(value_us: float) -> Cell:
    return Cell(f"{number(value_us)} µs", "", f"{value_us:.6g}", numeric=True)


def _in_order(service: str) -> tuple[str, int]:
    """`server-2` before `server-10`."""
    name, _, number_of = service.rpartition("-")
    return (name, int(number_of)) if number_of.isdecimal() else (service, 0)


def _labels(study: Study, name: str) -> str:
    host = study.run.inventory.hosts.get(name) if study.run.inventory is not None else None
    return ", ".join(f"{key} {value}" for key, value in sorted(host.labels.items())) if host is not None else ""


def _price(study: Study, name: str) -> Cell:
    inventory = study.run.inventory
    host = inventory.hosts.get(name) if inventory is not None else None
    if inventory is None or host is None or host.price_per_hour is None:
        return Cell(NOTHING, key="", numeric=True)
    return Cell(f"{number(host.price_per_hour)} {inventory.currency}", "", f"{host.price_per_hour:.6g}", numeric=True)
