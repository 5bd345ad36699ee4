"""Kill, start, freeze or thaw a container: `python power.py kill NAME`. The power switch of a test host.

A program of its own, of the standard library only: it acts a few hundredths of a second after it is called, takes little of the CPUs that
are being measured, and needs no docker command.
"""

import http.client
import os
import socket
import sys

ACTIONS = {"kill": "kill", "start": "start", "freeze": "pause", "thaw": "unpause"}
DEADLINE_S = 20


class _Engine(http.client.HTTPConnection):
    """HTTP to the Docker engine's Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=DEADLINE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE_S)
        self.sock.connect(self._path)


def act(action: str, container: str) -> str | None:
    """Do it; return what went wrong."""
    path = (os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock").removeprefix("unix://")
    engine = _Engine(path)
    try:
        engine.request("POST", f"/containers/{container}/{ACTIONS[action]}")
        answer = engine.getresponse()
        said = answer.read().decode("utf-8", "replace").strip()
    except OSError as error:
        return f"the Docker engine at {path} does not answer: {error}"
    finally:
        engine.close()
    return None if answer.status in (204, 304) else said  # 304: it is started already


def main(arguments: list[str]) -> int:
    """Status 0: done; 1: the engine refused; 2: the call is wrong."""
    if len(arguments) != 2 or arguments[0] not in ACTIONS:
        sys.stderr.write(f"usage: power.py {'|'.join(ACTIONS)} CONTAINER\n")
        return 2
    wrong = act(*arguments)
    if wrong is not None:
        sys.stderr.write(f"{arguments[0]} {arguments[1]}: {wrong}\n")
    return 0 if wrong is None else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
