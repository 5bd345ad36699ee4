"""What cannot be asked of a broker: a model that is sent messages (`protocol: stomp`)."""

from collections.abc import Iterator

from harness.spec.contradiction import Contradiction
from harness.spec.experiment import Trial


def broker_contradictions(trial: Trial) -> Iterator[Contradiction]:
    """What of a trial means nothing to a broker.

    Args:
        trial: the complete trial of such a model.
    """
    if any(not (kind.path or "").strip("/") for kind in trial.request.kinds):
        what = "a broker is sent messages, and `request.path` names no destination"
        yield Contradiction(("model", "request.path"), what, "set it, as in `/queue/orders` or `/topic/news`")
    for path, is_asked in (("servers", trial.servers != 1), ("balancer", trial.balancer != "none")):
        if is_asked:
            what = f"`{path}` cannot be set for a broker: several of them do not share their messages"
            yield Contradiction(("model", path), what, "leave it out for this model")
