"""Every metric: its name, unit and definition, in one table.

The frame of trials, `summary.csv`, the report and the documentation all read this table, so that a number means
the same wherever it is met. How a metric is computed from a stored trial is in harness/analysis/measures.py.
"""

from harness.spec.costs import cost_metrics
from harness.spec.metric import Metric

PERCENTILES: tuple[tuple[str, float], ...] = (
    ("p50", 50.0),
    ("p90", 90.0),
    ("p95", 95.0),
    ("p99", 99.0),
    ("p99_9", 99.9),
)
"""Suffix of a metric's name and the percentage it stands for."""


_RULE = "Printed only where at least 10 requests lie beyond it; infinite where its rank falls among the timed out."

_TIMES: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    (
        "response",
        "Response time",
        "From the intended send time to the whole answer. In a closed loop without think time this is a percentile at saturation.",
        ("p50", "p90", "p95", "p99", "p99_9"),
    ),
    ("service", "Service time", "From the actual send to the whole answer.", ("p50", "p90", "p95", "p99", "p99_9")),
    (
        "first_byte",
        "Time to first byte",
        "From the intended connect time to the first byte of the first answer on the connection.",
        ("p50", "p99"),
    ),
    (
        "connect",
        "Connect time",
        "From the call of connect to the completed handshake: measures the backlog.",
        ("p50",),
    ),
    (
        "send_lag",
        "Send lag",
        "Send time less the later of intended time and connection free: the client's own delay.",
        ("p99",),
    ),
)


def _times() -> tuple[Metric, ...]:
    percentages = dict(PERCENTILES)
    return tuple(
        Metric(
            name=f"{histogram}_{suffix}_us",
            title=f"{title}, {suffix.replace('_', '.')}",
            unit="us",
            better="lower",
            definition=f"{definition} {_RULE}",
            summary=histogram in ("response", "service", "first_byte"),
            quantile_of=(histogram, percentages[suffix]),
        )
        for histogram, title, definition, suffixes in _TIMES
        for suffix in suffixes
    )


