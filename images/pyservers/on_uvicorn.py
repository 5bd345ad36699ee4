"""uvicorn, kept to the contract (common/keeper.py): `on_uvicorn.py DIR`."""

from pathlib import Path

from common.config import ServerConfig
from common.keeper import Program, keep
from pyservers.kept import kept


def make(config: ServerConfig, own: Path, out: Path) -> Program:
    """What is run, and how it is asked: `kept` says how, and what may be wrong."""
    return kept(config, own, out, command(config))


def command(config: ServerConfig) -> list[str]:
    """The program and its arguments."""
    said: dict[str, object] = {
        "host": config.host,
        "port": config.port,
        "backlog": config.backlog,
        "workers": config.options["workers"],
        "loop": config.options["loop"],
        "http": config.options["http"],
        "timeout-keep-alive": config.options["keep_alive"],
        "timeout-graceful-shutdown": 2,  # the contract allows 5 s for the whole end
        "log-level": "warning",
    }
    words = (word for name, value in said.items() for word in (f"--{name}", str(value)))
    return ["uvicorn", *words, "--no-access-log", "--lifespan", "off", "pyservers.asgi:application"]


if __name__ == "__main__":
    keep(make)
