"""The mechanism ledger as a panel: why the sides differ, in what a request and a connection cost each of them."""

from harness.analysis.study import Study
from harness.ledger import FEWEST_CONNECTIONS, FEWEST_HELD, MOST_REQUESTS_EACH
from harness.report.doubts import interpreter_note
from harness.report.sections import Section
from harness.report.tables import Column, Table, level_heads, levels, measured
from harness.spec.metrics import METRICS

TITLE = "Why: what a request and a connection cost"
NOTE = (
    "What the server had to do in the window, over the requests that it answered or the connections that it served in it."
    " 1 is paid each time; near 0, one serves many, as when a wake-up finds many requests ready. Empty: the server or this"
    f" host does not tell, or the load does not show it: a cost per connection needs {FEWEST_CONNECTIONS} connections made in the"
    f" window, and one for every {MOST_REQUESTS_EACH:.0f} requests; memory per connection needs {FEWEST_HELD} that are kept. Columns of"
    " nothing but zeros are left out."
)

COLUMNS = {
    "voluntary_switches_per_request": "Voluntary switches / request",
    "involuntary_switches_per_request": "Involuntary switches / request",
    "wakeups_per_request": "Wake-ups / request",
    "minor_faults_per_request": "Page faults / request",
    "major_faults_per_request": "Major faults / request",
    "backend_calls_per_request": "Backend calls / request",
    "memory_per_connection_bytes": "Memory / connection",
    "cgroup_bytes_per_connection": "Memory / connection, cgroup",
    "forks_per_connection": "Forks / connection",
    "threads_per_connection": "Threads made / connection",
    "voluntary_switches_per_connection": "Voluntary switches / connection",
    "wakeups_per_connection": "Wake-ups / connection",
    "minor_faults_per_connection": "Page faults / connection",
    "accept_eagains_per_connection": "Accepts in vain / connection",
    "descriptors": "Open descriptors",
    "connection_gini": "Spread over workers (Gini)",
}
"""The metrics of the panel and their heads."""


def why_section(study: Study) -> Section | None:
    """The panel; None where nothing was told of any point."""
    table = why_table(study)
    if table is None:
        return None
    notes = tuple(note for note in (NOTE, interpreter_note(study)) if note)
    return Section("why", "Why", TITLE, notes, table, tuple(why_definitions(table)))


def why_table(study: Study) -> Table | None:
    """A row per point that has a cost; None where nothing was told of any."""
    found = {metric: [point.estimates[metric] for point in study.points] for metric in COLUMNS}
    metrics = [metric for metric, told in found.items() if any(one is not None and one.most > 0 for one in told)]
    rows = tuple(
        (*levels(study, point), *(measured(metric, point) for metric in metrics))
        for point in study.points
        if any(point.estimates[metric] is not None for metric in metrics)
    )
    heads = [Column(COLUMNS[metric], numeric=True) for metric in metrics]
    return Table((*level_heads(study), *heads), rows) if rows else None


def why_definitions(table: Table) -> list[tuple[str, str]]:
    """Head and definition of each cost that the panel holds."""
    heads = {column.title for column in table.columns}
    return [(head, METRICS[metric].definition) for metric, head in COLUMNS.items() if head in heads]
