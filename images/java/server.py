"""The server in Java, begun: what config.json says becomes system properties of a JVM, which takes this process's place.

What the options mean is in model.yaml; what serves is in src/ceiling, from Main.java on.
"""

import os
import sys
from pathlib import Path
from typing import Final, NoReturn

from common.config import ConfigError, ServerConfig, read_config

_EXIT_BAD_INPUT: Final = 2
_CLASSES: Final = (
    "/srv/java/classes",
    *(f"/usr/share/java/netty-{part}.jar" for part in ("common", "buffer", "resolver", "transport")),
    "/usr/share/java/jctools-core.jar",
)
_STACK_BYTES: Final = 256 << 10  # of a thread, as in the models in Python; they are addresses until they are touched


def main() -> None:
    """Become the JVM, or exit with one line that says why not."""
    if len(sys.argv) != 2:
        _exit(f"usage: {sys.argv[0]} DIR, the folder of config.json")
    folder = Path(sys.argv[1])
    try:
        arguments = command(read_config(folder), folder / "out")
    except ConfigError as error:
        _exit(str(error))
    os.execvp(arguments[0], arguments)  # noqa: S606 - no shell: the JVM takes this process's place


def command(config: ServerConfig, out: Path) -> list[str]:
    """The program and its arguments.

    Args:
        config: what the server is told.
        out: the folder that takes its report.

    Raises:
        ConfigError: it asks for what this server cannot do.
    """
    handler = config.handler
    if handler.cpu_iterations or handler.log != "off" or handler.backend is not None or handler.fault != "none":
        raise ConfigError("config.json: handler asks for what this server does not do; see `does` of its model.yaml")
    told = {
        "model": config.model,
        "host": config.host,
        "port": config.port,
        "backlog": config.backlog,
        "kind": handler.kind,
        "body_bytes": handler.body_bytes,
        "out": out,
        "io": "bio-pool",  # where no option says otherwise: the folder java-pool
        **{name: value for name, value in config.options.items() if name != "heap"},
    }
    heap_bytes = config.options["heap"]
    return [
        "java",
        f"-Xss{_STACK_BYTES}",
        *((f"-Xms{heap_bytes}", f"-Xmx{heap_bytes}") if heap_bytes else ()),
        # Without it an IPv4 address is listened on by a socket of IPv6.
        *(() if ":" in config.host else ("-Djava.net.preferIPv4Stack=true",)),
        "-cp",
        ":".join(_CLASSES),
        *(f"-Dceiling.{name}={value}" for name, value in told.items()),
        "ceiling.Main",
    ]


def _exit(why: str) -> NoReturn:
    sys.stderr.write(why + "\n")
    sys.exit(_EXIT_BAD_INPUT)


if __name__ == "__main__":
    main()
