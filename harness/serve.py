"""`harness serve`: one model in the foreground, so that anyone can put curl, wrk or a browser to it."""

import contextlib
import time
from collections.abc import Mapping, Sequence
from signal import Signals

import typer
from pydantic import ValidationError

from harness.deploy import STOP_DEADLINE_S, calibrate, refuse_taken, running, server_config
from harness.errors import DeployError, SpecError
from harness.fleet import site_here
from harness.hosts.cores import available_cores
from harness.interrupt import Interruptible
from harness.proof import origin_of, prove_right
from harness.runtime.base import Service, ServiceSpec, make_owner
from harness.spec.catalogue import load_models
from harness.spec.experiment import Handler, Trial
from harness.spec.explain import as_options
from harness.spec.model import Model
from harness.spec.problems import did_you_mean, listed
from harness.spec.traffic import Request
from harness.spec.words import options_of
from harness.stage import Places, Wanted, set_stage
from harness.terminal import Display

OPEN_FILES = 10_000  # connections that a served model can hold
PROOF_DESTINATION = "/topic/ceiling-proof"  # of a broker: it keeps nothing that is sent there


def trial_for(model: str, options: Sequence[str], handler: Mapping[str, str], places: Places) -> Trial:
    """A trial from the command line's words.

    Raises:
        SpecError: a word is wrong; every problem, a line each.
    """
    models = load_models(places.images)
    if model not in models:
        raise SpecError(
            [f"MODEL: there is no model {model!r}; {did_you_mean(model, models, 'write one of ' + listed(models))}"]
        )
    problems: list[str] = []
    values = options_of(model, models[model], options, problems)
    try:
        checked = Handler.model_validate(handler)
    except ValidationError as error:
        problems += as_options(error.errors(), Handler)
    if problems:
        raise SpecError(problems)
    request = Request(path=PROOF_DESTINATION) if models[model].protocol == "stomp" else Request()
    return Trial(model=model, options=values, handler=checked, request=request)


def serve_model(trial: Trial, port: int, wanted: Wanted, places: Places, display: Display) -> None:
    """Run a model until SIGTERM or Ctrl-C, then print its exit report as one JSON line.

    Raises:
        HarnessError: it cannot be run here, or does not answer rightly.
    """
    models = load_models(places.images)
    name, model = trial.model_name, models[trial.model_name]
    if model.contract == "port" and port != model.port:
        raise SpecError([f"--port {port}: {name} listens on its own port and no other; write --port {model.port}"])
    owner = make_owner(f"serve-{name}-{port}")
    with Interruptible("stopping") as interruptible:
        stage = set_stage([trial], models, places, wanted, owner, display)
        try:
            iterations_per_us = 0.0
            if trial.handler.cpu.ns:
                iterations_per_us = calibrate(stage.runtime, name, available_cores())
            config = server_config(trial, model, port, iterations_per_us)
            spec = ServiceSpec(
                name=f"serve-{port}",
                role="server",
                image=name,
                config=config.model_dump(mode="json"),
                cores=available_cores(),
                open_files=OPEN_FILES,
                port=port,
            )
            if model.contract == "port":
                refuse_taken(site_here(stage.runtime), port)
            with running(stage.runtime, spec, []) as service:
                with interruptible.stopping_here():
                    prove_right(service, port, trial, model, [])
                    display.say(f"{name} serves {origin_of(service, port, model.protocol)}/ (Ctrl-C ends it)")
                    _wait_for_its_end(service)
                _finish(service, model)
        finally:
            stage.close()


def _wait_for_its_end(service: Service) -> None:
    while service.running():
        time.sleep(0.2)


def _finish(service: Service, model: Model) -> None:
    if service.running():
        service.signal(Signals[model.stop])
    status = service.wait(STOP_DEADLINE_S)
    with contextlib.suppress(FileNotFoundError):
        typer.echo(service.fetch("exit.json").decode().strip())
    if status != 0 and model.contract == "full":
        raise DeployError(f"{service.spec.name}: the server ended with status {status}:\n{service.logs()}")
