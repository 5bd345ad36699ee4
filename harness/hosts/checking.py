"""Is a host there, and can it be measured on: what `harness hosts check` finds out, in few round trips a host."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from harness.errors import HostError
from harness.hosts.audit import Need, Wall, audit
from harness.hosts.clock import measure_clock
from harness.hosts.connection import ClockOffset, Connection, Done
from harness.hosts.remote import ARCHITECTURES, Engine, RemoteHost, read_host
from harness.spec.cpu_list import cpus
from harness.spec.inventory import InventoryHost

LEAST_FREE_BYTES = 2 * 10**9
"""For images: those of all models and the client, once."""

USUAL = Need(open_files=4_096, connections=4_000, backlog=4_096, tasks=2_000)
"""What experiments here ask for; before a run its own plan is held against the hosts."""

_STOPPED = re.compile(
    r"cannot connect|is the docker daemon running|failed to connect|connection refused|no such file", re.IGNORECASE
)


FurtherLook = Callable[[Callable[..., Done]], Sequence[str]]
"""A further look at a host, by commands run there (`Connection.run`): what makes it unusable. It may raise HostError."""


@dataclass(frozen=True)
class Checked:
    """What came of the check of one host."""

    name: str
    trouble: tuple[str, ...]  # what makes it unusable, a line each, the host's name in front
    walls: tuple[Wall, ...] = ()
    remote: RemoteHost | None = None  # none: it was not reached
    clock: ClockOffset | None = None

    @property
    def engine_version(self) -> str | None:
        """Of Docker; none: it does not answer."""
        engine = self.remote.engine if self.remote else None
        return engine.out.split(" ")[0] if engine is not None and engine.status == 0 else None


def check_hosts(
    connections: Mapping[str, Connection], hosts: Mapping[str, InventoryHost], look: FurtherLook = lambda _run: ()
) -> list[Checked]:
    """Check all hosts at the same time.

    Args:
        connections: by name.
        hosts: what the inventory says of each.
        look: a further one at each, of whoever knows more.
    """
    with ThreadPoolExecutor(max(1, len(connections))) as pool:
        found = list(pool.map(lambda name: check_host(connections[name], hosts[name], look), connections))
    return [*_twice(found)]


def check_host(connection: Connection, host: InventoryHost, look: FurtherLook = lambda _run: ()) -> Checked:
    """Check one host; whatever is wrong with it is in the answer."""
    try:
        remote = read_host(connection, engine=True)
        clock = measure_clock(connection)
        further = look(connection.run)
    except HostError as error:
        return Checked(connection.name, (str(error),))
    trouble = tuple(f"{connection.name}: {what}" for what in (*_trouble(remote, host), *further))
    return Checked(connection.name, trouble, tuple(audit(USUAL, remote.audit)), remote, clock)


def engine_trouble(engine: Engine) -> str | None:
    """Why Docker does not answer on a host, and what to do; None where it does."""
    last = next((line.strip() for line in reversed(engine.error.splitlines()) if line.strip()), "")
    if engine.status == 0:
        return None
    if engine.status == 127:
        return "Docker is not installed; run `harness hosts prepare` for this inventory"
    if engine.status == 124:
        return "Docker's engine does not answer; see its log there (`journalctl -u docker`)"
    if "permission denied" in engine.error.lower():
        return "the user may not use Docker's engine; add it to the group `docker` there, or log in as root"
    if _STOPPED.search(engine.error):
        return "Docker is installed and its engine is not running; start it there (`systemctl start docker`)"
    return f"`docker version` ended with status {engine.status}: {last[:200] or 'no word on why'}"


def _trouble(remote: RemoteHost, host: InventoryHost) -> Iterator[str]:
    if remote.architecture not in ARCHITECTURES.values():
        yield f"its architecture is {remote.architecture}; images are made for amd64 and arm64"
    if remote.engine is not None and (what := engine_trouble(remote.engine)):
        yield what
    free = remote.engine.free_bytes if remote.engine else None
    if free is not None and free < LEAST_FREE_BYTES:
        yield f"{free / 1e9:.1f} GB are free where Docker keeps its images, {LEAST_FREE_BYTES / 1e9:.0f} GB are needed; make room (`docker system df`)"
    absent = sorted(set(cpus(host.cores)) - set(remote.cpus)) if host.cores else []
    if absent:
        named = ", ".join(map(str, absent))
        yield f"`cores` names CPU {named}, and it has {len(remote.cpus)} to use ({', '.join(map(str, remote.cpus))})"


def _twice(found: list[Checked]) -> Iterator[Checked]:
    """A machine that is in the inventory under two names would share its cores with itself."""
    first: dict[str, str] = {}
    for one in found:
        if one.remote is not None and (other := first.setdefault(one.remote.boot_id, one.name)) != one.name:
            what = f"{one.name}: it is the same machine as {other}; list it once, with all its roles"
            yield Checked(one.name, (*one.trouble, what), one.walls, one.remote, one.clock)
        else:
            yield one
