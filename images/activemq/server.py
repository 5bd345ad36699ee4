"""ActiveMQ, kept to the contract: a broker of STOMP, counted by its MBeans (src/Counters.java)."""

import json
import signal
import socket
from pathlib import Path
from typing import Final

from activemq.settings import command, configuration
from common.config import ServerConfig
from common.keeper import Counts, Program, keep, refuse_handler

_DEADLINE_S: Final = 5.0
# Written when the image is built: the broker tells it only once it runs.
_VERSION: Final = Path("/srv/activemq/version")


def make(config: ServerConfig, own: Path, _out: Path) -> Program:
    """What is run, and how it is asked.

    Raises:
        ConfigError: it is told what it cannot do.
        OSError: it is not installed.
    """
    refuse_handler(config)
    text, asked = own / "activemq.xml", own / "counters"
    text.write_text(configuration(config, own / "data"))
    return Program(
        version=f"ActiveMQ {_VERSION.read_text().strip()}",
        command=command(config, text, asked),
        stop=signal.SIGTERM,
        counts=lambda: counts(asked),
    )


def counts(asked: Path) -> Counts:
    """The broker's own counters.

    Raises:
        OSError: it does not answer.
        ValueError: what it answers is no count: it is not up yet, or not any more.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_DEADLINE_S)
        connection.connect(str(asked))
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    told = json.loads(answer)
    return Counts(requests=told["requests"], connections=told["connections"])


if __name__ == "__main__":
    keep(make)
