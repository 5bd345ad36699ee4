"""What a trial is judged by: the reports, and the shares and rates that the rules speak of. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from harness import readings
from harness.histogram import bounds_of, percentile
from harness.raw import BackendReport, ClientReport, FaultReport, ServerReport
from harness.result import CoreLoad, ServiceUsage
from harness.spec.experiment import Trial

Side = Literal["server", "client", "backend"]

BUSY = 0.9
"""Share of its cores from which a side counts as saturated: what is left goes to interrupts and scheduling."""


@dataclass(frozen=True)
class Evidence:
    """Everything a judgement rests on. What is not known of a server (a foreign one) is None or absent."""

    trial: Trial
    concurrency: Literal["unbounded", "workers"] | None
    client: ClientReport
    server: ServerReport | None = None
    proving_requests: int = 0  # answered to the harness: the proof that the service is right, and what sets a fault off
    usage: ServiceUsage | None = None  # the server's
    cores: Mapping[Side, CoreLoad] | None = None
    workers: int | None = None  # where their number is fixed and known
    backend: BackendReport | None = None
    backend_usage: ServiceUsage | None = None
    fault: FaultReport | None = None  # what was set off

    @property
    def server_utilisation(self) -> float | None:
        """The server's own CPU over the CPU it was given."""
        return None if self.usage is None else readings.cpu_utilisation(self.usage)

    @property
    def saturated(self) -> bool:
        """Whether the server used all the CPU it was given."""
        return self.server_utilisation is not None and self.server_utilisation >= BUSY

    @property
    def client_busy(self) -> float:
        """How busy the client was: its own core's load by whoever, or its own CPU, whichever is more."""
        own = readings.client_utilisation(self.client)
        load = (self.cores or {}).get("client")
        # Several cores: the client is one thread on any of them, and only its own CPU tells.
        return max(own, load.busy + load.stolen) if load is not None and len(load.cpus) == 1 else own

    @property
    def cycles(self) -> float:
        """Answers per connection that the measured rate gives within the window."""
        return self.client.completed_in_window / self.trial.load.connections

    @property
    def send_lag_p99_us(self) -> float | None:
        """Of an open loop; None where there are too few requests."""
        lag_ns = percentile(self.client.histograms.get("send_lag", {}), 99)
        return None if lag_ns is None else lag_ns / 1e3

    @property
    def failures(self) -> str:
        """The requests that failed, by kind, in a sentence."""
        client = self.client
        failed = sum(client.errors.values())
        if not failed:
            return f"all {client.intended} requests were answered rightly"
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(client.errors.items()) if count)
        return f"{failed} of {client.intended} requests failed: {kinds}"

    @property
    def in_flight(self) -> float:
        """Requests under way on average, those of starved connections among them."""
        client = self.client
        return (client.in_flight_integral_s + client.in_flight_starved_integral_s) / readings.window_s(client)

    @property
    def fault_missed(self) -> str | None:
        """Why the window does not show the fault that was asked for; None where it does, or none was asked for."""
        fault, window_end_ns = self.fault, self.client.window_end_ns
        if fault is None:
            return None
        said = fault.outcome
        if said == "not sent" or fault.sent_ns is None:
            return f"its request could not be sent ({fault.detail})"
        if said == "answered" and fault.kind in ("crash", "exit", "hang"):
            return f"its request was answered ({fault.detail}), as one that sets nothing off"
        if said == "silence" and fault.kind in ("crash", "exit"):
            return f"its request was still waiting when its deadline came ({fault.detail})"
        late_s = (fault.sent_ns - window_end_ns) / 1e9 + (fault.after_s or 0.0)
        return f"it came {late_s:.1f} s after the window" if late_s > 0 else None

    @property
    def backend_beside_client(self) -> bool:
        """Whether there is a backend without a core of its own."""
        return self.trial.handler.backend.delay is not None and "backend" not in (self.cores or {})

    @property
    def backend_busy(self) -> float:
        """CPU that the backend used over that of its core."""
        return 0.0 if self.backend_usage is None else readings.cpu_utilisation(self.backend_usage)

    @property
    def backend_saturated(self) -> bool:
        """Whether the backend used up its core, or most of the one that it and the client used up together."""
        if not self.backend_beside_client:
            return self.backend_busy >= BUSY
        client = readings.client_utilisation(self.client)
        return self.backend_busy + client >= BUSY and self.backend_busy > client

    @property
    def waiting_for_backend(self) -> float | None:
        """Calls that the backend had under way on average: their rate times the delay that it made (Little's law)."""
        rate = readings.backend_calls_per_s(self.server) if self.server is not None else None
        if rate is None or self.backend is None or not self.backend.answers:
            return None
        counts = self.backend.delays_ns
        return (
            rate
            * sum(sum(bounds_of(index)) / 2 * count for index, count in counts.items())
            / sum(counts.values())
            / 1e9
        )
