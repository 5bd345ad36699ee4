"""Setting the stage of a run: the runtime chosen, leftovers cleaned, images built, cores divided, walls checked.

All of it happens before the first trial and before a run folder exists, so that an environment that cannot run the
plan is one clear error and nothing else.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from harness.backend import IMAGE as BACKEND
from harness.clients import refuse_impossible
from harness.deploy import calibrate, running
from harness.errors import DeployError, HostError, RuntimeUnavailable, SpecError
from harness.fleet import HERE, Fleet, Site, fleet_of
from harness.hosts.cores import CoreMap, available_cores
from harness.hosts.facts import collect_facts
from harness.hosts.needs import IO_URING_PROBE, io_uring_trouble
from harness.hosts.room import Room, room_of_this_host
from harness.hosts.settings import HostAudit, collect_settings
from harness.images import connect, content_digest, ensure_images, ready_images
from harness.placement import Machine, Placement, place
from harness.plan import Plan
from harness.runtime.base import Owner, Runtime, ServiceSpec
from harness.spec.experiment import Trial
from harness.spec.foreign import Foreign, ReadyImage, certificates
from harness.spec.model import Model
from harness.terminal import Display
from harness.walls import refuse_walls

Wanted = Literal["auto", "docker", "process"]
NEEDS_DEADLINE_S = 30.0


@dataclass(frozen=True)
class Places:
    """The folders that the harness works in."""

    images: Path
    results: Path
    state: Path  # its own working files: build logs, folders of plain processes

    @classmethod
    def under(cls, root: Path, results: Path | None = None) -> "Places":
        """The layout of a checkout; results may be kept elsewhere."""
        return cls(root / "images", results or root / "results", root / ".ceiling")


@dataclass(frozen=True)
class Stage:
    """Where trials run, and with what."""

    runtime: Runtime
    note: str  # which runtime, and why
    models: Mapping[str, Model]
    digests: Mapping[str, str]  # folder of images/: what is measured, by content
    audit: HostAudit  # what this host is set to
    walls: Sequence[str]  # of this host, that the trials may meet
    available: Sequence[int]  # CPUs that the run may use
    room: Room  # what this host gives a load client
    certificates: Mapping[str, str] = field(default_factory=dict)  # what each `ca` file of the spec holds

    def model_of(self, trial: Trial) -> Model | None:
        """What the model's folder says of it; None where the server is no folder of images/."""
        return self.models[trial.model] if isinstance(trial.model, str) else None

    @property
    def fleet(self) -> Fleet:
        """The hosts that trials run on."""
        machine = Machine(HERE, tuple(self.available), self.room, siblings=tuple(map(tuple, self.audit.siblings)))
        return fleet_of([Site(machine, self.runtime)])

    def place(self, trial: Trial, at_least: int = 1) -> Placement:
        """Which service runs where.

        Args:
            trial: the trial.
            at_least: client processes that it is known to need.
        """
        return place(trial, [site.machine for site in self.fleet.values()], at_least)

    def cores(self, trial: Trial) -> CoreMap:
        """Who is pinned where on this machine."""
        return self.place(trial).sides[HERE]

    def client_cpus(self, trial: Trial) -> int:
        """CPUs that load clients may have, on all hosts for clients."""
        return sum(len(client.cores) for client in self.place(trial).clients)

    def calibrate(self, plan: Plan) -> float | None:
        """Iterations of the shared work loop per microsecond, where any trial needs them.

        One calibration for all models: they share the loop, and must do the same work.
        """
        working = [planned.trial for planned in plan.trials if planned.trial.handler.cpu.ns]
        if not working:
            return None
        return calibrate(self.runtime, working[0].model_name, self.cores(working[0]).server)

    def environment(self) -> dict[str, Any]:
        """Facts for environment.json."""
        facts = collect_facts()
        apart = {part: facts.pop(part) for part in ("packages", "git")}
        return {
            "host": facts,
            "audit": self.audit.model_dump(mode="json"),
            "runtime": {"name": self.runtime.name, "note": self.note, **self.runtime.facts()},
            "images": dict(self.digests),
            **(
                {"certificates": {name: sha256(text.encode()).hexdigest() for name, text in self.certificates.items()}}
                if self.certificates
                else {}
            ),
            **apart,
            "walls": list(self.walls),
        }


def set_stage(
    trials: Sequence[Trial],
    models: Mapping[str, Model],
    places: Places,
    wanted: Wanted,
    owner: Owner,
    display: Display,
    tools: Sequence[str] = ("client", "probe"),
    beside: Path = Path(),
) -> Stage:
    """Make everything ready for trials.

    Args:
        trials: that will run.
        models: by folder of images/.
        places: where things lie.
        wanted: which runtime.
        owner: of all that is started.
        display: is told what is done.
        tools: further folders of images/ that are needed.
        beside: folder to which the paths in trials are relative.

    Raises:
        SpecError: CPU work is asked of a model that does not share its loop.
        RuntimeUnavailable: the wanted runtime is not there, or cannot honour a trial.
        ImageError: an image does not build.
        HostError: this host lacks what a trial, or a model, needs.
    """
    _refuse_work_that_is_not_shared(trials, models)
    _refuse_what_is_not_deployed_yet(trials)
    host = collect_settings()  # before images are built: its load is what others make
    servers = [trial.model for trial in trials]
    folders = [*sorted({server for server in servers if isinstance(server, str)}), *tools]
    ready = sorted({server.reference for server in servers if isinstance(server, ReadyImage)})
    trusted = _certificates(servers, beside)
    if any(trial.handler.backend.delay is not None for trial in trials):
        folders.append(BACKEND)
    runtime, note, digests = _choose_runtime(folders, ready, places, wanted, owner, display)
    display.say(note)
    removed = runtime.clean()
    if removed:
        display.say(f"removed {removed} leftovers of runs that are no more")
    if runtime.name == "process":
        _refuse_what_processes_cannot(trials, models)
    refuse_unmet_needs(runtime, {name: models[name] for name in servers if isinstance(name, str)})
    room = room_of_this_host()
    doubts = refuse_impossible(trials, room)
    stage = Stage(runtime, note, models, digests, host, doubts, available_cores(), room, trusted)
    asked = [(trial, stage.model_of(trial), stage.cores(trial)) for trial in trials]
    walls = refuse_walls(asked, stage.audit, runtime)
    stage = replace(stage, walls=[*doubts, *map(str, walls)])
    for wall in stage.walls:
        display.say(f"a wall that the plan may meet: {wall}")
    return stage


