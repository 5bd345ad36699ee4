"""Whether server and client had their cores to themselves.

Strangers are told apart from what the harness itself puts beside the server, where a host has too few CPUs: both mark a trial, each
by its name.
"""

from harness import readings
from harness.judging.evidence import OTHERS, Evidence
from harness.result import Check


def quiet(evidence: Evidence) -> Check:
    """No stranger took much of the server's cores."""
    load, usage = evidence.server_cores, evidence.usage
    if load is None or usage is None:
        return Check(name="quiet", passed=None, detail="the server's cores were not watched")
    ours = readings.cpu_utilisation(usage) + evidence.sharing.backend_on_servers
    others = max(0.0, load.busy + load.stolen - ours)
    return Check(name="quiet", passed=others <= OTHERS, detail=f"others took {others:.0%} of the server's cores")


def apart(evidence: Evidence) -> Check:
    """Server and client had no CPU in common, and a backend beside the server took little of its cores."""
    loads, shared = evidence.cores or {}, evidence.sharing
    if "server" not in loads or "client" not in loads:
        return Check(name="apart", passed=None, detail="the cores were not watched")
    said = [
        "server and client shared their CPU" if shared.client_and_server else "server and client had cores of their own"
    ]
    if shared.client_and_backend:
        said.append("the backend shared the client's")
    if shared.client_and_balancer:
        said.append("the balancer shared the client's")
    if shared.backend_on_servers:
        said.append(f"the backend took {shared.backend_on_servers:.0%} of the server's")
    passed = not shared.client_and_server and shared.backend_on_servers <= OTHERS
    return Check(name="apart", passed=passed, detail="; ".join(said))
