"""Setting the stage of a run: the runtime chosen, leftovers cleaned, images built, cores divided, walls checked.

All of it happens before the first trial and before a run folder exists, so that an environment that cannot run the
plan is one clear error and nothing else.
"""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness.backend import IMAGE as BACKEND
from harness.balancer import IMAGE as BALANCER
from harness.balancer import refuse_without_haproxy
from harness.deploy import calibrate, running
from harness.errors import DeployError, HostError, RuntimeUnavailable, SpecError
from harness.fleet import WARDEN, Fleet, Look, clean_all, fleet_of, site_here
from harness.hosts.cores import CoreMap
from harness.hosts.facts import collect_facts
from harness.hosts.needs import IO_URING_PROBE, io_uring_trouble
from harness.hosts.settings import HostAudit, collect_settings
from harness.images import ImageInfo, connect, content_digest, ensure_images, ready_images
from harness.images.distribute import Engine, ensure_everywhere
from harness.placement import Placement, client_doubts, place
from harness.plan import Plan
from harness.runtime.base import Owner, Runtime, ServiceSpec
from harness.spec.cluster import TimedFault
from harness.spec.experiment import Trial
from harness.spec.foreign import Foreign, ReadyImage, RunningServer, certificates
from harness.spec.model import Model
from harness.terminal import Display
from harness.timed_faults import FaultHost, fault_hosts, overlaps, preflight
from harness.walls import refuse_walls

if TYPE_CHECKING:
    import docker

    from harness.afar import Afar

Wanted = Literal["auto", "docker", "process"]
NEEDS_DEADLINE_S = 30.0

