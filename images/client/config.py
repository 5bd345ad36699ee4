"""The client's configuration: `config.json`, checked as a whole before anything is opened."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeGuard

from client.errors import CannotRunError

_SET_BY_CLIENT = frozenset({"host", "content-length", "connection", "transfer-encoding", "expect", "upgrade"})
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_DAY_S = 86_400


@dataclass(frozen=True)
class Config:
    """What is to be done. Times in seconds; see docs/contract/README.md."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body_bytes: int = 0
    kind: Literal["closed", "open"] = "closed"
    connections: int = 1
    rate_per_s: float | None = None  # open loop only, to a thousandth
    lifetime: Literal["keep-alive", "per-request"] = "keep-alive"
    warmup_s: float = 1.0
    window_s: float = 5.0
    timeout_s: float = 5.0
    connect_rate_per_s: float = 5_000.0  # of the connect phase: staggered, a third of what one core can open
    expect_status: int | None = None  # None: any 2xx
    expect_body_bytes: int | None = None  # None: any length
    tls_authorities: str | None = None  # PEM; None: the system's
    tls_check: Literal["full", "chain", "none"] = "full"
    plateau_s: float = 0.0
    wait_for_start: bool = False
    wait_to_connect: bool = False

    @property
    def per_request(self) -> bool:
        """Whether every request opens a connection of its own."""
        return self.lifetime == "per-request"


def read(path: Path) -> Config:
    """Read and check a configuration.

    Raises:
        CannotRunError: it cannot be read, or says something that cannot be done; with every problem found.
    """
    try:
        raw = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CannotRunError(f"{path}: not readable as JSON: {error}") from error
    if not isinstance(raw, dict):
        raise CannotRunError(f"{path}: must be an object, is {type(raw).__name__}")
    found = problems(raw)
    if found:
        raise CannotRunError(f"{path}: " + "; ".join(found))
    return Config(**{key: value for key, value in raw.items() if key != "format"})


def problems(raw: Mapping[str, Any]) -> list[str]:
    """Everything that is wrong with a configuration, in words; empty when it can be run."""
    known = {each.name for each in fields(Config)} | {"format"}
    found = [f"unknown key `{key}`; known are {', '.join(sorted(known))}" for key in raw if key not in known]
    if raw.get("format") != 1:
        found.append(f"`format` must be 1, is {raw.get('format')!r}")
    if not isinstance(raw.get("url"), str):
        found.append("`url` must be a string")
    if not isinstance(raw.get("tls_authorities"), str | None):
        found.append("`tls_authorities` must be the text of a PEM file, or null")
    found += _number_problems(raw) + _expectation_problems(raw) + _choice_problems(raw) + _request_problems(raw)
    return found


def _number_problems(raw: Mapping[str, Any]) -> list[str]:
    found = []
    limits = {
        "connections": (int, 1, 1_000_000),
        "body_bytes": (int, 0, 1 << 30),
        "warmup_s": (float, 0, _DAY_S),
        "window_s": (float, 0.001, _DAY_S),
        "timeout_s": (float, 0.001, _DAY_S),
        "connect_rate_per_s": (float, 0.001, 10_000_000),
        "plateau_s": (float, 0, _DAY_S),
    }
    for key, (kind, low, high) in limits.items():
        value = raw.get(key, low)
        if not _is_number(value, kind) or not low <= value <= high:
            noun = "a whole number" if kind is int else "a number"
            found.append(f"`{key}` must be {noun} from {low} to {high}, is {value!r}")
    rate = raw.get("rate_per_s")
    if raw.get("kind", "closed") == "closed":
        if rate is not None:
            found.append("`rate_per_s` is for `kind: open`; a closed loop has no rate")
    elif not _is_number(rate, float) or not 0.001 <= rate <= 10_000_000:
        found.append(f"`rate_per_s` must be a number from 0.001 to 10000000, is {rate!r}")
    return found


def _expectation_problems(raw: Mapping[str, Any]) -> list[str]:
    limits = {"expect_status": (200, 999), "expect_body_bytes": (0, 1 << 36)}  # what a record has room for
    return [
        f"`{key}` must be a whole number from {low} to {high}, or null, is {raw[key]!r}"
        for key, (low, high) in limits.items()
        if raw.get(key) is not None and not (_is_number(raw[key], int) and low <= raw[key] <= high)
    ]


def _is_number(value: object, kind: type) -> TypeGuard[float]:
    """Whether it is a whole number, or any number where `kind` is float; truth values are none."""
    return isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)


def _choice_problems(raw: Mapping[str, Any]) -> list[str]:
    choices: dict[str, tuple[object, ...]] = {
        "kind": ("closed", "open"),
        "lifetime": ("keep-alive", "per-request"),
        "tls_check": ("full", "chain", "none"),
        "wait_for_start": (True, False),
        "wait_to_connect": (True, False),
    }
    return [
        f"`{key}` must be one of {', '.join(map(str, allowed))}, is {raw[key]!r}"
        for key, allowed in choices.items()
        if key in raw and not any(raw[key] is one or (isinstance(one, str) and raw[key] == one) for one in allowed)
    ]


def _request_problems(raw: Mapping[str, Any]) -> list[str]:
    found = []
    method, headers = raw.get("method", "GET"), raw.get("headers", {})
    if not isinstance(method, str) or not _TOKEN.fullmatch(method) or method == "CONNECT":
        found.append(f"`method` must be the name of a method, such as GET, is {method!r}")
    if not isinstance(headers, dict):
        return [*found, "`headers` must be an object of names and values"]
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            found.append(f"header name {name!r} is not a token")
        elif name.lower() in _SET_BY_CLIENT:
            found.append(f"header `{name}` is set by the client itself; leave it out")
        if not isinstance(value, str) or not value.isprintable() or not value.isascii():
            found.append(f"value of header `{name}` must be one line of printable ASCII")
    return found
