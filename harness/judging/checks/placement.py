"""Whether server and client had their cores to themselves."""

from harness import readings
from harness.judging.beside import backend_beside_client, balancer_beside_client
from harness.judging.evidence import OTHERS, Evidence
from harness.result import Check


def quiet(evidence: Evidence) -> Check:
    """Nobody else took much of the server's cores."""
    load, usage = evidence.server_cores, evidence.usage
    if load is None or usage is None:
        return Check(name="quiet", passed=None, detail="the server's cores were not watched")
    others = max(0.0, load.busy + load.stolen - readings.cpu_utilisation(usage))
    return Check(name="quiet", passed=others <= OTHERS, detail=f"others took {others:.0%} of the server's cores")


def apart(evidence: Evidence) -> Check:
    """Server and client had no CPU in common."""
    loads = evidence.cores or {}
    if "server" not in loads or "client" not in loads:
        return Check(name="apart", passed=None, detail="the cores were not watched")
    shared = set(loads["server"].cpus) & set(loads["client"].cpus)
    detail = "server and client shared their CPU" if shared else "server and client had cores of their own"
    if backend_beside_client(evidence):
        detail += "; the backend shared the client's"
    if balancer_beside_client(evidence):
        detail += "; the balancer shared the client's"
    return Check(name="apart", passed=not shared, detail=detail)
