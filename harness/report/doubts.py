"""What a reader should doubt: every trial that is not ok, by name, and what weighs on the whole run."""

from collections.abc import Iterator
from dataclasses import dataclass

from harness.analysis.frames import STATES
from harness.analysis.statistics import RUNS_FOR_VERDICT
from harness.analysis.study import Point, Row, Study
from harness.raw import ServerReport
from harness.report.damage import NOTE, broken
from harness.report.sureness import drift_doubts
from harness.report.text import amount, count, listed
from harness.result import TrialResult
from harness.spec.foreign import ReadyImage, RunningServer

MOST_SHOWN = 200
DOUBTED = tuple(state for state in STATES if state not in ("ok", "not needed"))
"""States that a reader should doubt, or miss."""


@dataclass(frozen=True)
class Doubt:
    """A trial that is not ok."""

    trial: str
    state: str
    reason: str


def doubted_trials(study: Study) -> list[Doubt]:
    """Every trial that is not ok; marked ones first, because they are in the means."""
    rows = [row for row in study.rows if row.state in DOUBTED]
    rows.sort(key=lambda row: STATES.index(row.state))
    return [Doubt(row.planned.id, row.state, row.reason or "no reason is stored") for row in rows]


def general_doubts(study: Study) -> list[str]:
    """What weighs on the run as a whole, in sentences."""
    return list(_general(study))


def _general(study: Study) -> Iterator[str]:
    run = study.run
    if "process" in study.runtimes:
        yield "Measured as local processes, without containers: no memory limit, no network of its own, and other processes of the host share the caches and the kernel's queues."
    yield from drift_doubts(study)
    wanted = run.plan.experiment.metric
    if wanted is not None and study.points and not any(point.estimates[wanted] for point in study.points):
        yield f"The spec asks for `{wanted}`, and there is no point whose runs carry it: the answer compares by another metric."
    repeats = min((_asked(point) for point in study.points), default=0)
    if repeats < RUNS_FOR_VERDICT:
        of = "each point" if repeats == run.plan.experiment.blocks else "some points"
        yield f"{count(repeats, 'repeat')} of {of}: a verdict needs {RUNS_FOR_VERDICT}, an interval 3."
    if any(point.saturated for point in study.points):
        yield "In a closed loop without think time every percentile is at saturation: it follows from connections ÷ throughput and says little else. An open loop measures latency."
    if note := interpreter_note(study):
        yield note
    git = run.environment.get("git")
    if isinstance(git, dict) and git.get("dirty"):
        yield "The checkout held changes that are not in the commit named below."
    if broken(study):
        yield NOTE
    yield from _backend(study)
    yield from _foreign(study)
    walls = run.environment.get("walls")
    for wall in walls if isinstance(walls, list) else []:
        yield f"A wall of the host that the trials may have met: {wall}."
    for row in study.rows:
        for note in row.result.notes if row.result else ():
            yield f"{row.planned.id}: {note}."
    if run.damaged:
        yield f"{run.damaged}: trials that were not needed are told as missing."
    if run.strays:
        yield f"Folders under trials/ that the plan does not hold were left out: {listed(list(run.strays[:10]))}."


def _asked(point: Point) -> int:
    """How often it was to be measured."""
    return len(point.rows) - point.states["not needed"]


def _backend(study: Study) -> Iterator[str]:
    """Whoever shares the client's core takes from it; how much depends on the server."""
    together = [row.result for row in study.rows if row.result is not None and row.result.backend is not None]
    if any("backend" not in result.cores and _beside_client(result) for result in together):
        yield (
            "The backend had no core of its own and ran on the load client's: no absolute capacity is claimed, and servers are"
            " compared as they do beside both. Only where each worker waits for the backend do workers ÷ delay decide."
        )


def _beside_client(result: TrialResult) -> bool:
    """Whether a backend ran on the host of a load client: always so on one machine."""
    hosts = [{name.partition("-")[0] for name in host.services} for host in result.hosts.values()]
    return not hosts or any({"backend", "client"} <= there for there in hosts)


def _foreign(study: Study) -> Iterator[str]:
    """What cannot be known of a server that is no folder of images/."""
    servers = {row.planned.trial.model_name: row.planned.trial.model for row in study.rows}
    for name, server in servers.items():
        if isinstance(server, RunningServer):
            yield f"{name} runs already and was measured from outside: its cores and limits, its CPU and memory, and what it counted are not known."
        if isinstance(server, ReadyImage | RunningServer) and server.insecure:
            yield f"{name}: its certificate was not checked (`insecure: true`)."


def interpreter_note(study: Study) -> str:
    """Threads of one CPython process share its lock: what that does to a result, and for whom; empty for nobody."""
    sharing = [server for row in study.rows if (server := _server(row)) and _shares_interpreter(row, server)]
    if not sharing:
        return ""
    intervals = sorted({server.switch_interval_s for server in sharing if server.switch_interval_s is not None})
    switch = (
        f" (switch interval {listed([amount(interval * 1e6, 'us') for interval in intervals])})" if intervals else ""
    )
    return (
        f"{listed(sorted({server.model for server in sharing}))}: the threads of one Python process take turns at its"
        f" interpreter lock{switch}. For short requests on one core that costs little; with CPU work in the handler it"
        " lengthens the tail and adds context switches that the same model in another language would not have."
    )


def _server(row: Row) -> ServerReport | None:
    return row.result.servers.get("server") if row.result else None


def _shares_interpreter(row: Row, server: ServerReport) -> bool:
    """Whether a process of a Python server has threads that serve, besides its main thread."""
    usage = row.result.usage.get("server") if row.result else None
    return server.python is not None and usage is not None and usage.threads > 2 * usage.processes