_ALL: tuple[Metric, ...] = (
    Metric(
        "throughput_rps",
        "Throughput",
        "requests/s",
        "higher",
        "Right answers that arrived within the window, over the window's length.",
        summary=True,
    ),
    Metric(
        "offered_rps",
        "Offered rate",
        "requests/s",
        "neither",
        "Requests whose intended send time lies in the window, over its length.",
    ),
    *_times(),
    Metric(
        "errors",
        "Errors",
        "share",
        "lower",
        "Requests of the window without a right answer in time (timed out, refused, reset, wrong, unsent), over those intended.",
        summary=True,
    ),
    Metric("error_count", "Errors, count", "requests", "lower", "The same as a number of requests.", summary=True),
    Metric(
        "cpu_us_per_request",
        "Server CPU per request",
        "us",
        "lower",
        "CPU time of the server in the window, user and system, over the requests it answered in it. On one host it compares models under identical placement only.",
        summary=True,
    ),
    Metric(
        "client_cpu_us_per_request",
        "Client CPU per request",
        "us",
        "lower",
        "CPU time of the load client in the window over the right answers in it.",
    ),
    Metric(
        "memory_bytes",
        "Server memory",
        "bytes",
        "lower",
        "Docker: mean of the container's memory over the window, less inactive file cache. Processes: proportional set size on the plateau after it.",
        summary=True,
    ),
    Metric(
        "context_switches_per_request",
        "Context switches per request",
        "count",
        "lower",
        "Voluntary and involuntary context switches of the server's tasks in the window, over the requests it answered in it.",
        summary=True,
    ),
    Metric(
        "memory_per_connection_bytes",
        "Memory per connection",
        "bytes",
        "lower",
        "Growth of the server's memory from idle to the plateau after the window, over the connections held then: proportional set sizes less pages of files, page tables, kernel stacks, queues and structures of the sockets. Kept connections only; told from 16 of them and 32 KiB on.",
        summary=True,
    ),
    Metric(
        "cgroup_bytes_per_connection",
        "Memory per connection, cgroup",
        "bytes",
        "lower",
        "The same growth as the container's cgroup accounts for it.",
        summary=True,
    ),
    *cost_metrics(),
    Metric(
        "connection_gini",
        "Spread of connections (Gini)",
        "count",
        "neither",
        "Gini coefficient of the connections each worker has served, where workers are made ahead: 0, all the same; towards 1, one has them all.",
        summary=True,
    ),
    Metric(
        "imbalance",
        "Imbalance of the servers",
        "count",
        "lower",
        "Requests of the server that had most of them in the window, over the mean of all servers: 1 where all had the same, their number where one had all. By the servers' own counts, else by the balancer's, else by the clients'; of one server there is none.",
        summary=True,
    ),
    Metric(
        "descriptors",
        "Open descriptors",
        "count",
        "lower",
        "Open descriptors of the server's main process, the more of the window's two edges.",
        summary=True,
    ),
    Metric(
        "server_cpu_utilisation",
        "Server CPU, busy",
        "share",
        "neither",
        "CPU time of the server in the window over its cores' time.",
        summary=True,
    ),
    Metric(
        "client_cpu_utilisation",
        "Client CPU, busy",
        "share",
        "neither",
        "CPU time of the load client in the window over one core's time: it is one thread.",
    ),
    Metric("processes", "Server processes", "count", "lower", "Most processes of the server seen in the window."),
    Metric("threads", "Server threads", "count", "lower", "Most threads of the server seen in the window."),
    Metric("served_connections", "Connections served", "count", "higher", "Connections with an answer in the window."),
    Metric(
        "starved_connections",
        "Connections starved",
        "count",
        "lower",
        "Connections asked for that got no answer in the window. A result, never a latency.",
        summary=True,
    ),
    Metric(
        "connections_lost",
        "Connections lost",
        "count",
        "lower",
        "Kept connections that the server, or its end, closed or reset in the window unasked; none with a connection per request.",
        summary=True,
    ),
    Metric(
        "time_to_detect_s",
        "Time to detect",
        "s",
        "lower",
        "Faults on a schedule: from the act to the first failed request, to 100 ms, or to the balancer's taking the server for down, whichever comes first; of several faults the longest. None where nobody noticed.",
        summary=True,
    ),
    Metric(
        "time_to_recover_s",
        "Time to recover",
        "s",
        "lower",
        "Faults on a schedule: from the act to the 100 ms from which on no request failed and answers came at the rate before it, for 1 s and as long as a request may wait; of several faults the longest. None where that was not within the window.",
        summary=True,
    ),
    Metric(
        "missed_answers",
        "Missed answers",
        "requests",
        "lower",
        "Faults on a schedule: right answers short of the rate before the first fault, from each act to the recovery or to the window's end; the sum over the faults.",
        summary=True,
    ),
    Metric(
        "connections_held",
        "Connections held",
        "count",
        "higher",
        "Kind `hold` with growth: connections open and answered on at the window's end, those held from the start and new ones.",
        summary=True,
    ),
    Metric(
        "connections_at_failure",
        "Connections at the first failure",
        "count",
        "higher",
        "Kind `hold` with growth: connections open when the first new one failed to be answered; empty where all were.",
    ),
    Metric(
        "capacity_rps",
        "Capacity",
        "requests/s",
        "higher",
        "Kind `capacity`: highest rate that was confirmed to meet the SLO, the lower end of the interval that the search found.",
        summary=True,
    ),
    Metric(
        "capacity_high_rps",
        "Capacity, upper end",
        "requests/s",
        "higher",
        "Kind `capacity`: lowest rate above it that did not meet the SLO; none where the search ended before one failed.",
        summary=True,
    ),
    Metric(
        "capacity_steps",
        "Steps of the search",
        "count",
        "lower",
        "Kind `capacity`: trials that the search took, on one server.",
    ),
    Metric(
        "in_flight",
        "Requests in flight, N",
        "requests",
        "neither",
        "Mean number of requests sent and not yet answered on served connections: the in-flight integral over the window's length.",
    ),
    Metric(
        "throughput_times_response",
        "Throughput × response time, X·R",
        "requests",
        "neither",
        "Throughput (the server's own count where it counts exactly) times the mean service time; Little's law says it equals N.",
    ),
    Metric(
        "overhead_s",
        "Overhead of the trial",
        "s",
        "lower",
        "Whole time of the trial less warm-up and window.",
    ),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
"""Every metric by its name, in the order of the frame's columns."""

SUMMARY_METRICS: tuple[str, ...] = tuple(name for name, metric in METRICS.items() if metric.summary)
"""The metrics of `summary.csv`."""
