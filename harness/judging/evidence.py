"""What a trial is judged by: the reports, and the shares and rates that the rules speak of. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from harness import readings
from harness.histogram import bounds_of, percentile
from harness.raw import BackendReport, BalancerReport, ClientReport, FaultReport, ServerReport, TimedFaultReport
from harness.result import CoreLoad, NetworkUse, ServiceUsage, Side
from harness.spec.experiment import Trial

BUSY = 0.9
"""Share of its cores from which a side counts as saturated: what is left goes to interrupts and scheduling."""

OTHERS = 0.1
"""Share of the server's cores that others may take before a trial is in doubt; interrupts are among the others."""

IDLE = 0.02
"""Share of their time that full cores are idle all the same, between one runnable task and the next."""

THROTTLED = 0.01
"""Share of the time that a quota may hold the server back: more shows in p99 of any load."""

SEND_LAG_GATE_US = 1_000.0
"""p99 of the send lag from which a trial says nothing about the server: ten times what the client is held to at half its capacity."""

CYCLES = 3.0
"""Answers that a connection could have had within the window, at the measured rate, before getting none means starved."""

STALL_S = 0.5
"""Time without one answer that makes a stall: far beyond the pauses of a scheduler or a garbage collector."""


@dataclass(frozen=True)
class Sharing:
    """Which sides of a trial had the same CPUs of the same machine."""

    client_and_server: bool = False
    client_and_backend: bool = False
    client_and_balancer: bool = False
    backend_on_servers: float = 0.0  # share of the servers' cores that backends took which had to run on them


