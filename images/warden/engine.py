"""The few words of the Docker API that the warden needs, over the engine's Unix socket."""

import http.client
import json
import socket
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

DEADLINE_S = 30.0
GONE = (404, 409)  # removed, or being removed


class EngineError(Exception):
    """The engine refused, or does not answer."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=DEADLINE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE_S)
        self.sock.connect(self._path)


class Engine:
    """The engine whose socket is at a path."""

    def __init__(self, path: str) -> None:
        self._path = path

    def containers(self, labels: Sequence[str]) -> list[dict[str, Any]]:
        """All containers that carry all of these labels (`name`, or `name=value`), ended ones included.

        Raises:
            EngineError: the engine does not tell.
        """
        filters = quote(json.dumps({"label": list(labels)}))
        status, body = self._ask("GET", f"/containers/json?all=1&filters={filters}")
        if status != http.client.OK:
            raise EngineError(f"the engine does not list its containers: {status} {body.decode(errors='replace')}")
        found: list[dict[str, Any]] = json.loads(body)
        return found

    def remove(self, container: Mapping[str, Any]) -> None:
        """Kill and remove a container; one that is gone or going is fine.

        Raises:
            EngineError: the engine could not.
        """
        status, body = self._ask("DELETE", f"/containers/{container['Id']}?force=1&v=1")
        if status >= 400 and status not in GONE:
            raise EngineError(f"{container['Names']} is not removed: {status} {body.decode(errors='replace')}")

    def _ask(self, method: str, path: str) -> tuple[int, bytes]:
        connection = _Connection(self._path)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise EngineError(f"the engine does not answer: {error}") from None
        finally:
            connection.close()
