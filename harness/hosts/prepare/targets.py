"""What a prepared host has: settings of the kernel, limits and files. Only raised, never lowered."""

from dataclasses import dataclass

OPEN_FILES = 1_048_576
"""Hard limit of open files: the kernel's own bound of it (fs.nr_open) unless somebody raised that."""

SYSCTL_FILE = "/etc/sysctl.d/90-ceiling.conf"
LIMITS_FILE = "/etc/security/limits.d/90-ceiling.conf"
UNIT_FILES = {unit: f"/etc/systemd/system/{unit}.service.d/90-ceiling.conf" for unit in ("docker", "containerd")}
FILES = (SYSCTL_FILE, LIMITS_FILE, *UNIT_FILES.values())
HEADER = "# Written by `harness hosts prepare`; `harness hosts prepare --undo` takes it back.\n"


@dataclass(frozen=True)
class Target:
    """A setting of the kernel, and how far it has to reach."""

    least: int
    why: str
    own: bool  # each network namespace has its own: a container may set it without changing its host's

    def raised(self, value: tuple[int, ...]) -> tuple[int, ...]:
        """What it should be; the value itself where that reaches far enough."""
        return (max(value[0], self.least),)


@dataclass(frozen=True)
class PortRange(Target):
    """The range of ports of outgoing connections, widened at either end."""

    lowest: int = 0

    def raised(self, value: tuple[int, ...]) -> tuple[int, ...]:
        """The range that has both in it."""
        low, high = value
        return (min(low, self.lowest), max(high, self.least))


SYSCTLS: dict[str, Target] = {
    "net.core.somaxconn": Target(4096, "the longest listen queue that a server can ask for", own=True),
    "net.ipv4.tcp_max_syn_backlog": Target(4096, "handshakes under way to one port", own=True),
    # Most programs that listen do so below: a port of theirs must not be taken by an outgoing connection.
    "net.ipv4.ip_local_port_range": PortRange(
        65_000, "connections of one client address to one server port", own=True, lowest=16_384
    ),
    "net.core.netdev_max_backlog": Target(4096, "packets that wait for a CPU", own=False),
    "fs.file-max": Target(2_097_152, "open files of the whole host: a connection is one at either end", own=False),
    "fs.nr_open": Target(OPEN_FILES, "the most open files that a process may be allowed", own=False),
    "kernel.pid_max": Target(131_072, "a process or thread for each of many connections", own=False),
    "vm.max_map_count": Target(262_144, "two mappings for each thread of a process", own=False),
}