@dataclass(frozen=True)
class Evidence:
    """Everything a judgement rests on. What is not known of a server (a foreign one) is None or absent.

    Several servers are one here: what they counted, their workers and what they used are sums, the latter over the host on which
    they were busiest, and in the network namespaces of all. What is each server's own wall, its memory, its files, a core of its own, is looked up in `each`.
    """

    trial: Trial
    concurrency: Literal["unbounded", "workers"] | None
    client: ClientReport
    server: ServerReport | None = None  # None as well where one of several left no report
    proving_requests: int = 0  # answered to the harness: the proof that the service is right, and what sets a fault off
    usage: ServiceUsage | None = None  # the server's
    each: Mapping[str, ServiceUsage] = field(default_factory=dict)  # of several servers, one by one
    client_usage: ServiceUsage | None = None  # the load client's
    cores: Mapping[Side, CoreLoad] | None = None
    sharing: Sharing = field(default_factory=Sharing)
    workers: int | None = None  # of all servers, where their number is fixed and known
    backend: BackendReport | None = None
    backend_usage: ServiceUsage | None = None
    balancer: BalancerReport | None = None  # not before the servers' end
    balancer_usage: ServiceUsage | None = None
    shares: Sequence[ClientReport] = ()  # of each of several load clients; `client` is all of them together
    fault: FaultReport | None = None  # what was set off
    faults: Sequence[TimedFaultReport] = ()  # what was broken on a schedule
    earlier_ok: int = 0  # right answers of earlier loads on the same server: the steps of a search for capacity
    earlier_unknown: int = 0  # and their requests of unknown fate
    searched: bool = (
        False  # the last step of a search that the client did not end: what it may have decided was not counted
    )

    @property
    def server_utilisation(self) -> float | None:
        """The server's own CPU over the CPU it was given."""
        return None if self.usage is None else readings.cpu_utilisation(self.usage)

    @property
    def server_cpu_share(self) -> float:
        """CPU-seconds per second that the server used."""
        return 0.0 if self.usage is None else readings.cpu_share(self.usage)

    @property
    def usable_cores(self) -> int:
        """Cores that the server has threads for: a single thread runs on one, however many it was given."""
        return 0 if self.usage is None else min(self.usage.cores, max(1, self.usage.threads))

    @property
    def server_cores(self) -> CoreLoad | None:
        """How busy the server's cores were, by whoever."""
        return (self.cores or {}).get("server")

    @property
    def saturated(self) -> bool:
        """Whether the server used all the CPU it can: 90 % of it, or nearly that, with its cores never idle but for interrupts."""
        if self.usage is None:
            return False
        own, load = self.server_cpu_share / self.usable_cores, self.server_cores
        if own >= BUSY or self.fullest_server is not None:
            return True
        full = load is not None and load.busy >= 1 - IDLE
        return full and own >= BUSY - OTHERS

    @property
    def fullest_server(self) -> str | None:
        """Of several servers, the busiest one that used up the CPU it can have; None where none did."""
        shares = {
            name: readings.cpu_share(one) / min(one.cores, max(1, one.threads)) for name, one in self.each.items()
        }
        name = max(shares, key=shares.__getitem__, default=None)
        return name if name is not None and shares[name] >= BUSY else None

    @property
    def throttled(self) -> bool:
        """Whether a CPU quota held the server back."""
        usage = self.usage
        return usage is not None and (usage.throttled_s or 0.0) > THROTTLED * usage.interval_s

    @property
    def crowded(self) -> bool:
        """Whether the server needed all of its cores, which were full, and did not get them: what it ran and stood ready to run."""
        load, usage = self.server_cores, self.usage
        if load is None or usage is None or self.saturated or load.busy + load.stolen < BUSY:
            return False
        waited = usage.run_delay_share
        return waited is None or readings.cpu_utilisation(usage) + waited >= BUSY

    @property
    def held_back(self) -> bool:
        """Whether the server had no CPU left, for whatever reason."""
        return self.saturated or self.throttled or self.crowded

    @property
    def network(self) -> NetworkUse | None:
        """What happened in the server's network namespace; of several servers, in those of all."""
        return None if self.usage is None else self.usage.network

    @property
    def holds(self) -> bool:
        """Whether connections are held, most of them idle: a thin stream does not ask each of them in the window."""
        return self.trial.load.kind == "hold"

    @property
    def client_busy(self) -> float:
        """How much of a core the client needed: of its busiest process, what it ran and what it stood ready to run.

        Where the waiting is not known, and its processes have all of its cores, it may have been all that these were busy.
        """
        client, load = self.client, (self.cores or {}).get("client")
        delays = [process.run_delay_s for process in client.processes]
        known = [delay_s for delay_s in delays if delay_s is not None]
        if delays and len(known) == len(delays):
            needs = (
                process.cpu_user_s + process.cpu_system_s + waited_s
                for process, waited_s in zip(client.processes, known, strict=True)
            )
            return min(1.0, max(needs) / readings.window_s(client))  # a wait may have begun before the window
        own = readings.client_utilisation(client)
        # More cores than processes: each is one thread on any of them, and only its own CPU tells.
        within = load is not None and len(load.cpus) <= max(1, len(client.processes))
        return max(own, load.busy + load.stolen) if load is not None and within else own

    @property
    def cycles(self) -> float:
        """Answers per connection that the measured rate gives within the window."""
        return self.client.completed_in_window / self.trial.load.connections

    def send_lag_us(self, percent: float) -> float | None:
        """A percentile of the send lag; None in a closed loop without pauses, and where there are too few requests."""
        if not self.scheduled:
            return None
        lag_ns = percentile(self.client.histograms.get("send_lag", {}), percent)
        return None if lag_ns is None else lag_ns / 1e3

    @property
    def scheduled(self) -> bool:
        """Whether requests have an intended time of their own: by a schedule, or after a think time."""
        load = self.trial.load
        return load.kind != "closed" or load.think.s > 0

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
    def never_answered(self) -> int:
        """Held connections that never got an answer, those that came in the window apart."""
        growth = self.client.growth
        newcomers = 0 if growth is None else growth.begun - growth.served
        return max(0, self.client.first_byte_missing - newcomers) if self.holds else 0

    @property
    def unserved(self) -> int:
        """Connections that waited in vain."""
        return self.client.connections_starved + self.never_answered

    @property
    def rhythm_s(self) -> float:
        """Period of a load that goes in step: the mean response time, and think times where they are all the same."""
        client, load = self.client, self.trial.load
        answered = client.completed_in_window
        in_step_s = load.think.s if load.thinking == "constant" else 0.0
        return in_step_s + (client.residence_s / answered if answered else 0.0)

    @property
    def in_flight(self) -> float:
        """Requests under way on average, those of starved connections among them."""
        client = self.client
        return (client.in_flight_integral_s + client.in_flight_starved_integral_s) / readings.window_s(client)

    @property
    def fault_missed(self) -> str | None:
        """Why the window does not show a fault that was asked for; None where it does, or none was asked for."""
        of_schedule = (self._missed(fault) for fault in self.faults)
        return next((missed for missed in (self._handler_fault_missed, *of_schedule) if missed is not None), None)

    @property
    def _handler_fault_missed(self) -> str | None:
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

    def _missed(self, fault: TimedFaultReport) -> str | None:
        """Why the window does not show a fault of the schedule; None where it does."""
        which = f"the {fault.do} of server {fault.server}"
        if fault.began_ns is None:
            return f"{which} was not begun"
        if fault.outcome != "done":
            return f"{which} could not be done ({fault.detail})"
        late_s = ((fault.done_ns or fault.began_ns) - self.client.window_end_ns) / 1e9
        return f"{which} was done {late_s:.1f} s after the window" if late_s > 0 else None

    @property
    def fault_asked(self) -> str | None:
        """What the trial breaks on purpose; None where nothing."""
        if self.trial.handler.fault != "none":
            return self.trial.handler.fault
        return ", ".join(dict.fromkeys(fault.do for fault in self.trial.faults)) or None

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
