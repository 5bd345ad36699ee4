"""The mechanism ledger's metrics: a cost per request and per connection for each thing that a server does for them."""

from harness.spec.metric import Metric

_SWITCHES = "context switches of the server's tasks: its own and its reaped children's by getrusage, living children's by the probe"
_LEDGER: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("forks", "Processes made", "Processes that the server made", ("connection",)),
    ("threads", "Threads made", "Threads that the server made", ("connection",)),
    ("accepts", "Accepts", "Accept calls that brought a connection", ("connection",)),
    (
        "accept_eagains",
        "Accepts in vain",
        "Accept calls that found nothing waiting (a secondary count: who is woken for nothing need not call accept)",
        ("connection",),
    ),
    (
        "wakeups",
        "Wake-ups",
        "Returns of the server's waiting calls (epoll_wait and its like)",
        ("request", "connection"),
    ),
    ("voluntary_switches", "Voluntary switches", f"Voluntary {_SWITCHES}", ("request", "connection")),
    ("involuntary_switches", "Involuntary switches", f"Involuntary {_SWITCHES}", ("request", "connection")),
    (
        "minor_faults",
        "Minor faults",
        "Page faults without I/O (pages copied on write, zeroed or mapped) of the server's processes and the children they reaped",
        ("request", "connection"),
    ),
    ("major_faults", "Major faults", "Page faults that had to read from a disk, likewise", ("request", "connection")),
    ("backend_calls", "Backend calls", "Calls that the server made to the backend", ("request",)),
)
_PER = {
    "request": "per request answered in the window.",
    "connection": "per connection served in the window; told only where at least 30 were made in it, and at least one for every 10 requests.",
}


def cost_metrics() -> tuple[Metric, ...]:
    """First those per request, then those per connection."""
    return tuple(
        Metric(
            f"{name}_per_{unit}", f"{title} per {unit}", "count", "lower", f"{definition}, {_PER[unit]}", summary=True
        )
        for unit in _PER
        for name, title, definition, units in _LEDGER
        if unit in units
    )
