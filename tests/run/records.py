"""Records for the tests of the run's own stages: complete, plausible, and easy to vary."""

from typing import Any

from harness.histogram import index_of
from harness.judging.evidence import Evidence
from harness.raw import BackendReport, ClientReport, ServerMark, ServerReport
from harness.result import CoreLoad, ServiceUsage, TrialResult
from harness.spec.experiment import Trial

WINDOW_NS = 2_000_000_000


def client_report(**changes: Any) -> ClientReport:
    """A client that had 10 requests in flight at 1,000 answers a second for 2 s, each served in 10 ms."""
    fields: dict[str, Any] = {
        "start_ns": 0,
        "window_start_ns": 1_000_000_000,
        "window_end_ns": 1_000_000_000 + WINDOW_NS,
        "intended": 2_000,
        "sent": 2_000,
        "ok": 2_000,
        "errors": {},
        "schedule": None,
        "completed_in_window": 2_000,
        "in_flight_integral_s": 20.0,
        "in_flight_starved_integral_s": 0.0,
        "residence_s": 20.0,
        "connections_opened": 10,
        "connections_served": 10,
        "connections_starved": 0,
        "connect_missing": 0,
        "first_byte_missing": 0,
        "life_ok": 3_000,
        "life_unknown": 0,
        "bytes_received": 400_000,
        "per_100ms": (100,) * 20,
        "cpu_user_s": 0.2,
        "cpu_system_s": 0.2,
        "histograms": {"response": {4_000: 2_000}, "service": {4_000: 2_000}},
    }
    return ClientReport.model_validate({**fields, **changes})


def mark(at_ns: int, requests: int, **changes: Any) -> ServerMark:
    """A server's counters, all others at rest."""
    names = ["connections", "accepts", "forks", "threads", "wakeups", "bad_requests"]
    names += ["voluntary_switches", "involuntary_switches", "minor_faults"]
    fields: dict[str, Any] = dict.fromkeys(names, 0)
    fields |= {"at_ns": at_ns, "requests": requests, "cpu_user_s": 0.0, "cpu_system_s": 0.0}
    return ServerMark.model_validate({**fields, **changes})


def server_report(requests: int = 3_001, **changes: Any) -> ServerReport:
    """A server that counted the same as `client_report`, and one proving request."""
    fields: dict[str, Any] = {
        **mark(4_000_000_000, requests).model_dump(),
        "model": "reactor",
        "marks": (mark(1_000_000_000, 501), mark(3_000_000_000, 2_501)),
    }
    return ServerReport.model_validate({**fields, **changes})


def backend_report(**changes: Any) -> BackendReport:
    """A backend that answered each request after 10 ms."""
    fields: dict[str, Any] = {
        "requests": 3_002,
        "answers": 3_002,
        "connections": 10,
        "cpu_user_s": 0.5,
        "cpu_system_s": 0.5,
        "delays_ns": {index_of(10_000_000): 3_002},
    }
    return BackendReport.model_validate({**fields, **changes})


def usage(cpu_s: float = 0.5, **changes: Any) -> ServiceUsage:
    """One core, used for `cpu_s` seconds of a window of 2 s."""
    fields: dict[str, Any] = {
        "interval_s": 2.0,
        "cores": 1,
        "cpu_user_s": cpu_s,
        "cpu_system_s": 0.0,
        "memory_bytes": 10_000_000,
        "processes": 1,
        "threads": 1,
        "voluntary_switches_per_s": 50.0,
        "involuntary_switches_per_s": 5.0,
        "throttled_s": None,
    }
    return ServiceUsage.model_validate({**fields, **changes})


def cores(server: float = 0.25, client: float = 0.25) -> dict[str, CoreLoad]:
    """Both sides' cores, with the shares of their time that somebody kept them busy."""
    return {
        "server": CoreLoad(cpus=(1,), busy=server, stolen=0.0),
        "client": CoreLoad(cpus=(0,), busy=client, stolen=0.0),
    }


def evidence(**changes: Any) -> Evidence:
    """A trial that nothing is wrong with."""
    fields: dict[str, Any] = {
        "trial": Trial.model_validate({"load": {"connections": 10, "window": "2 s"}}),
        "concurrency": "unbounded",
        "client": client_report(),
        "server": server_report(),
        "proving_requests": 1,
        "usage": usage(),
        "cores": cores(),
    }
    return Evidence(**{**fields, **changes})


def trial_result(trial_id: str = "base.r1", **changes: Any) -> TrialResult:
    """A finished trial's record."""
    fields: dict[str, Any] = {
        "id": trial_id,
        "point": "base",
        "repeat": 1,
        "block": 1,
        "order": 1,
        "factors": {},
        "trial": Trial(),
        "runtime": "process",
        "state": "ok",
        "reason": None,
        "started": "2026-01-01T00:00:00.000Z",
        "elapsed_s": 7.0,
        "overhead_s": 1.0,
        "client": client_report(),
        "servers": {"server": server_report()},
        "usage": {"server": usage()},
        "cores": cores(),
        "checks": (),
        "verdict": None,
    }
    return TrialResult.model_validate({**fields, **changes})
