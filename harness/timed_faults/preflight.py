"""What cannot be broken on the hosts of a plan, told before anything runs."""

import shutil
from collections.abc import Iterable, Iterator, Sequence

from harness.errors import HostError
from harness.hosts.ask import NO_SUCH_COMMAND, last_line
from harness.hosts.connection import Done
from harness.spec.cluster import TimedFault
from harness.timed_faults import network
from harness.timed_faults.placing import OF_HOSTS
from harness.timed_faults.target import FaultHost
from harness.timed_faults.workers import CHILDREN_ARE_TOLD

DEADLINE_S = 15.0
_PACKAGES = {"iptables-restore": "iptables", "ip6tables-restore": "iptables", "tc": "iproute2", "unshare": "util-linux"}
_POWER = {"kill-host": ("kill", "start"), "freeze-host": ("freeze", "thaw")}


def preflight(asked: Iterable[tuple[TimedFault, FaultHost]]) -> None:
    """See that each fault can be done, and undone, on its host.

    Args:
        asked: every fault of the plan, with its server's host.

    Raises:
        HostError: some cannot; a line for each kind of fault and host, with what to do.
    """
    kinds = {(fault.do, host.host): (fault, host) for fault, host in asked}
    if troubles := [
        f"faults: {host.host}: `{fault.do}`: {why}" for fault, host in kinds.values() for why in _why_not(fault, host)
    ]:
        raise HostError("\n".join(troubles))


def _why_not(fault: TimedFault, host: FaultHost) -> Iterator[str]:
    """Why this cannot be done there; at most one line."""
    if fault.do in OF_HOSTS and host.here:
        yield "it would act on this machine itself; name other hosts in an inventory (HOSTS=…)"
        return
    try:
        found = _looked_for(fault, host)
    except HostError as error:
        found = str(error)
    if found is not None:
        yield found


def _looked_for(fault: TimedFault, host: FaultHost) -> str | None:
    match fault.do:
        case "kill-worker" | "freeze-worker":
            return _no_workers_found(host)
        case "kill-host" | "freeze-host":
            return _not_alone(host) or _no_power(fault, host)
        case "partition":
            return _nobody_to_cut_off(host) or _no_tables(host)
        case "delay" | "loss":
            return _nobody_to_cut_off(host) or _no_netem(host)
        case _:
            return None  # engine and server do it


def _no_workers_found(host: FaultHost) -> str | None:
    done = host.run(CHILDREN_ARE_TOLD, timeout_s=DEADLINE_S, as_root=host.as_root)
    if done.status == 0:
        return None
    return _not_root(done) or "its kernel does not tell a process's children (CONFIG_PROC_CHILDREN); use another kernel"


def _not_alone(host: FaultHost) -> str | None:
    if not host.also:
        return None
    return f"{' and '.join(host.also)} would go with it; give these a host of their own (`roles`)"


def _no_power(fault: TimedFault, host: FaultHost) -> str | None:
    for word in _POWER[fault.do]:
        command: tuple[str, ...] = getattr(host.power, word)
        if not command:
            return f"the inventory has no command for it; give `power: {{{word}: […]}}`"
        if shutil.which(command[0]) is None:
            return f"`power.{word}`: there is no command `{command[0]}` on this machine"
    return None


def _nobody_to_cut_off(host: FaultHost) -> str | None:
    """Packets between two services of one host never meet its network, and those of SSH must go on."""
    if not host.peers:
        return (
            "nobody on another host sends to the servers there; give balancer or clients a host of their own (`roles`)"
        )
    done = host.run(("sh", "-c", 'echo "$SSH_CONNECTION"'), timeout_s=DEADLINE_S)
    controller = next(iter(done.stdout.split()), "")
    if controller in host.peers:
        return f"the controller's own SSH comes from {controller}, one of those to be cut off, and could not undo it; let another host send"
    return None


def _no_tables(host: FaultHost) -> str | None:
    for tool, peers in network.by_family(host.peers).items():
        done = host.run(network.cutting_tried(tool), timeout_s=DEADLINE_S, stdin=network.cut(peers), as_root=True)
        if done.status != 0:
            return (
                _not_root(done)
                or _missing(done, f"{tool}-restore")
                or f"{tool} does not work there: {last_line(done.stderr)}"
            )
    return None


def _no_netem(host: FaultHost) -> str | None:
    for words in network.NETEM_TRIES:
        done = host.run(words, timeout_s=DEADLINE_S, as_root=True)
        if done.status != 0:
            return _not_root(done) or _missing(done, "tc") or _no_discipline(done, words)
    batch = network.impaired(network.TRIED, host.peers, network.delay_words(1))
    done = host.run(network.BATCH_TRIED, timeout_s=DEADLINE_S, stdin=batch, as_root=True)
    if done.status != 0:
        said = "; ".join(done.stderr.split("\n")).strip("; ")  # tc ends with the number of the line
        return f"its kernel does not choose packets by their address ({said}); `modprobe cls_u32`, or use a kernel that has it"
    return None


def _no_discipline(done: Done, words: Sequence[str]) -> str:
    discipline = "netem" if "netem" in words else "prio"
    return f"its kernel has no {discipline} ({last_line(done.stderr)}); `modprobe sch_{discipline}`, or use a kernel that has it"


def _missing(done: Done, tool: str) -> str | None:
    """`unshare` and sudo say it themselves, each in its own way."""
    absent = next(
        (name for name in (tool, "unshare") if f"{name}: " in f"{done.stderr}: " and _says_absent(done)), None
    )
    if absent is None:
        return None
    return f"there is no `{absent}` there; `apt-get install {_PACKAGES[absent]}`"


def _says_absent(done: Done) -> bool:
    said = done.stderr.lower()
    return done.status == NO_SUCH_COMMAND or "no such file" in said or "command not found" in said


def _not_root(done: Done) -> str | None:
    said = done.stderr.lower()
    if "sudo:" in said or "operation not permitted" in said or "you must be root" in said:
        return f"it takes root there ({last_line(done.stderr)}); let the user run `sudo -n`"
    return None
