"""What is wrong with a configuration, all of it at once."""

import re
from collections.abc import Iterable, Mapping, Set
from typing import Any, TypeGuard

_SET_BY_CLIENT = frozenset({"host", "content-length", "connection", "transfer-encoding", "expect", "upgrade"})
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HOST_AND_PORT = re.compile(r"(\[[0-9a-fA-F:.]+\]|[0-9A-Za-z.-]+):[0-9]{1,5}")
_DAY_S = 86_400

MOST_KINDS = 32
"""Of requests in a mix: what a record has room for."""

MOST_SLOTS = (1 << 20) - 2
"""Connections of one client: what a record has room for."""


def problems(raw: Mapping[str, Any], names: Iterable[str], kind_names: Iterable[str]) -> list[str]:
    """Everything that is wrong with a configuration, in words; empty when it can be run.

    Args:
        raw: as it was read.
        names: the keys that it may have, besides `format`.
        kind_names: the keys that each request of its mix may have.
    """
    known = {*names, "format"}
    found = [f"unknown key `{key}`; known are {', '.join(sorted(known))}" for key in raw if key not in known]
    if raw.get("format") != 1:
        found.append(f"`format` must be 1, is {raw.get('format')!r}")
    if not isinstance(raw.get("url"), str):
        found.append("`url` must be a string")
    if not isinstance(raw.get("tls_authorities"), str | None):
        found.append("`tls_authorities` must be the text of a PEM file, or null")
    found += (
        _number_problems(raw)
        + _lifetime_problems(raw)
        + _hold_problems(raw)
        + _mix_problems(raw, set(kind_names))
        + _expectation_problems(raw)
        + _choice_problems(raw)
        + _servers_problems(raw)
        + _request_problems(raw)
    )
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
        "think_s": (float, 0, _DAY_S),
        "processes": (int, 1, 256),
        "first_process": (int, 0, 65_535),
        "first_connection": (int, 0, 1 << 30),
        "seed": (int, 0, 1 << 63),
    }
    for key, (kind, low, high) in limits.items():
        value = raw.get(key, low)
        if not _is_number(value, kind) or not low <= value <= high:
            noun = "a whole number" if kind is int else "a number"
            found.append(f"`{key}` must be {noun} from {low} to {high}, is {value!r}")
    return found + _share_problems(raw) + _rate_problems(raw)


def _share_problems(raw: Mapping[str, Any]) -> list[str]:
    everyone, own, first = raw.get("all_processes"), raw.get("processes", 1), raw.get("first_process", 0)
    if everyone is None:
        return ["`first_process` goes with `all_processes`"] if first else []
    if not _is_number(everyone, int) or not 1 <= everyone <= 65_536:
        return [f"`all_processes` must be a whole number from 1 to 65536, or null, is {everyone!r}"]
    if not _is_number(own, int) or not _is_number(first, int):
        return []  # told elsewhere
    if first + own > everyone:
        return [f"`first_process` and `processes` come to {first + own}, beyond the {everyone} of `all_processes`"]
    if own < everyone and not raw.get("wait_for_start"):
        return [
            "several clients have their start in common: `all_processes` beyond `processes` goes with `wait_for_start`"
        ]
    return []


def _rate_problems(raw: Mapping[str, Any]) -> list[str]:
    kind, rate, growth = (raw.get(key) for key in ("kind", "rate_per_s", "growth_per_s"))
    kind, rates, found = kind or "closed", raw.get("rates_per_s", []), []
    if not isinstance(rates, list):
        return ["`rates_per_s` must be a list of numbers"]
    given = [("rate_per_s", rate)] if rate is not None else []
    given += [("rates_per_s", each) for each in rates] + ([("growth_per_s", growth)] if growth is not None else [])
    found += [
        f"`{key}` must be a number from 0.001 to 10000000, is {value!r}"
        for key, value in given
        if not _is_number(value, float) or not 0.001 <= value <= 10_000_000
    ]
    if kind == "closed" and (rate is not None or rates):
        found.append("`rate_per_s` is for `kind: open`; a closed loop has no rate")
    if kind in ("open", "hold") and (rate is None) == (not rates):
        found.append("an open loop needs either `rate_per_s` or `rates_per_s`")
    if kind != "open" and rates:
        found.append("`rates_per_s` is for `kind: open`")
    if kind != "hold" and growth is not None:
        found.append("`growth_per_s` is for `kind: hold`")
    if kind != "closed" and raw.get("think_s"):
        found.append("`think_s` is for `kind: closed`; an open loop has a schedule")
    return found


