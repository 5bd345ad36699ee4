"""Who gave out first: the rules in the order in which one hides the next. Pure.

The rules themselves lie beside, by whose wall it is; docs/method.md has the same table ("Who gave out").
"""

from collections.abc import Callable, Iterator

from harness.judging.culprits import answers, balancer, client, cpu, kernel, pool
from harness.judging.culprits.words import cpu_of_both, growth_of
from harness.judging.evidence import Evidence
from harness.result import Culprit, Suspect, Verdict

Rule = Callable[[Evidence], str | None]
"""The evidence in a sentence where it holds, else None."""

ORDER: tuple[tuple[Culprit, Rule], ...] = (
    # What was broken on purpose explains all that follows.
    ("fault", answers.fault_stopped_it),
    # A killed process or a full table of descriptors looks like errors, and like an idle server.
    ("memory", kernel.memory),
    ("open files", kernel.open_files),
    # So does a client that has no port or file left: it asked nothing of the server.
    ("ports", client.ports),
    ("client files", client.files),
    # A server that fails fast is well by every other measure. Late answers are a symptom of what comes below.
    ("backend", answers.backend_fails),
    ("fault", answers.fault_fails),
    ("errors", answers.fail_fast),
    # Connections that wait in front of a server with CPU left prove that the client was fast enough, however busy it was.
    ("worker pool", pool.waits_for_backend),
    ("worker pool", pool.queue_before_idle_server),
    ("listen queue", kernel.listen_queue_of_idle_server),
    # What waits in front of servers that have room is held up by whoever stands between.
    ("balancer", balancer.limit),
    # What the server is measured with: CPU only where the server itself had some left; a late load is another load.
    ("backend", client.backend_cpu),
    ("balancer", balancer.cpu),
    ("client cpu", client.cpu),
    ("client lag", client.lag),
    # CPU that the server was given and did not get: its own use then looks small.
    ("throttling", cpu.throttled),
    ("steal", cpu.stolen),
    ("run queue", cpu.run_queue),
    # Workers tied to connections: their CPU may be full as well, but more of it would serve nobody else.
    ("worker pool", pool.starved),
    ("server cpu", cpu.saturated),
    # A saturated server takes connections too slowly and loses some: a symptom then.
    ("listen queue", kernel.listen_queue),
    ("network", kernel.link_full),
    ("network", kernel.retransmits),
    # Late answers count here, when nothing explains them.
    ("errors", answers.fail),
)

CLIENT_TOO_SLOW: tuple[Culprit, ...] = ("client cpu", "client lag")
"""A client that could not keep up: of a search for capacity, a step that may say nothing, and no more than that."""

MEASURED_WITH: dict[Culprit, str] = {
    "client cpu": "client",
    "client lag": "client",
    "ports": "client",
    "client files": "client",
}
"""Culprits that are never the server's: the trial then says nothing about the server."""


def who_gave_out(evidence: Evidence) -> Verdict:
    """The first of those who could have given out, and the others; nobody, or nobody knows, where none could."""
    held = list(_suspects(evidence))
    # Of a server that nobody looked into, an idle client says nothing: it may have used up all that it has.
    rest: Culprit = "unknown" if evidence.usage is None else "nobody"
    first = held[0] if held else Suspect(limited_by=rest, evidence=cpu_of_both(evidence))
    said = [first.evidence]
    if (growth := growth_of(evidence)) is not None:
        said.append(growth)
    if first.limited_by != "worker pool":
        said += [f"the {who} had no core of its own: no absolute capacity" for who in _beside_others(evidence)]
    return Verdict(limited_by=first.limited_by, evidence="; ".join(said), also=tuple(held[1:]))


def _beside_others(evidence: Evidence) -> list[str]:
    """Who ran on the client's core, or on the servers'."""
    shared = evidence.sharing
    there = {
        "backend": shared.client_and_backend or shared.backend_on_servers > 0,
        "balancer": shared.client_and_balancer,
    }
    return [who for who, beside in there.items() if beside]


def _suspects(evidence: Evidence) -> Iterator[Suspect]:
    """Every culprit that could have given out, once, by its first rule that holds."""
    named: set[Culprit] = set()
    for culprit, rule in ORDER:
        if culprit not in named and (said := rule(evidence)) is not None:
            named.add(culprit)
            yield Suspect(limited_by=culprit, evidence=said)
