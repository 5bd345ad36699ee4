"""Running the load client as a local process, on the cores that this process may use."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness.deploy import Reached
from harness.errors import MeasureError, SpecError
from harness.fleet import fleet_of, site_here
from harness.foreign import measure_from_outside
from harness.judging.evidence import Evidence
from harness.judging.verdict import judge
from harness.measure import Job, Take
from harness.placement import place
from harness.proof import Expected
from harness.raw import ClientReport
from harness.result import Capacity, Verdict
from harness.runtime.base import Runtime, make_owner
from harness.runtime.process import ProcessRuntime
from harness.search import search_capacity
from harness.spec.experiment import Trial
from harness.spec.foreign import RunningServer, certificates
from harness.stage import Places
from harness.terminal import Display
from harness.trust import Trust, trust_in


@dataclass(frozen=True)
class Came:
    """What came of a load."""

    trial: Trial  # as it was measured: of a search, its last step
    report: ClientReport
    capacity: Capacity | None = None  # what a search found


def run_load(trial: Trial, places: Places, display: Display, seed: int = 1) -> Came:
    """One load, or as many as a search for capacity takes.

    Args:
        trial: of `trial_of`.
        places: where things lie.
        display: is shown the progress.
        seed: of the schedule, the think times and the mix.

    Raises:
        SpecError: what is to be trusted is no certificate.
        MeasureError: nothing listens, too few open files, or the client broke down.
    """
    reached, take = _reached(trial), Take()
    with _local(places) as runtime, display.live("load"):
        site = site_here(runtime)
        placement = place(trial, [site.machine], watched=False)
        job = Job(
            "load", trial, fleet_of([site]), placement, False, display.tick, on_step=display.step, chosen_seed=seed
        )
        observe = partial(measure_from_outside, reached)
        if trial.load.kind == "capacity":
            search_capacity(reached, job, take, observe, _judged)
        else:
            observe(job, take)
    if take.client is None:
        raise MeasureError("the load client left no report")
    return Came(take.measured or trial, take.client, take.capacity)


@contextmanager
def _local(places: Places) -> Iterator[Runtime]:
    runtime = ProcessRuntime(make_owner("load"), places.images, places.state / "work")
    runtime.clean()
    try:
        yield runtime
    finally:
        runtime.clean()


def _reached(trial: Trial) -> Reached:
    """The server as it was named: nothing is asked of it beforehand, and any answer with a 2xx is right."""
    server = trial.model
    assert isinstance(server, RunningServer)  # noqa: S101 - `trial_of` made it
    anything = (Expected(None, None),) * len(trial.request.kinds)
    return Reached(
        url=f"{server.url}{trial.request.path}", proving_requests=0, expected=anything, trust=_trusted(server)
    )


def _judged(job: Job, take: Take) -> Verdict | None:
    """Who gave out in a step of a search: of the server nothing is known but its answers."""
    if take.client is None:
        return None
    return judge(Evidence(trial=job.trial, concurrency=None, client=take.client))[1]


def _trusted(server: RunningServer) -> Trust | None:
    """Whom to trust.

    Raises:
        SpecError: the file of `--ca` holds no certificates.
    """
    try:
        return trust_in(server, {server.ca: certificates(Path(server.ca))} if server.ca else {})
    except ValueError as error:
        raise SpecError([f"--ca: {error}; name a PEM file"]) from None
