"""What cannot be together in one trial, though each value is right on its own."""

from collections.abc import Collection, Iterator

from harness.spec.broker_rules import broker_contradictions
from harness.spec.cluster_rules import CLUSTER_RULES, running_server_contradictions
from harness.spec.contradiction import Contradiction, Rule
from harness.spec.experiment import Trial
from harness.spec.fault_rules import fault_contradictions, has_crash
from harness.spec.foreign import RunningServer, name_of
from harness.spec.load_rules import LOAD_RULES
from harness.spec.request_rules import request_contradictions, status_contradictions


def contradictions(trial: Trial, varied: Collection[str], *, is_broker: bool = False) -> Iterator[Contradiction]:
    """Every contradiction of a complete trial.

    Args:
        trial: the trial.
        varied: dotted paths that factors set; varying what has no effect is a contradiction too.
        is_broker: whether its model is a broker, as the model's folder says (`protocol: stomp`).
    """
    if is_broker:
        yield from broker_contradictions(trial)
    for rule in _RULES:
        if found := rule(trial, varied):
            yield found
    yield from request_contradictions(trial, varied, is_broker=is_broker)
    yield from fault_contradictions(trial, varied)


def _echo_has_no_body_of_its_own(trial: Trial, varied: Collection[str]) -> Contradiction | None:
    if trial.handler.kind != "echo" or "handler.body" not in varied:
        return None
    return Contradiction(
        ("handler.kind", "handler.body"),
        "`echo` answers with the request's body, so varying `handler.body` changes nothing",
        "vary `request.body`, or set `handler.kind: body`",
    )


def _answers_are_possible(trial: Trial, _varied: Collection[str]) -> Contradiction | None:
    if trial.handler.cpu < trial.load.timeout:
        return None
    return Contradiction(
        ("handler.cpu", "load.timeout"),
        "every request times out, as its CPU work takes as long as `load.timeout`",
        "raise `load.timeout` or lower `handler.cpu`",
    )


def _bimodal_has_slow_answers(trial: Trial, _varied: Collection[str]) -> Contradiction | None:
    backend = trial.handler.backend
    if (backend.distribution == "bimodal") == (backend.slow is not None):
        return None
    return Contradiction(
        ("handler.backend.distribution", "handler.backend.slow"),
        "`slow` goes with `distribution: bimodal`, and only with it",
        "give both or neither",
    )


def _backend_is_there(trial: Trial, varied: Collection[str]) -> Contradiction | None:
    idle = [path for path in varied if path.startswith("handler.backend.")]
    if trial.handler.backend.delay is not None or not idle or "handler.backend.delay" in varied:
        return None
    return Contradiction(
        ("handler.backend.delay", *idle),
        "varying the backend changes nothing, as there is none",
        "set `handler.backend.delay`",
    )


def _backend_answers_in_time(trial: Trial, _varied: Collection[str]) -> Contradiction | None:
    delay = trial.handler.backend.delay
    if delay is None or delay < trial.load.timeout:
        return None
    return Contradiction(
        ("handler.backend.delay", "load.timeout"),
        "every request times out, as the backend takes as long as `load.timeout`",
        "raise `load.timeout` or lower the delay",
    )


def _fault_falls_into_the_window(trial: Trial, _varied: Collection[str]) -> Contradiction | None:
    if trial.handler.fault == "none" or trial.handler.fault_at < trial.load.window:
        return None
    return Contradiction(
        ("handler.fault_at", "load.window"),
        "the fault would come after the window",
        "lengthen `load.window` or bring `handler.fault_at` forward",
    )


def kept_contract_contradictions(trial: Trial, does: Collection[str]) -> Iterator[Contradiction]:
    """What cannot be asked of a model that keeps the image contract.

    Args:
        trial: the complete trial of such a model.
        does: what of `handler` it can do (`does` of its model.yaml).
    """
    yield from status_contradictions(trial)
    handler = trial.handler
    asked = (
        ("handler.kind", "echo", handler.kind == "echo"),
        ("handler.cpu", "cpu", handler.cpu.ns > 0),
        ("handler.log", "log", handler.log != "off"),
        ("handler.backend.delay", "backend", handler.backend.delay is not None),
        ("handler.fault", "fault", handler.fault != "none"),
        ("faults", "fault", has_crash(trial)),
    )
    for path, part, is_asked in asked:
        if is_asked and part not in does:
            what = f"`{path}`: {name_of(trial.model)} cannot do that (`does` of its model.yaml)"
            yield Contradiction(("model", path), what, "leave it out for this model")


def foreign_contradictions(trial: Trial) -> Iterator[Contradiction]:
    """What cannot be asked of a server that does not keep the image contract: a program of its own.

    Args:
        trial: the complete trial of such a server.
    """
    handler = trial.handler
    asked = (
        ("handler.cpu", handler.cpu.ns > 0),
        ("handler.backend.delay", handler.backend.delay is not None),
        ("handler.fault", handler.fault != "none"),
        ("faults", has_crash(trial)),
    )
    for path in (path for path, is_asked in asked if is_asked):
        crash = "crash-handler` of `" if path == "faults" else ""
        what = f"`{crash}{path}` has no effect on a server that does not have the handler of images/common"
        yield Contradiction(("model", path), what, "leave it out for this model")
    if isinstance(trial.model, RunningServer):
        yield from _of_what_runs_already(trial)


def _of_what_runs_already(trial: Trial) -> Iterator[Contradiction]:
    if isinstance(trial.model, RunningServer) and trial.model.url.startswith("stomp:"):
        what = "an experiment proves its servers over HTTP, and a broker speaks STOMP"
        yield Contradiction(("model",), what, "load it alone: `harness load stomp://host:port/destination`")
    asked = (
        ("limits.memory", trial.limits.memory is not None),
        ("limits.cores", trial.limits.cores != 1),
        ("network", trial.network != "host"),
    )
    for path in (path for path, is_asked in asked if is_asked):
        what = f"`{path}` cannot be set for a server that runs already"
        yield Contradiction(("model", path), what, "leave it out for this model, or give the server as an `image`")
    yield from running_server_contradictions(trial)


_RULES: tuple[Rule, ...] = (
    *LOAD_RULES,
    *CLUSTER_RULES,
    _echo_has_no_body_of_its_own,
    _answers_are_possible,
    _bimodal_has_slow_answers,
    _backend_is_there,
    _backend_answers_in_time,
    _fault_falls_into_the_window,
)
