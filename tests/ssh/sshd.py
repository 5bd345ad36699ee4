"""A real SSH server of our own on the loopback address: its own port, host key, configuration and client key."""

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from paramiko import PKey

from harness.hosts.ssh import SshConnection
from harness.spec.inventory import InventoryHost

LOOPBACK = "127.0.0.1"


@dataclass
class Sshd:
    """One that runs."""

    folder: Path
    port: int
    client_key: Path
    process: "subprocess.Popen[bytes]"

    @property
    def host_key(self) -> PKey:
        return PKey.from_path(self.folder / "host_key")

    @property
    def known_line(self) -> str:
        return f"[{LOOPBACK}]:{self.port} {self.host_key.get_name()} {self.host_key.get_base64()}\n"

    def host(self, **changes: object) -> InventoryHost:
        fields = {"address": LOOPBACK, "port": self.port, "user": "root", "key": str(self.client_key)}
        return InventoryHost.model_validate({**fields, **changes})

    def connection(self, folder: Path, name: str = "one", **changes: object) -> SshConnection:
        """To this server, with its host key known."""
        known = folder / "known_hosts"
        if self.known_line not in (known.read_text() if known.exists() else ""):
            with known.open("a") as file:
                file.write(self.known_line)
        return SshConnection(name, self.host(**changes), folder, known)

    def end_sessions(self) -> int:
        """Kill what serves the connections there are; the server itself goes on."""
        sessions = psutil.Process(self.process.pid).children(recursive=True)
        for session in sessions:
            with contextlib.suppress(psutil.NoSuchProcess):
                session.kill()
        return len(sessions)

    def freeze_sessions(self) -> None:
        """What serves the connections there are; new ones are taken."""
        for session in psutil.Process(self.process.pid).children(recursive=True):
            session.suspend()

    def freeze(self) -> None:
        for process in self._processes():
            process.suspend()

    def thaw(self) -> None:
        for process in self._processes():
            process.resume()

    def _processes(self) -> list[psutil.Process]:
        server = psutil.Process(self.process.pid)
        return [server, *server.children(recursive=True)]


def free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as taken:
        return int(taken.getsockname()[1])


def make_key(path: Path, passphrase: str = "") -> Path:
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", path.name, "-f", str(path)]
    subprocess.run(argv, check=True, timeout=30)
    return path


@contextmanager
def running_sshd(folder: Path, *, more: Mapping[str, str] | None = None, port: int | None = None) -> Iterator[Sshd]:
    """A server with a new host key and a new client key that may log in; gone in the end."""
    program = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    assert program is not None, "there is no sshd; run as root: apt-get install openssh-server"
    Path("/run/sshd").mkdir(exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port() if port is None else port
    client_key = make_key(folder / "client_key")
    make_key(folder / "host_key")
    settings = {
        "Port": str(port),
        "ListenAddress": LOOPBACK,
        "HostKey": str(folder / "host_key"),
        "AuthorizedKeysFile": f"{client_key}.pub",
        "PidFile": "none",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
        "StrictModes": "no",
        "UsePAM": "no",
        "UseDNS": "no",
        "MaxStartups": "100:30:200",
        **(more or {}),
    }
    config = folder / "sshd_config"
    config.write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
    with (folder / "log").open("wb") as log:
        argv = [program, "-D", "-e", "-f", str(config)]
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=log, start_new_session=True) as process:
            server = Sshd(folder, port, client_key, process)
            try:
                _await_port(server)
                yield server
            finally:
                with contextlib.suppress(psutil.NoSuchProcess):
                    server.thaw()
                    server.end_sessions()
                process.send_signal(signal.SIGTERM)
                process.wait(10)


def _await_port(server: Sshd) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        assert server.process.poll() is None, (server.folder / "log").read_text()
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, server.port), 1):
            return
        time.sleep(0.02)
    raise AssertionError((server.folder / "log").read_text())
