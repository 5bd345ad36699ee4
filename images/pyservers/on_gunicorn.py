"""gunicorn, kept to the contract (common/keeper.py): `on_gunicorn.py DIR`."""

from pathlib import Path

from common.config import ServerConfig
from common.keeper import Program, keep
from pyservers import told
from pyservers.kept import kept


def make(config: ServerConfig, own: Path, out: Path) -> Program:
    """What is run, and how it is asked: `kept` says how, and what may be wrong."""
    return kept(config, own, out, command(config))


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
