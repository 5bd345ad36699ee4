"""An engine that runs, now and after a reboot. Pure."""

from collections.abc import Iterator

from harness.hosts.prepare.look import HostState
from harness.hosts.prepare.record import EngineChange
from harness.hosts.prepare.steps import Command, Step
from harness.hosts.prepare.targets import OPEN_FILES

START_S = 120.0

_ANSWERS = "answers() { timeout 10 docker version > /dev/null 2>&1; }"
_AWAIT = "await() { n=0; until answers; do n=$((n + 1)); [ $n -lt $1 ] || return 1; sleep 0.25; done; }"
_LAST = "await 160 && exit 0; echo 'the engine does not answer after 40 s'; exit 1"
_AWAITED = f"{_ANSWERS}; {_AWAIT}; {_LAST}"

# Where no systemd is, the init script may fail, as in a container whose limits cannot be raised: then the daemon itself.
_BY_HAND = f"""{_ANSWERS}; {_AWAIT}
if command -v service > /dev/null && service docker start > /dev/null 2>&1 && await 40; then exit 0; fi
answers && exit 0
ulimit -n {OPEN_FILES} 2> /dev/null
setsid nohup dockerd < /dev/null >> /var/log/dockerd.log 2>&1 &
await 160 && exit 0
tail -n 1 /var/log/dockerd.log; exit 1"""


def engine_steps(host: HostState) -> Iterator[Step]:
    """Start and enable it; start it anew where its limits have just been raised and nothing runs in it."""
    if host.engine is None or host.units.get("docker") == "disabled":
        yield _start(host)
    elif (low := _low(host)) and not host.running:
        restart = Command(("systemctl", "restart", *low), START_S)
        why = "its limit of open files counts from its next start; no container runs"
        yield Step("start the engine again", why, (restart, _awaited()))


def engine_notes(host: HostState) -> Iterator[str]:
    """What is left to the host's owner."""
    if host.running and (low := _low(host)):
        yield (
            f"containers run ({host.running}), so the engine is not started again: its limit of open files counts from its"
            f" next start (`systemctl restart {' '.join(low)}`)"
        )


def _start(host: HostState) -> Step:
    if host.init == "systemd":
        commands: tuple[Command, ...] = (Command(("systemctl", "enable", "--now", "docker"), START_S), _awaited())
        what, undo = "start and enable the engine", "systemctl disable --now docker.socket docker"
    else:
        says = "service docker start, else dockerd; then wait until it answers"
        commands = (Command(("sh", "-c", _BY_HAND), START_S, says=says),)
        what, undo = "start the engine", "service docker stop"
    return Step(what, "services run in containers", commands, f"{undo} (told, not done)", EngineChange(stop=undo))


def _awaited() -> Command:
    return Command(("sh", "-c", _AWAITED), START_S, says="wait until the engine answers")


def _low(host: HostState) -> tuple[str, ...]:
    """Units of a running engine that have another limit than the one that is written for them."""
    if host.engine is None or host.init != "systemd" or not host.raises_open_files:
        return ()
    daemons = {"containerd": "containerd", "docker": "dockerd"}
    limits = {unit: host.limits.get(daemon) for unit, daemon in daemons.items() if unit in host.units}
    return tuple(unit for unit, limit in limits.items() if limit is not None and limit < OPEN_FILES)
