"""What serves beside the load client, on its core or on ones of its own: the backend, and the balancer. Pure."""

from harness import readings
from harness.judging.evidence import BUSY, Evidence
from harness.result import ServiceUsage


def backend_busy(evidence: Evidence) -> float:
    """CPU that the backend used over that of its core."""
    return 0.0 if evidence.backend_usage is None else readings.cpu_utilisation(evidence.backend_usage)


def balancer_busy(usage: ServiceUsage | None) -> float:
    """CPU that the balancer used over that of its cores, or of those that it has threads for."""
    return 0.0 if usage is None else readings.cpu_share(usage) / min(usage.cores, max(1, usage.threads))


def backend_saturated(evidence: Evidence) -> bool:
    """Whether the backend used up its core, or most of the one that it and others used up together."""
    return _used_up("backend", evidence) if evidence.sharing.client_and_backend else backend_busy(evidence) >= BUSY


def balancer_saturated(evidence: Evidence) -> bool:
    """Whether the balancer used up its cores, or most of the one that it and others used up together."""
    if evidence.sharing.client_and_balancer:
        return _used_up("balancer", evidence)
    return balancer_busy(evidence.balancer_usage) >= BUSY


def _used_up(who: str, evidence: Evidence) -> bool:
    """Whether those on the client's core used it up with the client, and this one had the largest part of it."""
    parts = {"client": readings.client_utilisation(evidence.client)}
    if evidence.sharing.client_and_backend:
        parts["backend"] = backend_busy(evidence)
    if evidence.sharing.client_and_balancer:
        parts["balancer"] = balancer_busy(evidence.balancer_usage)
    return sum(parts.values()) >= BUSY and all(parts[who] > part for name, part in parts.items() if name != who)
