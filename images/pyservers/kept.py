"""What both servers of this folder have in common: how they are kept, but for their command line."""

import signal
from importlib.metadata import version
from pathlib import Path

from common.config import ServerConfig
from common.keeper import Counts, Program
from pyservers import told
from pyservers.tally import total


def kept(config: ServerConfig, own: Path, out: Path, command: list[str]) -> Program:
    """What is run, and how it is asked.

    Args:
        config: what the server is told.
        own: takes the counts.
        out: lies in the folder of config.json.
        command: the program, called as its package, and its arguments.

    Raises:
        ConfigError: it is told what it cannot do.
        OSError: its folder cannot be written.
    """
    told.refuse_rest(config)
    counts = own / "counts"
    counts.mkdir()
    told.tell(out.parent, counts)
    return Program(
        version=f"{command[0]} {version(command[0])}",
        command=command,
        stop=signal.SIGTERM,
        counts=lambda: Counts(requests=total(counts), connections=None),
        outlived=True,
    )
