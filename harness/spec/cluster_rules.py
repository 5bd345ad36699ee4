"""What cannot be together where there are several servers, or something in front of them."""

from collections.abc import Collection, Iterator

from harness.spec.cluster import Balancing
from harness.spec.contradiction import Contradiction, Rule
from harness.spec.experiment import Trial
from harness.spec.foreign import ReadyImage, RunningServer


def _several_are_spread_over(trial: Trial, _varied: Collection[str]) -> Contradiction | None:
    if trial.servers == 1 or trial.balancer != "none" or isinstance(trial.model, RunningServer):
        return None
    return Contradiction(
        ("servers", "balancer"),
        "with several servers and no balancer the load would meet one of them only",
        "set `balancer`: `haproxy-tcp` or `haproxy-http`, or `direct` to have the clients spread their connections",
    )


def _balancing_has_a_balancer(trial: Trial, varied: Collection[str]) -> Contradiction | None:
    asked = [path for path in varied if path.startswith("balancing.")]
    usual = Balancing()
    changed = [
        f"balancing.{key}"
        for key in Balancing.model_fields
        if getattr(trial.balancing, key) != getattr(usual, key) and f"balancing.{key}" not in asked
    ]
    if trial.balanced or not (asked or changed):
        return None
    return Contradiction(
        ("balancer", *asked, *changed),
        "`balancing` says how HAProxy works, and there is none",
        "leave it out, or set it where HAProxy is: `{label: NAME, set: {balancer: haproxy-tcp, balancing.…: …}}`",
    )


def _haproxy_is_not_for_https(trial: Trial, _varied: Collection[str]) -> Contradiction | None:
    if not trial.balanced or not isinstance(trial.model, ReadyImage):
        return None
    if not trial.model.encrypted:
        return None
    return Contradiction(
        ("model", "balancer"),
        "HAProxy is proved and loaded over http here, and these servers speak https",
        "let the servers speak http behind it",
    )


def _each_server_has_a_connection(trial: Trial, _varied: Collection[str]) -> Contradiction | None:
    """Clients that spread by themselves give a connection, however often it is opened anew, to one server."""
    load = trial.load
    bound = trial.balancer == "direct" or (trial.balancer == "haproxy-tcp" and load.lifetime == "keep-alive")
    if not bound or load.connections >= trial.servers or load.growth is not None:
        return None
    return Contradiction(
        ("servers", "load.connections"),
        "there are fewer connections than servers, and each stays with one server: the others would get nothing",
        "raise `load.connections` to a multiple of `servers`, or lower `servers`",
    )


def running_server_contradictions(trial: Trial) -> Iterator[Contradiction]:
    """What of a cluster cannot be asked of a server that runs already.

    Args:
        trial: the complete trial of such a server.
    """
    for path, is_asked in (("servers", trial.servers != 1), ("balancer", trial.balancer != "none")):
        if is_asked:
            what = (
                f"`{path}` cannot be set for a server that runs already: nothing is started beside it or in front of it"
            )
            yield Contradiction(
                (path, "model"), what, "leave it out for this model, and give your balancer's own `url`"
            )


CLUSTER_RULES: tuple[Rule, ...] = (
    _several_are_spread_over,
    _balancing_has_a_balancer,
    _haproxy_is_not_for_https,
    _each_server_has_a_connection,
)
