"""Apache httpd, as Debian builds it: its own processes and threads, with a configuration made from `config.json`.

Who accepts, and what a connection holds, by `mpm`:
- `prefork`: each process accepts for itself and has one connection at a time, also while that lies idle between requests.
- `worker`: of each process one thread accepts, and each of the others has one connection at a time, idle or not.
- `event`: the same, but an idle connection goes back to the thread that accepts, and holds no worker.

How many processes there are changes with the load: the parent looks once a second, and makes 1, 2, 4, … 32 more where too
few are idle. So a wall is where answers cease once that has settled, not where the first one is late.

The counts are mod_status's. It counts every request that it has answered, our own looks at it and its own dummy requests
included, which are taken off; it counts no connections. A look at it takes a worker, and where all have a connection there
is none: such a mark knows nothing.
"""

import subprocess
from pathlib import Path
from signal import SIGWINCH
from typing import Final

from apache.settings import STATUS_PATH, Paths, checked, configuration
from common.config import ServerConfig
from common.keeper import Counts, Program, keep, refuse_handler, write_body
from common.status_page import ask

_HTTPD: Final = "/usr/sbin/apache2"
_LOOK_S: Final = 0.5  # a free worker answers within milliseconds
_COUNT: Final = "Total Accesses: "
_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class Status:
    """Looks at the status page, and how many there have been."""

    def __init__(self, host: str, port: int, dummies: Path) -> None:
        self._address = _ANYWHERE.get(host, host), port
        self._dummies = dummies
        self._looks = 0

    def counts(self) -> Counts:
        """Requests that came from others.

        Raises:
            OSError: no worker is free to answer.
            ValueError: what came is no status page.
        """
        earlier, self._looks = self._looks, self._looks + 1  # one in vain waits in the queue, and is answered, too
        page = ask(self._address, f"{STATUS_PATH}?auto", _LOOK_S)
        total = next((line for line in page.splitlines() if line.startswith(_COUNT)), None)
        if total is None:
            raise ValueError("the status page has no total")
        return Counts(int(total.removeprefix(_COUNT)) - earlier - self._dummies.read_bytes().count(b"\n"), None)


def make(config: ServerConfig, own: Path, out: Path) -> Program:  # noqa: ARG001 - it leaves nothing
    """Write httpd's configuration, and say how it is run."""
    refuse_handler(config)
    checked(config)
    paths = Paths(own, write_body(config, own), own / "dummies")
    text = own / "httpd.conf"
    text.write_text(configuration(config, paths))
    first_line = subprocess.run([_HTTPD, "-v"], capture_output=True, text=True, check=True).stdout.partition("\n")[0]
    status = Status(config.host, config.port, paths.dummies)
    return Program(
        version=first_line.removeprefix("Server version: "),
        command=(_HTTPD, "-f", str(text), "-DFOREGROUND"),
        stop=SIGWINCH,
        counts=status.counts,
    )


if __name__ == "__main__":
    keep(make)
