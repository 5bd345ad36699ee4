"""A service as small as the contract allows, that does the one thing its configuration asks for."""

import json
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn


def say(**event: object) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def wait(folder: Path, config: dict[str, Any]) -> NoReturn:
    def finish(number: int, frame: object) -> None:
        (folder / "out" / "exit.json").write_text('{"requests": 3}')
        sys.exit(config.get("status", 0))

    signal.signal(signal.SIGUSR1, lambda number, frame: say(event="mark"))
    signal.signal(signal.SIGTERM, finish)
    say(event="ready", config=config)
    while True:
        signal.pause()


def end(folder: Path, config: dict[str, Any]) -> NoReturn:
    sys.stderr.write("out of luck\n")
    sys.exit(config["status"])


def eat(folder: Path, config: dict[str, Any]) -> NoReturn:
    eaten = []
    while True:
        eaten.append(bytearray(b"x") * (1 << 20))


def crash(folder: Path, config: dict[str, Any]) -> None:
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    import ctypes

    ctypes.string_at(0)


def read_early(folder: Path, config: dict[str, Any]) -> None:
    say(event="ready")
    for name in config["names"]:
        while not (folder / name).exists():
            pass
        say(event="read", bytes=len((folder / name).read_bytes()))


def listen(folder: Path, config: dict[str, Any]) -> None:
    with socket.create_server(("0.0.0.0", config["port"])) as server:
        say(event="ready")
        connection, _ = server.accept()
        connection.sendall(b"hello")
        connection.close()


def limits(folder: Path, config: dict[str, Any]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    say(open_files=[soft, hard], cores=sorted(os.sched_getaffinity(0)), pid=os.getpid())


def look_at(folder: Path, config: dict[str, Any]) -> None:
    process = Path("/proc", str(config["pid"]))
    say(
        command=process.joinpath("comm").read_text().strip(),
        pss="Pss:" in process.joinpath("smaps_rollup").read_text(),
        cgroups=any(Path("/sys/fs/cgroup").rglob(f"*{config['container']}*/cgroup.procs")),
    )


def babble(folder: Path, config: dict[str, Any]) -> None:
    for number in range(config["lines"]):
        sys.stdout.write(f"{number} {'é' * 100}\n")


if __name__ == "__main__":
    here = Path(sys.argv[1])
    wanted = json.loads((here / "config.json").read_text())
    globals()[wanted["do"]](here, wanted)