def _certificates(servers: Iterable[str | Foreign], folder: Path) -> dict[str, str]:
    """What each `ca` file holds, read once: all trials of the run trust the same."""
    named = {server.ca for server in servers if not isinstance(server, str) and server.ca is not None}
    try:
        return {name: certificates(folder / name) for name in sorted(named)}
    except ValueError as error:
        raise SpecError([f"ca: {error}; name a PEM file"]) from None


def _choose_runtime(
    folders: Sequence[str], ready: Sequence[str], places: Places, wanted: Wanted, owner: Owner, display: Display
) -> tuple[Runtime, str, dict[str, str]]:
    if wanted == "process":
        return _processes(folders, places, owner, "runtime: local processes, as asked for; no containers")
    try:
        client = connect()
    except RuntimeUnavailable as error:
        if wanted == "docker":
            raise
        return _processes(folders, places, owner, f"runtime: local processes, without containers ({error})")
    from harness.runtime.docker import DockerRuntime

    with display.stage("images"):
        images = ready_images(client, ready, display.say)
        images |= ensure_images(client, places.images, folders, places.state / "build", display.say)
    digests = {folder: image.digest for folder, image in images.items()}
    return DockerRuntime(client, images, owner), "runtime: Docker", digests


def _processes(folders: Sequence[str], places: Places, owner: Owner, note: str) -> tuple[Runtime, str, dict[str, str]]:
    from harness.runtime.process import ProcessRuntime

    digests = {folder: content_digest(places.images, folder) for folder in folders}
    return ProcessRuntime(owner, places.images, places.state / "work"), note, digests


def _refuse_work_that_is_not_shared(trials: Sequence[Trial], models: Mapping[str, Model]) -> None:
    working = {trial.model for trial in trials if trial.handler.cpu.ns and isinstance(trial.model, str)}
    own = sorted(name for name in working if "common" not in models[name].uses)
    if own:
        raise SpecError(
            [
                f"handler.cpu: {', '.join(own)} does not use images/common, whose work loop this is; leave `cpu` out for it"
            ]
        )


def refuse_unmet_needs(runtime: Runtime, models: Mapping[str, Model]) -> None:
    """Ask the kernel for what these models need, where their servers will run and under their seccomp profiles.

    Raises:
        HostError: it is not there; for each model which knob it is, and what to do.
    """
    troubles = {name: _io_uring_trouble(runtime, name, models[name]) for name in sorted(models) if models[name].needs}
    missing = [f"model {name} needs io_uring: {trouble}" for name, trouble in troubles.items() if trouble]
    if missing:
        raise HostError("\n".join(missing))


def _refuse_what_is_not_deployed_yet(trials: Sequence[Trial]) -> None:
    """The vocabulary knows several servers before they can be started: better an error than one server's number for many."""
    asked = {
        "servers": any(trial.servers > 1 for trial in trials),
        "balancer": any(trial.balancer != "none" for trial in trials),
        "faults": any(trial.faults for trial in trials),
    }
    named = [key for key, there in asked.items() if there]
    if named:
        raise SpecError(
            [f"{', '.join(named)}: this version checks and plans it, and does not deploy it yet; leave it out"]
        )


def _io_uring_trouble(runtime: Runtime, name: str, model: Model) -> str | None:
    command = ("-c", IO_URING_PROBE)
    spec = ServiceSpec(name=f"needs-{name}", role="tool", image=name, config={}, cores=(), command=command)
    try:
        with running(runtime, spec, []) as service:
            line = next(service.lines(NEEDS_DEADLINE_S), "")
        return io_uring_trouble(line, container=runtime.name == "docker", own_profile=model.seccomp is not None)
    except (DeployError, ValueError) as error:
        return f"whether it is there cannot be found out: {error}; its image needs a python3 for that"


def _refuse_what_processes_cannot(trials: Sequence[Trial], models: Mapping[str, Model]) -> None:
    remedy = "use RUNTIME=docker"
    for trial in trials:
        if trial.limits.memory is not None:
            raise RuntimeUnavailable(f"limits.memory needs a container; {remedy}")
        if trial.network != "host":
            raise RuntimeUnavailable(f"network: {trial.network} needs a container; {remedy}")
        if isinstance(trial.model, ReadyImage):
            raise RuntimeUnavailable(f"the image {trial.model.image} runs in a container only; {remedy}")
        if isinstance(trial.model, str) and not models[trial.model].entry:
            raise RuntimeUnavailable(f"model {trial.model} has no `entry` for plain processes; {remedy}")
