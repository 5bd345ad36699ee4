"""What cannot be together in a load: each kind has keys of its own."""

from collections.abc import Collection, Mapping
from ipaddress import ip_address

from harness.spec.contradiction import Contradiction, Rule
from harness.spec.experiment import Trial
from harness.spec.traffic import Load

_OF_KINDS: Mapping[str, tuple[str, ...]] = {
    "rate": ("open", "hold", "capacity"),
    "rates": ("open",),
    "shape": ("open",),
    "arrivals": ("open", "hold", "capacity"),
    "think": ("closed",),
    "thinking": ("closed",),
    "growth": ("hold",),
    "resolution": ("capacity",),
    "confirmation": ("capacity",),
}
"""Key of a load: the kinds that it means something to."""


def _rate_is_given(trial: Trial, _varied: Collection[str]) -> Contradiction | None:
    load = trial.load
    if load.kind not in ("open", "hold") or load.rate is not None or load.rates:
        return None
    return Contradiction(
        ("load.kind", "load.rate"),
        f"{'an' if load.kind == 'open' else 'a'} {load.kind} load has no rate",
        "add `load.rate`, such as `1000/s`, or set `load.kind: closed`",
    )


def _closed_has_no_rate(trial: Trial, _varied: Collection[str]) -> Contradiction | None:
    if trial.load.kind != "closed" or trial.load.rate is None:
        return None
    return Contradiction(
        ("load.kind", "load.rate"),
        "a closed load makes its own rate, so `load.rate` says nothing",
        "remove it, or set `load.kind: open`",
    )


def _keys_belong_to_the_kind(trial: Trial, varied: Collection[str]) -> Contradiction | None:
    """A key of another kind: set to something, or varied, and meaning nothing here."""
    load, unset = trial.load, Load()
    for key, kinds in _OF_KINDS.items():
        idle = getattr(load, key) != getattr(unset, key) or f"load.{key}" in varied
        if load.kind not in kinds and idle and (key, load.kind) != ("rate", "closed"):
            return Contradiction(
                ("load.kind", f"load.{key}"),
                f"`load.{key}` means nothing to a load of kind `{load.kind}`",
                f"remove it, or set `load.kind: {kinds[0]}`",
            )
    return None


def _one_rate_or_several(trial: Trial, _varied: Collection[str]) -> Contradiction | None:
    if trial.load.rate is None or not trial.load.rates:
        return None
    return Contradiction(("load.rate", "load.rates"), "`load.rate` and `load.rates` are both given", "keep one of them")


def _ramp_goes_somewhere(trial: Trial, _varied: Collection[str]) -> Contradiction | None:
    load = trial.load
    if load.kind != "open" or load.shape != "ramp" or len(load.rates) > 1:
        return None
    return Contradiction(
        ("load.shape", "load.rates"), "a ramp needs two rates or more", "give `load.rates`, such as `[100/s, 1000/s]`"
    )


def _window_holds_requests(trial: Trial, _varied: Collection[str]) -> Contradiction | None:
    load = trial.load
    rates = load.rates or ((load.rate,) if load.rate else ())
    if load.kind not in ("open", "hold") or not rates:
        return None
    if min(rate.per_s for rate in rates) * load.window.s / max(1, len(load.rates)) >= 1:
        return None
    return Contradiction(
        ("load.rates" if load.rates else "load.rate", "load.window"),
        "at this rate no request falls into the window" + (" part that it has" if load.rates else ""),
        "lengthen `load.window` or raise `load.rate`",
    )


def _hold_keeps(trial: Trial, _varied: Collection[str]) -> Contradiction | None:
    if trial.load.kind != "hold" or trial.load.lifetime == "keep-alive":
        return None
    return Contradiction(
        ("load.kind", "load.lifetime"),
        "a hold load keeps its connections",
        "remove `load.lifetime`, or choose another kind",
    )


def _slo_needs_a_schedule(trial: Trial, varied: Collection[str]) -> Contradiction | None:
    asked = [path for path in varied if path.startswith("slo.")]
    if trial.load.kind in ("open", "capacity") or not (trial.slo.is_set or asked):
        return None
    return Contradiction(
        ("load.kind", "slo", *asked),
        f"`slo` with a {trial.load.kind} load: its response times follow from the load, not from a schedule",
        "set `load.kind: open` or `capacity`, or remove `slo`",
    )


def _capacity_needs_an_slo(trial: Trial, _varied: Collection[str]) -> Contradiction | None:
    if trial.load.kind != "capacity" or trial.slo.is_set:
        return None
    return Contradiction(
        ("load.kind", "slo"),
        "a search for capacity has no SLO to meet",
        "add `slo`, such as `{p99: 50 ms, errors: 0.1 %}`",
    )


def _slo_within_the_timeout(trial: Trial, _varied: Collection[str]) -> Contradiction | None:
    late = [name for name, limit in trial.slo.latencies.items() if limit >= trial.load.timeout]
    if not late:
        return None
    return Contradiction(
        (f"slo.{late[0]}", "load.timeout"),
        f"`slo.{late[0]}` is met by whatever is answered at all, as it is no less than `load.timeout`",
        "raise `load.timeout` or lower the limit",
    )


def _search_is_not_disturbed(trial: Trial, _varied: Collection[str]) -> Contradiction | None:
    if trial.load.kind != "capacity" or trial.handler.fault == "none":
        return None
    return Contradiction(
        ("load.kind", "handler.fault"), "a search for capacity cannot have a fault in it", "remove `handler.fault`"
    )


def _clients_have_connections(trial: Trial, _varied: Collection[str]) -> Contradiction | None:
    if trial.clients <= trial.load.connections:
        return None
    return Contradiction(("clients", "load.connections"), "there are more clients than connections", "lower `clients`")


def _sources_are_addresses(trial: Trial, _varied: Collection[str]) -> Contradiction | None:
    for source in trial.load.sources:
        try:
            ip_address(source)
        except ValueError:
            return Contradiction(
                ("load.sources",), f"{source[:60]!r} is no IP address", "list addresses of the client's host"
            )
    if len(set(trial.load.sources)) < len(trial.load.sources):
        return Contradiction(("load.sources",), "a source address is given twice", "list each once")
    return None


LOAD_RULES: tuple[Rule, ...] = (
    _rate_is_given,
    _closed_has_no_rate,
    _keys_belong_to_the_kind,
    _one_rate_or_several,
    _ramp_goes_somewhere,
    _window_holds_requests,
    _hold_keeps,
    _slo_needs_a_schedule,
    _capacity_needs_an_slo,
    _slo_within_the_timeout,
    _search_is_not_disturbed,
    _clients_have_connections,
    _sources_are_addresses,
)
