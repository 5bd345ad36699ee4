"""`config.json` of a server, read and checked (docs/contract/README.md, "A server")."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

CONTRACT = 1
_SERVER_KEYS = frozenset({"contract", "model", "host", "port", "backlog", "options", "handler"})
_HANDLER_KEYS = frozenset({"kind", "body_bytes", "cpu_iterations", "log", "backend", "fault"})
_BACKEND_KEYS = frozenset({"host", "port", "timeout_s"})
_LARGEST_BODY_BYTES = 1 << 30
_KINDS: Mapping[str, Literal["body", "echo"]] = {"body": "body", "echo": "echo"}
_FAULTS: Mapping[str, Literal["none", "crash", "exit", "hang", "deadlock", "leak"]] = {
    "none": "none",
    "crash": "crash",
    "exit": "exit",
    "hang": "hang",
    "deadlock": "deadlock",
    "leak": "leak",
}
_LOGS: Mapping[str, Literal["off", "buffered", "flush"]] = {"off": "off", "buffered": "buffered", "flush": "flush"}
_Choice = TypeVar("_Choice")
_Checked = TypeVar("_Checked")


class ConfigError(Exception):
    """The configuration is missing or wrong: the file and what to do, in one line."""


class BackendAddress(NamedTuple):
    """The server behind the server."""

    host: str
    port: int
    timeout_s: float


class HandlerConfig(NamedTuple):
    """What is done with each request."""

    kind: Literal["body", "echo"]
    body_bytes: int
    cpu_iterations: int
    log: Literal["off", "buffered", "flush"]
    backend: BackendAddress | None = None
    fault: Literal["none", "crash", "exit", "hang", "deadlock", "leak"] = "none"


class ServerConfig(NamedTuple):
    """Everything a server is told."""

    model: str
    host: str
    port: int
    backlog: int
    options: Mapping[str, Any]
    handler: HandlerConfig


def read_config(folder: Path) -> ServerConfig:
    """Read and check `folder/config.json`.

    Raises:
        ConfigError: it is not there, not JSON, or not what the contract says.
    """
    return read_checked(folder / "config.json", _server)


def read_checked(path: Path, checked: Callable[[object], _Checked]) -> _Checked:
    """Read a configuration of any service.

    Args:
        path: its file.
        checked: makes of the file's content what it must be, or raises ConfigError.

    Raises:
        ConfigError: it is not there, not JSON, or not right; the file is in it.
    """
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; give the folder that holds config.json") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON: {error}") from None
    try:
        return checked(data)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def exactly(data: object, names: Sequence[str], number: int, reader: str) -> dict[str, Any]:
    """An object with a format's number and just these fields.

    Args:
        data: what the file holds.
        names: of the fields.
        number: of the format.
        reader: who reads it, for messages.

    Raises:
        ConfigError: it is something else.
    """
    keys = {"format", *names}
    if not isinstance(data, dict) or data.keys() != keys:
        raise ConfigError(f"it must be an object with exactly {', '.join(sorted(keys))}")
    if data["format"] != number:
        raise ConfigError(f"format {data['format']!r} is not known here; this {reader} reads {number}")
    return data


def _server(data: object) -> ServerConfig:
    fields = _mapping(data, "the configuration", _SERVER_KEYS)
    if fields["contract"] != CONTRACT or isinstance(fields["contract"], bool):
        raise ConfigError(f"contract {fields['contract']!r} is not spoken here; this server speaks {CONTRACT}")
    if not isinstance(fields["options"], dict):
        raise ConfigError("options must be an object of the model's options")
    return ServerConfig(
        model=_string(fields, "model"),
        host=_string(fields, "host"),
        port=integer(fields, "port", 1, 65_535),
        backlog=integer(fields, "backlog", 1, 1_000_000),
        options=fields["options"],
        handler=_handler(fields["handler"]),
    )


def _handler(data: object) -> HandlerConfig:
    fields = _mapping(data, "handler", _HANDLER_KEYS)
    return HandlerConfig(
        kind=_choice(fields, "kind", _KINDS),
        body_bytes=integer(fields, "body_bytes", 0, _LARGEST_BODY_BYTES, "handler."),
        cpu_iterations=integer(fields, "cpu_iterations", 0, 1 << 62, "handler."),
        log=_choice(fields, "log", _LOGS),
        backend=None if fields["backend"] is None else _backend(fields["backend"]),
        fault=_choice(fields, "fault", _FAULTS),
    )


def _backend(data: object) -> BackendAddress:
    fields = _mapping(data, "handler.backend", _BACKEND_KEYS)
    timeout_s = fields["timeout_s"]
    if not isinstance(timeout_s, int | float) or isinstance(timeout_s, bool) or not timeout_s > 0:
        raise ConfigError(f"handler.backend.timeout_s is {timeout_s!r}; it must be a number above 0")
    return BackendAddress(
        _string(fields, "host"), integer(fields, "port", 1, 65_535, "handler.backend."), float(timeout_s)
    )


def _mapping(data: object, name: str, keys: frozenset[str]) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ConfigError(f"{name} must be an object with {', '.join(sorted(keys))}")
    if missing := keys - data.keys():
        raise ConfigError(f"{name} lacks {', '.join(sorted(missing))}")
    if unknown := data.keys() - keys:
        raise ConfigError(f"{name} has unknown {', '.join(sorted(unknown))}; known are {', '.join(sorted(keys))}")
    return data


def _choice(fields: Mapping[str, Any], name: str, choices: Mapping[str, _Choice]) -> _Choice:
    value = fields[name]
    if not isinstance(value, str) or value not in choices:
        raise ConfigError(f"handler.{name} is {value!r}; it must be one of {', '.join(choices)}")
    return choices[value]


def _string(fields: Mapping[str, Any], name: str) -> str:
    value = fields[name]
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{name} is {value!r}; it must be a text")
    return value


def integer(fields: Mapping[str, Any], name: str, low: int, high: float, where: str = "") -> int:
    """A whole number from `low` to `high`.

    Raises:
        ConfigError: it is something else.
    """
    value = fields[name]
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ConfigError(f"{where}{name} is {value!r}; it must be a whole number from {low} to {high}")
    return value


def number(fields: Mapping[str, Any], name: str, low: float, high: float) -> float:
    """A number from `low` to `high`.

    Raises:
        ConfigError: it is something else.
    """
    value = fields[name]
    right = isinstance(value, int | float) and not isinstance(value, bool)
    if not right or not low <= value <= high:  # of what is no number (NaN) neither holds
        raise ConfigError(f"{name} is {value!r}; it must be a number from {low} to {high}")
    return float(value)
