"""nginx, as Debian builds it: its own processes, with a configuration made from `config.json`.

Each worker is an event loop over the connections that it has accepted. Who accepts a new one is the option `accept_mutex`
(the workers take turns), `reuseport` (the kernel chooses by a hash, each worker has a socket of its own), or neither
(all that sleep are woken, but with EPOLLEXCLUSIVE seldom more than one).

The counts are those of its status page, at a Unix socket that nobody else can reach. Our own looks at it are taken off.
"""

import subprocess
from pathlib import Path
from signal import SIGQUIT
from typing import Final

from common.config import ServerConfig
from common.keeper import Counts, Program, keep, refuse_handler, write_body
from common.status_page import ask
from nginx.settings import STATUS_PATH, Paths, configuration

_NGINX: Final = "/usr/sbin/nginx"
_LOOK_S: Final = 0.8  # a worker answers between two turns of its loop


class Status:
    """Looks at the status page, and how many there have been."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._looks = 0

    def counts(self) -> Counts:
        """Connections and requests of others.

        Raises:
            OSError: it does not answer.
            ValueError: what came is no status page.
        """
        self._looks += 1  # this one is in its own numbers
        lines = ask(self._socket, STATUS_PATH, _LOOK_S).splitlines()
        if len(lines) < 3 or lines[1] != "server accepts handled requests":
            raise ValueError("the status page has not its usual lines")
        _, handled, requests = map(int, lines[2].split())
        return Counts(requests - self._looks, handled - self._looks)


def make(config: ServerConfig, own: Path, out: Path) -> Program:
    """Write nginx's configuration, and say how it is run."""
    refuse_handler(config, log=True)
    write_body(config, own)
    paths = Paths(own, own / "body", own / "status", out.absolute() / "access.log")
    text = own / "nginx.conf"
    text.write_text(configuration(config, paths))
    version = subprocess.run([_NGINX, "-v"], capture_output=True, text=True, check=True).stderr.strip()
    return Program(
        version=version.removeprefix("nginx version: "),
        command=(_NGINX, "-e", "stderr", "-p", str(own), "-c", str(text)),
        stop=SIGQUIT,
        counts=Status(paths.status).counts,
    )


if __name__ == "__main__":
    keep(make)
