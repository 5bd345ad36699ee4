"""What a worker process is told: by the launcher, in its environment, since a server's own command line has no room for it."""

import os
from pathlib import Path
from typing import Final

from common.config import ConfigError, HandlerConfig, ServerConfig, read_config

FOLDER: Final = "CEILING_FOLDER"  # of config.json
COUNTS: Final = "CEILING_COUNTS"  # takes a file for each process


def tell(folder: Path, counts: Path) -> None:
    """Put it where every process that is started from now on finds it."""
    os.environ[FOLDER] = str(folder)
    os.environ[COUNTS] = str(counts)


def handler() -> HandlerConfig:
    """What is to be done with each request."""
    return read_config(Path(os.environ[FOLDER])).handler


def refuse_rest(config: ServerConfig) -> None:
    """See that nothing is asked for but a body, an echo and CPU work.

    Raises:
        ConfigError: something else is asked for.
    """
    handler = config.handler
    asked = (("log", handler.log != "off"), ("backend", handler.backend), ("fault", handler.fault != "none"))
    for key, is_asked in asked:
        if is_asked:
            raise ConfigError(f"{config.model}: handler.{key} is not what this application does")


def address(config: ServerConfig) -> str:
    """Its host and port, as in a URL."""
    return f"{f'[{config.host}]' if ':' in config.host else config.host}:{config.port}"