OWN_ENGINE = "this machine"
"""Name of the controller's engine beside those of an inventory's hosts, none of which can be called so."""


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

    fleet: Fleet  # the hosts that trials run on
    note: str  # which runtime, and why
    models: Mapping[str, Model]
    digests: Mapping[str, str]  # folder of images/: what is measured, by content
    audit: HostAudit  # what this machine is set to
    walls: Sequence[str]  # that the trials may meet
    certificates: Mapping[str, str] = field(default_factory=dict)  # what each `ca` file of the spec holds
    afar: "Afar | None" = None  # the hosts of an inventory; none: this machine is all there is
    held: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)  # lets go of the hosts

    def model_of(self, trial: Trial) -> Model | None:
        """What the model's folder says of it; None where the server is no folder of images/."""
        return self.models[trial.model] if isinstance(trial.model, str) else None

    @property
    def runtime(self) -> Runtime:
        """Of the first host; all have the same kind."""
        return next(iter(self.fleet.values())).runtime

    def close(self) -> list[str]:
        """Remove what the run has left, and let go of its hosts; why some could not be cleaned, a line each.

        Good data is never lost because cleaning failed: whoever is told goes on.
        """
        with self.held:
            return clean_all(self.fleet)

    def look(self, placement: Placement, patience_s: float = 0.0) -> dict[str, Look]:
        """What the hosts of a trial say of themselves now; nothing where this machine is all there is.

        Raises:
            HostError: one of them is away.
        """
        return self.afar.look(placement.hosts, patience_s) if self.afar is not None else {}

    def place(self, trial: Trial, at_least: int = 1) -> Placement:
        """Which service runs where.

        Args:
            trial: the trial.
            at_least: client processes that it is known to need.
        """
        model = self.model_of(trial)
        own_port = model.port if model is not None and model.contract == "port" else None
        return place(trial, [site.machine for site in self.fleet.values()], at_least, own_port=own_port)

    def cores(self, trial: Trial) -> CoreMap:
        """Who is pinned where on the host of the first server."""
        placement = self.place(trial)
        return placement.sides[placement.servers[0].host]

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
        first = self.place(working[0]).servers[0]
        return calibrate(self.fleet[first.host].runtime, working[0].model_name, self.cores(working[0]).server)

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
            **({"hosts": self.afar.facts()} if self.afar is not None else {}),
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
    inventory: Path | None = None,
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
        inventory: of the hosts to run on; none: this machine.

    Raises:
        SpecError: CPU work is asked of a model that does not share its loop; the inventory is wrong.
        RuntimeUnavailable: the wanted runtime is not there, or cannot honour a trial.
        ImageError: an image does not build.
        HostError: a host lacks what a trial, or a model, needs, is away, or is held by somebody else.
    """
    _refuse_work_that_is_not_shared(trials, models)
    audit = collect_settings()  # before images are built: its load is what others make
    servers = [trial.model for trial in trials]
    needed = _Needed(
        folders=(*sorted({server for server in servers if isinstance(server, str)}), *tools, *_helpers(trials)),
        ready=tuple(sorted({server.reference for server in servers if isinstance(server, ReadyImage)})),
    )
    trusted = _certificates(servers, beside)
    with contextlib.ExitStack() as up:
        afar = None
        if inventory is None:
            fleet, note, digests = _this_machine(needed, places, wanted, owner, audit, display)
        else:
            _refuse_what_needs_one_machine(trials, wanted)
            from harness.afar import reach_all  # SSH is loaded where it is used

            afar = reach_all(inventory, beside, up)
            fleet, note, digests = _those_hosts(afar, needed, places, owner, display, up)
        display.say(note)
        for site in fleet.values():
            if removed := site.runtime.clean():
                where = "" if site.here else f" of {site.name}"
                display.say(f"removed {removed} leftovers of runs that are no more{where}")
        stage = Stage(fleet, note, models, digests, audit, [], trusted, afar)
        if stage.runtime.name == "process":
            _refuse_what_processes_cannot(trials, models)
        _refuse_faults_that_cannot_be(stage, trials)
        stage = replace(stage, walls=_walls(stage, trials), held=up.pop_all())
    for wall in stage.walls:
        display.say(f"a wall that the plan may meet: {wall}")
    return stage


def _walls(stage: Stage, trials: Sequence[Trial]) -> list[str]:
    """What trials may meet on the hosts, after all that would stop them has been refused.

    Raises:
        HostError: a host lacks what a trial, or a model, needs; all that it lacks.
    """
    placed = [(trial, stage.place(trial)) for trial in trials]
    walls = client_doubts(placement for _, placement in placed)
    for name, site in stage.fleet.items():
        serving = [
            (trial, placement.sides[name])
            for trial, placement in placed
            if any(server.host == name for server in placement.servers)
        ]
        if not serving:
            continue
        used = {trial.model for trial, _ in serving if isinstance(trial.model, str)}
        audit = stage.afar.remote(name).audit if stage.afar is not None else stage.audit
        asked = [(trial, stage.model_of(trial), cores) for trial, cores in serving]
        try:
            refuse_unmet_needs(site.runtime, {model: stage.models[model] for model in used})
            found = map(str, refuse_walls(asked, audit, site.runtime))
        except HostError as error:
            raise error if site.here else HostError(f"{name}: {error}") from None
        walls += found if site.here else [f"{name}: {wall}" for wall in found]
    return walls


@dataclass(frozen=True)
class _Needed:
    """What the hosts have to have."""

    folders: Sequence[str]  # of images/
    ready: Sequence[str]  # references of ready images


def _helpers(trials: Sequence[Trial]) -> list[str]:
    """Folders of images/ that stand behind the servers, or in front of them."""
    found = []
    if any(trial.handler.backend.delay is not None for trial in trials):
        found.append(BACKEND)
    if any(trial.balanced for trial in trials):
        found.append(BALANCER)
    return found


def _certificates(servers: Iterable[str | Foreign], folder: Path) -> dict[str, str]:
    """What each `ca` file holds, read once: all trials of the run trust the same."""
    named = {server.ca for server in servers if not isinstance(server, str) and server.ca is not None}
    try:
        return {name: certificates(folder / name) for name in sorted(named)}
    except ValueError as error:
        raise SpecError([f"ca: {error}; name a PEM file"]) from None


def _this_machine(
    needed: _Needed, places: Places, wanted: Wanted, owner: Owner, audit: HostAudit, display: Display
) -> tuple[Fleet, str, dict[str, str]]:
    runtime, note, digests = _choose_runtime(needed, places, wanted, owner, display)
    return fleet_of([site_here(runtime, audit.siblings)]), note, digests


def _those_hosts(
    afar: "Afar", needed: _Needed, places: Places, owner: Owner, display: Display, up: contextlib.ExitStack
) -> tuple[Fleet, str, dict[str, str]]:
    from harness.afar import hold_all

    folders = (*needed.folders, WARDEN)
    digests: dict[str, str] = {}

    def shipping(clients: "Mapping[str, docker.DockerClient]") -> Mapping[str, Mapping[str, ImageInfo]]:
        engines = {name: Engine.of(name, client) for name, client in clients.items()}
        with contextlib.suppress(RuntimeUnavailable):  # what this machine has built already need not be built there
            engines[OWN_ENGINE] = Engine.of(OWN_ENGINE, connect(), own=True)
        with display.stage("images"):
            found = ensure_everywhere(engines, places.images, folders, needed.ready, places.state, display.say)
        digests.update({folder: image.digest for images in found.values() for folder, image in images.items()})
        return found

    fleet = hold_all(afar, shipping, owner, up)
    return fleet, f"runtime: Docker on {len(fleet)} hosts: {', '.join(fleet)}", digests


def _choose_runtime(
    needed: _Needed, places: Places, wanted: Wanted, owner: Owner, display: Display
) -> tuple[Runtime, str, dict[str, str]]:
    if wanted == "process":
        return _processes(needed, places, owner, "runtime: local processes, as asked for; no containers")
    try:
        client = connect()
    except RuntimeUnavailable as error:
        if wanted == "docker":
            raise
        return _processes(needed, places, owner, f"runtime: local processes, without containers ({error})")
    from harness.runtime.docker import DockerRuntime

    with display.stage("images"):
        images = ready_images(client, needed.ready, display.say)
        images |= ensure_images(client, places.images, needed.folders, places.state / "build", display.say)
    digests = {folder: image.digest for folder, image in images.items()}
    return DockerRuntime(client, images, owner), "runtime: Docker", digests


def _processes(needed: _Needed, places: Places, owner: Owner, note: str) -> tuple[Runtime, str, dict[str, str]]:
    from harness.runtime.process import ProcessRuntime

    digests = {folder: content_digest(places.images, folder) for folder in needed.folders}
    return ProcessRuntime(owner, places.images, places.state / "work"), note, digests


def _refuse_what_needs_one_machine(trials: Sequence[Trial], wanted: Wanted) -> None:
    if wanted == "process":
        raise RuntimeUnavailable("hosts are reached through their Docker engines; leave RUNTIME=process out")
    if any(trial.network != "host" for trial in trials):
        raise SpecError(["network: bridge is a network of one host, which the others do not reach; use `host`"])
    if any(isinstance(trial.model, RunningServer) for trial in trials):
        raise SpecError(["model.url: what runs already is loaded from this machine only; leave HOSTS out"])


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


def _refuse_faults_that_cannot_be(stage: Stage, trials: Sequence[Trial]) -> None:
    asked: list[tuple[TimedFault, FaultHost]] = []
    met: list[str] = []
    for trial in (trial for trial in trials if trial.faults):
        hosts = fault_hosts(stage.place(trial), stage.fleet)
        asked += [(fault, hosts[fault.server - 1]) for fault in trial.faults]
        met += overlaps(trial.faults, hosts)
    if met:
        raise HostError("\n".join(dict.fromkeys(met)))
    preflight(asked)


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
        if trial.balanced:
            refuse_without_haproxy(trial.balancer)
        if trial.limits.memory is not None:
            raise RuntimeUnavailable(f"limits.memory needs a container; {remedy}")
        if trial.network != "host":
            raise RuntimeUnavailable(f"network: {trial.network} needs a container; {remedy}")
        if isinstance(trial.model, ReadyImage):
            raise RuntimeUnavailable(f"the image {trial.model.image} runs in a container only; {remedy}")
        if isinstance(trial.model, str) and not models[trial.model].entry:
            raise RuntimeUnavailable(f"model {trial.model} has no `entry` for plain processes; {remedy}")
