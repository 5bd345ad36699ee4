"""What cannot be together in a request, and so in none of the kinds of a mix: each is judged, and told with its line."""

from collections.abc import Collection, Iterator

from harness.spec.contradiction import Contradiction
from harness.spec.experiment import Trial
from harness.spec.fault_rules import has_crash
from harness.spec.foreign import RunningServer
from harness.spec.traffic import MixedRequest

MAX_HEADERS_BYTES = 32 * 1024  # half of what every server accepts as a head (docs/contract/)
FAULT_PATH = "/-/fault"  # what sets a fault off (docs/contract/)

_KEYS = ("path", "method", "headers", "body", "expect")


def request_contradictions(
    trial: Trial, varied: Collection[str], *, is_broker: bool = False
) -> Iterator[Contradiction]:
    """Every contradiction within a kind of request, and what is varied for none of them.

    Args:
        trial: the complete trial.
        varied: dotted paths that factors set.
        is_broker: whether its model is a broker, as the model's folder says (`protocol: stomp`).
    """
    of_method = _broker_knows_messages_only if is_broker or _is_running_broker(trial) else _get_has_no_body
    for number, kind in enumerate(trial.request.kinds):
        for rule in (
            of_method,
            _headers_fit,
            _headers_differ,
            _fault_has_its_path_alone,
        ):
            if found := rule(trial, number, kind):
                yield found
    for path in varied:
        section, _, key = path.partition(".")
        key = key.partition(".")[0]  # of `headers.<name>`
        if section == "request" and key in _KEYS and _each_kind_has_its_own(key, trial):
            what = f"each kind of `request.mix` has its own `{key}`, so varying `{path}` changes nothing"
            yield Contradiction((path, "request.mix"), what, f"vary something else, or leave `{key}` out of a kind")


def _each_kind_has_its_own(key: str, trial: Trial) -> bool:
    mix = trial.request.mix
    return bool(mix) and all(getattr(kind, key) is not None for kind in mix)


def status_contradictions(trial: Trial) -> Iterator[Contradiction]:
    """Statuses that no model which keeps the contract answers with.

    Args:
        trial: the complete trial of such a model.
    """
    for number, kind in enumerate(trial.request.kinds):
        if kind.expect not in (None, 200):
            what = f"`{_key(trial, 'expect')}` says another status than 200, and models that keep the contract answer with no other"
            paths = ("model", *_places(trial, number, "expect"))
            yield Contradiction(paths, _of(trial, number) + what, "leave it out for this model")


def _places(trial: Trial, number: int, *keys: str) -> tuple[str, ...]:
    """Where a kind of request says these things: in the mix, or in `request` for all that do not."""
    if not trial.request.mix:
        return tuple(f"request.{key}" for key in keys)
    own = trial.request.mix[number]
    told = [f"request.mix.{number}.{key}" if getattr(own, key) is not None else f"request.{key}" for key in keys]
    return (*told, "request.mix")


def _of(trial: Trial, number: int) -> str:
    """The beginning of what is said of a kind."""
    return f"kind {number + 1} of `request.mix`: " if trial.request.mix else ""


def _key(trial: Trial, key: str) -> str:
    """What a key of a kind is called there."""
    return key if trial.request.mix else f"request.{key}"


def _is_running_broker(trial: Trial) -> bool:
    return isinstance(trial.model, RunningServer) and trial.model.url.startswith("stomp:")


def _broker_knows_messages_only(trial: Trial, number: int, kind: MixedRequest) -> Contradiction | None:
    if kind.method == "GET" and kind.expect is None:
        return None
    return Contradiction(
        ("model", *_places(trial, number, "method", "expect")),
        f"{_of(trial, number)}a broker takes messages, so methods and statuses mean nothing to it",
        f"leave `{_key(trial, 'method')}` as it is, GET, and `{_key(trial, 'expect')}` out",
    )


def _get_has_no_body(trial: Trial, number: int, kind: MixedRequest) -> Contradiction | None:
    if kind.method not in ("GET", "HEAD", "OPTIONS") or kind.body is None or kind.body.bytes == 0:
        return None
    return Contradiction(
        _places(trial, number, "method", "body"),
        f"{_of(trial, number)}a GET request carries no body, nor does HEAD or OPTIONS",
        f"set `{_key(trial, 'method')}: POST`, or `{_key(trial, 'body')}: 0 B`",
    )


def _headers_fit(trial: Trial, number: int, kind: MixedRequest) -> Contradiction | None:
    if sum(len(name) + len(value) + 4 for name, value in (kind.headers or {}).items()) <= MAX_HEADERS_BYTES:
        return None
    return Contradiction(
        _places(trial, number, "headers"),
        f"{_of(trial, number)}the request's headers are larger than {MAX_HEADERS_BYTES // 1024} KiB",
        "send fewer or shorter ones",
    )


def _headers_differ(trial: Trial, number: int, kind: MixedRequest) -> Contradiction | None:
    headers = kind.headers or {}
    if len({name.lower() for name in headers}) == len(headers):
        return None
    return Contradiction(
        _places(trial, number, "headers"),
        f"{_of(trial, number)}a request header is given twice, in different case",
        "keep one of them",
    )


def _fault_has_its_path_alone(trial: Trial, number: int, kind: MixedRequest) -> Contradiction | None:
    if kind.path != FAULT_PATH or (trial.handler.fault == "none" and not has_crash(trial)):
        return None
    return Contradiction(
        (*_places(trial, number, "path"), "faults" if has_crash(trial) else "handler.fault"),
        f"{_of(trial, number)}every request would set the fault off, as `{FAULT_PATH}` is what does",
        "ask for another path",
    )
