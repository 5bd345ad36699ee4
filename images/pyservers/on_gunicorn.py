"""gunicorn, kept to the contract (common/keeper.py): `on_gunicorn.py DIR`."""

import signal
from importlib.metadata import version
from pathlib import Path

from common.config import ServerConfig
from common.keeper import Counts, Program, keep
from pyservers import told
from pyservers.tally import total


def make(config: ServerConfig, own: Path, out: Path) -> Program:
    """What is run, and how it is asked.

    Raises:
        ConfigError: it is told what it cannot do.
        OSError: its folder cannot be written.
    """
    told.refuse_rest(config)
    counts = own / "counts"
    counts.mkdir()
    told.tell(out.parent, counts)
    return Program(
        version=f"gunicorn {version('gunicorn')}",
        command=command(config),
        stop=signal.SIGTERM,
        counts=lambda: Counts(requests=total(counts), connections=None),
        outlived=True,
    )


def command(config: ServerConfig) -> list[str]:
    """The program and its arguments."""
    options = config.options
    said: dict[str, object] = {
        "bind": told.address(config),
        "backlog": config.backlog,
        "worker-class": options["worker"],
        "workers": options["workers"],
        "threads": options["threads"] if options["worker"] == "gthread" else 1,
        "worker-connections": options["worker_connections"],
        "keep-alive": options["keep_alive"],
        "graceful-timeout": 2,  # the contract allows 5 s for the whole end
        "log-level": "warning",
    }
    return ["gunicorn", *(word for name, value in said.items() for word in (f"--{name}", str(value))), "pyservers.wsgi"]


if __name__ == "__main__":
    keep(make)
