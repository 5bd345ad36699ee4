"""What a plan asks of this host, held against what the host has: errors before the first trial, or warnings for the report."""

from collections.abc import Sequence

from harness.clients import most_connections
from harness.deploy import BACKLOG, open_files_of_server, running
from harness.errors import DeployError, HostError
from harness.hosts.audit import OPEN_FILES, SOCKET_BYTES, TASK_BYTES, Need, Wall, audit, shared_cores
from harness.hosts.cores import CoreMap
from harness.hosts.settings import HostAudit
from harness.runtime.base import Runtime, ServiceSpec
from harness.spec.catalogue import workers_of
from harness.spec.experiment import Trial
from harness.spec.model import Model
from harness.spec.traffic import Load

TRY_DEADLINE_S = 30.0

Asked = tuple[Trial, Model | None, CoreMap]
"""A trial, the model that serves it (none: the server is no folder of images/), and who runs where."""


def refuse_walls(asked: Sequence[Asked], host: HostAudit, runtime: Runtime) -> list[Wall]:
    """The walls that trials may meet, without stopping them.

    Args:
        asked: what will run.
        host: its settings.
        runtime: where servers will run: local processes live in the harness's own cgroup.

    Raises:
        HostError: a trial could not run here; every such wall, and what moves it.
    """
    need = need_of(asked, within=runtime.name == "process")
    walls = audit(need, host)
    if any(wall.name == OPEN_FILES for wall in walls) and engine_allows(runtime, need.open_files):
        walls = [wall for wall in walls if wall.name != OPEN_FILES]
    fatal = [str(wall) for wall in walls if wall.fatal]
    if fatal:
        raise HostError("this host cannot run the plan:\n" + "\n".join(fatal))
    shared = (wall for _, _, cores in asked for wall in shared_cores(cores.server, cores.client, host))
    return [*walls, *dict.fromkeys(shared)]


def engine_allows(runtime: Runtime, open_files: int) -> bool:
    """Whether a container can be given so many: an engine's limits are not those of this shell."""
    if runtime.name != "docker":
        return False
    spec = ServiceSpec(
        name="open-files",
        role="tool",
        image="client",
        config={},
        cores=(),
        open_files=open_files,
        command=("-c", "print('up')"),
    )
    try:
        with running(runtime, spec, []) as service:
            return next(service.lines(TRY_DEADLINE_S), "").strip() == "up"
    except DeployError:
        return False


def need_of(asked: Sequence[Asked], *, within: bool = False) -> Need:
    """The most that any of these trials asks of the host.

    Args:
        asked: what will run; at least one trial.
        within: servers run in the harness's own cgroup.
    """
    trials = [trial for trial, _, _ in asked]
    ends = [_closed_per_s(trial.load) for trial in trials]
    known = [per_s for per_s in ends if per_s is not None]
    return Need(
        open_files=max(open_files_of_server(trial, model) for trial, model, _ in asked),
        connections=max(most_connections(trial.load) for trial in trials),
        backlog=BACKLOG,
        tasks=max(_tasks(trial, model) for trial, model, _ in asked),
        threads=max(_tasks(trial, model) if _makes(model) == "thread" else 0 for trial, model, _ in asked),
        memory_bytes=max(
            most_connections(trial.load) * (SOCKET_BYTES + TASK_BYTES[_makes(model)]) for trial, model, _ in asked
        ),
        closed_per_s=max(known) if len(known) == len(ends) else None,
        server_cores=max(len(cores.server) for _, _, cores in asked),
        cores=max(len({*cores.server, *cores.client[:1]}) for _, _, cores in asked),
        within=within,
    )


def _makes(model: Model | None) -> str:
    return "nothing" if model is None else model.per_connection


def _tasks(trial: Trial, model: Model | None) -> int:
    """Processes and threads that a server makes, as far as its model says."""
    if model is None:
        return 0
    if model.per_connection != "nothing":
        return most_connections(trial.load)
    return workers_of(model, trial.options) or 0


def _closed_per_s(load: Load) -> float | None:
    """Connections that end in a second; None in a closed loop or a search, where the server decides."""
    if load.lifetime == "keep-alive":
        return 0.0
    rates = [rate.per_s for rate in (load.rate, *load.rates) if rate is not None]
    if not rates:
        return None
    return max(rates) / (load.lifetime if isinstance(load.lifetime, int) else 1)
