"""What a host still lacks, as steps. Pure: the same state gives the same plan."""

from collections.abc import Iterator

from harness.errors import HostError
from harness.hosts.prepare.engine import engine_notes, engine_steps
from harness.hosts.prepare.look import HostState, Sysctl
from harness.hosts.prepare.packages import has_cli_package, install_step
from harness.hosts.prepare.record import FileChange, GroupChange, SysctlChange
from harness.hosts.prepare.steps import Command, Plan, Step, set_sysctl, write_file
from harness.hosts.prepare.targets import HEADER, LIMITS_FILE, OPEN_FILES, SYSCTL_FILE, SYSCTLS, UNIT_FILES, Target

GROUP = "docker"
_LIMITS = f"{HEADER}# `*` does not stand for root.\n* hard nofile {OPEN_FILES}\nroot hard nofile {OPEN_FILES}\n"
_UNIT = f"{HEADER}[Service]\nLimitNOFILE={OPEN_FILES}\n"


def plan_for(host: HostState) -> Plan:
    """Everything that is to be done to a host, in its order; nothing where it is ready.

    Raises:
        HostError: it is no Debian and no Ubuntu, or its engine is there and does not answer.
    """
    _refuse(host)
    steps = [*_sysctls(host), *_limits(host), *_units(host), *install_step(host), *engine_steps(host), *_group(host)]
    return Plan(tuple(steps), (*_sysctl_notes(host), *_limit_notes(host), *engine_notes(host)))


def _refuse(host: HostState) -> None:
    family = {host.os.get("ID", ""), *host.os.get("ID_LIKE", "").split()}
    if not family & {"debian", "ubuntu"} or "apt-get" not in host.commands:
        system = host.os.get("PRETTY_NAME") or host.os.get("ID") or "an unknown system"
        raise HostError(
            f"{host.name}: {system} is neither Debian nor Ubuntu, and `prepare` knows no other;"
            " install python3 and Docker (20.10 or newer) by hand, then look with `harness hosts check`"
        )
    if host.engine is None and "dockerd" in host.limits:
        if "docker" in host.commands:
            says, remedy = "does not answer `docker version`", "mend it (`journalctl -u docker`)"
        elif not has_cli_package(host):
            says, remedy = "the command `docker` is missing", "install it from where the engine came"
        else:
            return
        raise HostError(f"{host.name}: a Docker engine runs, but {says}; {remedy}, then prepare again")


def write_step(host: HostState, path: str, content: str, why: str, *further: Command) -> Iterator[Step]:
    """A file that is to hold this; nothing where it does."""
    before = host.files.get(path)
    if before != content:
        undo = f"remove {path}" if before is None else f"write back what {path} held"
        change = FileChange(path=path, before=before, after=content)
        yield Step(f"write {path}", why, (write_file(path, content), *further), undo, change, content)


def _wanted(host: HostState) -> Iterator[tuple[str, Target, Sysctl, str]]:
    """The settings that may be changed here, and what each should be."""
    for name, target in SYSCTLS.items():
        found = host.sysctls.get(name)
        if found is not None and found.writable and (target.own or not host.container):
            yield name, target, found, " ".join(map(str, target.raised(found.value)))


def _sysctls(host: HostState) -> Iterator[Step]:
    kept = dict(_kept(host))
    for name, target, found, value in _wanted(host):
        if value != found.text:
            kept[name] = value
            change = SysctlChange(name=name, before=found.text, after=value)
            yield Step(
                f"set {name} to {value} (it is {found.text})",
                target.why,
                (set_sysctl(name, value),),
                f"set it to {found.text}",
                change,
            )
    if kept:
        content = HEADER + "".join(f"{name} = {kept[name]}\n" for name in SYSCTLS if name in kept)
        yield from write_step(host, SYSCTL_FILE, content, "the same settings after a reboot")


def _kept(host: HostState) -> Iterator[tuple[str, str]]:
    """What was raised before: it is no longer low, and must stay in the drop-in, or come into it after a break."""
    for line in host.files.get(SYSCTL_FILE, "").splitlines():
        name, equals, value = line.partition("=")
        if equals and name.strip() in SYSCTLS:
            yield name.strip(), value.strip()
    for change in host.prepared.changes:
        if isinstance(change, SysctlChange):
            yield change.name, change.after


def _sysctl_notes(host: HostState) -> Iterator[str]:
    for name, target in SYSCTLS.items():
        found = host.sysctls.get(name)
        if found is None or target.raised(found.value) == found.value:
            continue
        wanted = " ".join(map(str, target.raised(found.value)))
        if host.container and not target.own:
            yield f"{name} is {found.text}, {wanted} would be better; the host is a container and shares it with its own host: left alone"
        elif not found.writable:
            yield f"{name} is {found.text}, {wanted} would be better; the kernel does not let it be changed here: left alone"


def _limits(host: HostState) -> Iterator[Step]:
    """A login whose limit cannot be set is refused, so that root may raise it is tried before the file is written."""
    limit = host.limits.get("session")
    low = limit is not None and limit < OPEN_FILES
    if host.raises_open_files and (low or LIMITS_FILE in host.files):
        yield from write_step(host, LIMITS_FILE, _LIMITS, "open files of local processes, from the next login on")


def _limit_notes(host: HostState) -> Iterator[str]:
    limit = host.limits.get("session")
    if not host.raises_open_files and limit is not None and limit < OPEN_FILES:
        yield f"open files: the hard limit is {limit}, and root may not raise it here; runs that need more are refused"


def _units(host: HostState) -> Iterator[Step]:
    if host.init != "systemd" or not host.raises_open_files:
        return
    for unit, path in UNIT_FILES.items():
        limit = host.limits.get("dockerd" if unit == "docker" else unit, OPEN_FILES)
        low = unit in host.units and limit is not None and limit < OPEN_FILES
        if low or path in host.files or (unit == "docker" and "dockerd" not in host.commands and host.engine is None):
            reload = Command(("systemctl", "daemon-reload"))
            yield from write_step(host, path, _UNIT, "open files of containers that ask for no number", reload)


def _group(host: HostState) -> Iterator[Step]:
    """Root reaches the engine anyway. Who is in the group is root on that host: so is who may become root with sudo."""
    if host.user != "root" and GROUP not in host.groups:
        yield Step(
            f"make {host.user} a member of the group {GROUP}",
            "the engine's socket, without root; from the next login on",
            (Command(("usermod", "-aG", GROUP, host.user)),),
            f"gpasswd -d {host.user} {GROUP}",
            GroupChange(user=host.user, group=GROUP),
        )