def _lifetime_problems(raw: Mapping[str, Any]) -> list[str]:
    lifetime = raw.get("lifetime", "keep-alive")
    if lifetime in ("keep-alive", "per-request") or (_is_number(lifetime, int) and lifetime >= 2):
        return []
    return [f"`lifetime` must be keep-alive, per-request or a number of requests from 2 on, is {lifetime!r}"]


def _hold_problems(raw: Mapping[str, Any]) -> list[str]:
    if raw.get("kind") != "hold":
        return []
    found = []
    if raw.get("lifetime", "keep-alive") != "keep-alive":
        found.append(f"`lifetime` must be keep-alive with `kind: hold`, is {raw['lifetime']!r}")
    numbers = [raw.get(key, unset) for key, unset in (("connections", 1), ("warmup_s", 1.0), ("window_s", 5.0))]
    growth = raw.get("growth_per_s") or 0.0
    if not all(_is_number(each, float) for each in (*numbers, growth)):
        return found  # told elsewhere
    held, warmup_s, window_s = numbers
    if held + growth * (warmup_s + window_s) > MOST_SLOTS:
        found.append(
            f"`connections` and what `growth_per_s` brings in warm-up and window come to more than {MOST_SLOTS}; lower one of them"
        )
    return found


def _mix_problems(raw: Mapping[str, Any], known: Set[str]) -> list[str]:
    mix, sources = raw.get("mix", []), raw.get("sources", [])
    if not isinstance(mix, list) or not all(isinstance(kind, dict) for kind in mix) or len(mix) > MOST_KINDS:
        return [f"`mix` must be a list of at most {MOST_KINDS} objects"]
    found = (
        []
        if isinstance(sources, list) and all(isinstance(one, str) for one in sources)
        else ["`sources` must be a list of addresses"]
    )
    for number, kind in enumerate(mix):
        told = [f"unknown key `{key}`; known are {', '.join(sorted(known))}" for key in kind if key not in known]
        weight, body, path = kind.get("weight", 1.0), kind.get("body_bytes", 0), kind.get("path", "/")
        if not _is_number(weight, float) or not 0 < weight <= 1e9:
            told.append(f"`weight` must be a number above 0, up to 1e9, is {weight!r}")
        if not _is_number(body, int) or not 0 <= body <= 1 << 30:
            told.append(f"`body_bytes` must be a whole number from 0 to {1 << 30}, is {body!r}")
        if not isinstance(path, str) or not path.startswith("/") or not _sendable(path):
            told.append("`path` begins with a slash and goes over the wire as it stands; percent-encode it")
        told += _expectation_problems(kind) + _request_problems(kind)
        found += [f"mix[{number}]: {problem}" for problem in told]
    return found


def _servers_problems(raw: Mapping[str, Any]) -> list[str]:
    servers = raw.get("servers", [])
    if isinstance(servers, list) and all(isinstance(one, str) and _HOST_AND_PORT.fullmatch(one) for one in servers):
        return []
    return [f"`servers` must be a list of addresses with ports, such as 10.0.0.1:8080 or [::1]:8080, is {servers!r}"]


def _sendable(path: str) -> bool:
    return path.isascii() and path.isprintable() and " " not in path


def _expectation_problems(raw: Mapping[str, Any]) -> list[str]:
    limits = {"expect_status": (200, 999), "expect_body_bytes": (0, 1 << 34)}  # what a record has room for
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
        "kind": ("closed", "open", "hold"),
        "shape": ("staircase", "ramp"),
        "arrivals": ("constant", "poisson"),
        "thinking": ("exponential", "constant"),
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
