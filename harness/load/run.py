"""Running the load client as a local process, on the cores that this process may use."""

from pathlib import Path

from harness.clients import connect_deadline_s, plan_client
from harness.deploy import Reached, fetch_record
from harness.errors import SpecError
from harness.events import EventStream
from harness.hosts.cores import available_cores
from harness.hosts.room import room_of_this_host
from harness.measure import STEP_DEADLINE_S, client_config, client_spec, started
from harness.proof import Expected
from harness.raw import ClientReport
from harness.runtime.base import make_owner
from harness.runtime.process import ProcessRuntime
from harness.spec.experiment import Trial
from harness.spec.foreign import RunningServer, certificates
from harness.stage import Places
from harness.terminal import Display
from harness.trust import Trust, trust_in


def run_load(trial: Trial, places: Places, display: Display, seed: int = 1) -> ClientReport:
    """One load, whole.

    Args:
        trial: of `trial_of`.
        places: where things lie.
        display: is shown the progress.
        seed: of the schedule, the think times and the mix.

    Raises:
        SpecError: what is to be trusted is no certificate.
        MeasureError: nothing listens, too few open files, or the client broke down.
    """
    runtime = ProcessRuntime(make_owner("load"), places.images, places.state / "work")
    runtime.clean()
    try:
        return _observe(runtime, trial, display, seed)
    finally:
        runtime.clean()


def _observe(runtime: ProcessRuntime, trial: Trial, display: Display, seed: int) -> ClientReport:
    load, server = trial.load, trial.model
    assert isinstance(server, RunningServer)  # noqa: S101 - `trial_of` made it
    url, anything = f"{server.url}{trial.request.path}", (Expected(None, None),) * len(trial.request.kinds)
    reached = Reached(url=url, proving_requests=0, expected=anything, trust=_trusted(server))
    plan = plan_client(trial, room_of_this_host())
    config = client_config(reached, trial, client=plan, wait_for_start=False, seed=seed)
    spec = client_spec("load", config, available_cores(), plan)
    length_s = load.warmup.s + load.window.s + load.timeout.s + 2 * STEP_DEADLINE_S
    with display.live("load"), started(runtime, [spec], []) as (client,):
        with EventStream(client, connect_deadline_s(load) + length_s, display.tick) as events:
            events.expect("started", connect_deadline_s(load))
            events.expect("done", length_s)
            client.wait(STEP_DEADLINE_S)
        return fetch_record(client, "client.json", ClientReport)


def _trusted(server: RunningServer) -> Trust | None:
    """Whom to trust.

    Raises:
        SpecError: the file of `--ca` holds no certificates.
    """
    try:
        return trust_in(server, {server.ca: certificates(Path(server.ca))} if server.ca else {})
    except ValueError as error:
        raise SpecError([f"--ca: {error}; name a PEM file"]) from None
