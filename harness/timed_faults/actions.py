"""What each kind of fault does, and how it is undone."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from harness.errors import HostError
from harness.faults import Injector, requests_answered
from harness.hosts.ask import went_well
from harness.spec.cluster import FaultAction, TimedFault
from harness.timed_faults import network
from harness.timed_faults.target import FaultTarget, asked, run_here
from harness.timed_faults.workers import signal_worker, thaw_worker

COMMAND_DEADLINE_S = 15.0
POWER_DEADLINE_S = 30.0
BOOT_DEADLINE_S = 120.0
ANSWER_DEADLINE_S = 10.0
AGAIN_S = 0.2


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Action:
    """One fault, ready to be done."""

    act: Callable[[], str]  # what the system said of it; raises HarnessError where it could not be done
    undo: Callable[[], None] | None = None  # none: what is done stays done
    undo_at_end: bool = True  # whether it is undone at the trial's end, too, where the spec gives it no time
    answered: Callable[[], int] = lambda: 0  # requests that the server has answered for it, as it counts them
    close: Callable[[], None] = _nothing


def action_for(fault: TimedFault, target: FaultTarget, timeout_s: float) -> Action:
    """Get ready for a fault.

    Args:
        fault: which.
        target: its server.
        timeout_s: how long the request that crashes its handler may take.

    Raises:
        MeasureError: a handler is to crash, and the server does not answer on the connection held for that.
    """
    if fault.do == "crash-handler":
        return _crash(target, timeout_s)
    if fault.do in ("delay", "loss"):
        return _impair(target, _netem_words(fault))
    service, power = target.service, target.power
    made: dict[FaultAction, Callable[[], Action]] = {
        "kill-worker": lambda: Action(lambda: f"process {signal_worker(target, 'KILL')}"),
        "freeze-worker": lambda: _freeze_worker(target),
        # At the trial's end nobody needs it any more.
        "kill-server": lambda: Action(_silent(service.kill), service.start_again, undo_at_end=False),
        "freeze-server": lambda: Action(_silent(service.freeze), service.thaw),
        "kill-host": lambda: Action(_silent(_powered(target, power.kill)), lambda: _start_host(target)),
        "freeze-host": lambda: Action(_silent(_powered(target, power.freeze)), _powered(target, power.thaw)),
        "partition": lambda: _partition(target),
    }
    return made[fault.do]()


def _netem_words(fault: TimedFault) -> str:
    if fault.delay is not None:
        return network.delay_words(fault.delay.ns)
    assert fault.share is not None  # noqa: S101 - by a rule of the spec it has one or the other
    return network.loss_words(fault.share)


def _silent(do: Callable[[], None]) -> Callable[[], str]:
    """Something of which the system says nothing when it is done."""

    def act() -> str:
        do()
        return ""

    return act


def _crash(target: FaultTarget, timeout_s: float) -> Action:
    """A request on a connection that is held from before the load, so that it has a worker (harness/faults.py)."""
    injector = Injector("crash", target.url, timeout_s, target.dial)
    answered = [1]  # the first request, which has proved that there is somebody

    def act() -> str:
        injector.arm(time.monotonic_ns())
        report = injector.report()
        answered[0] = requests_answered(report)
        if report.outcome in ("closed", "reset"):
            return report.detail
        raise HostError(f"{target.host}: the request that crashes a handler: {report.outcome} ({report.detail})")

    return Action(act, answered=lambda: answered[0], close=injector.close)


def _freeze_worker(target: FaultTarget) -> Action:
    frozen: list[int] = []

    def act() -> str:
        frozen.append(signal_worker(target, "STOP"))
        return f"process {frozen[0]}"

    def undo() -> None:
        for pid in frozen:
            thaw_worker(target, pid)

    return Action(act, undo)


def _powered(target: FaultTarget, command: tuple[str, ...]) -> Callable[[], None]:
    """A command of the controller that acts on the whole host."""

    def run() -> None:
        went_well(target.host, command, run_here(command, timeout_s=POWER_DEADLINE_S))

    return run


def _start_host(target: FaultTarget) -> None:
    """Start it, and see that it answers."""
    _powered(target, target.power.start)()
    deadline_s = time.monotonic() + BOOT_DEADLINE_S
    while True:
        try:
            asked(target, ("true",), ANSWER_DEADLINE_S, as_root=False)
        except HostError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(AGAIN_S)
        else:
            return


def _partition(target: FaultTarget) -> Action:
    """Have the rules of each tool that knows some of the peers."""
    peers = network.by_family(target.peers)
    cut: list[str] = []

    def act() -> None:
        for tool in peers:
            cut.append(tool)
            asked(target, network.restore_command(tool), COMMAND_DEADLINE_S, network.cut(peers[tool]))

    def join(tool: str) -> None:
        asked(target, network.restore_command(tool), COMMAND_DEADLINE_S, network.joined(peers[tool]))
        cut.remove(tool)

    return Action(_silent(act), lambda: _each([partial(join, tool) for tool in cut]))


def _each(undone: Iterable[Callable[[], None]]) -> None:
    """Undo one after the other; one that fails keeps no other from being tried.

    Raises:
        HostError: some failed, each with its reason.
    """
    troubles = []
    for undo in undone:
        try:
            undo()
        except HostError as error:
            troubles.append(str(error))
    if troubles:
        raise HostError("; ".join(troubles))


def _impair(target: FaultTarget, how: str) -> Action:
    """Have netem on every interface by which the peers are reached."""
    touched: list[str] = []

    def act() -> str:
        for device, peers in devices(target).items():
            touched.append(device)
            asked(target, network.BATCH, COMMAND_DEADLINE_S, network.impaired(device, peers, how))
        return ", ".join(touched)

    def restore(device: str) -> None:
        asked(target, network.restored(device), COMMAND_DEADLINE_S)
        touched.remove(device)

    def undo() -> None:
        _each([partial(restore, device) for device in reversed(touched)])

    return Action(act, undo)


def devices(target: FaultTarget) -> dict[str, list[str]]:
    """Peers by the interface of the server's host by which they are reached.

    Raises:
        HostError: one of them is not reached at all, or the host could not be asked.
    """
    found: dict[str, list[str]] = {}
    for peer in target.peers:
        said = asked(target, ("ip", "-o", "route", "get", peer), COMMAND_DEADLINE_S)
        found.setdefault(network.device_of(said), []).append(peer)
    return found
