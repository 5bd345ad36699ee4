"""From the command line's words to a complete trial, checked like that of a spec."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from harness.errors import SpecError
from harness.spec.experiment import Record, Trial
from harness.spec.explain import as_options
from harness.spec.foreign import RunningServer
from harness.spec.rules import contradictions
from harness.spec.traffic import Load, Request, Slo
from harness.spec.words import limits_of

_OPTION = re.compile(r"^--(url|path|headers|mix|rates|sources|p[0-9_]+|errors)\b[0-9.a-z]*")
_CALLED = {"url": "URL", "path": "URL", "headers": "--header", "rates": "--rate", "sources": "--source"}
_KEY = re.compile(r"`(?:load|request)\.([a-z_]+)`")
_KIND = re.compile(r"`load\.kind: ([a-z]+)`(?: or `([a-z]+)`)?")
_AS_OPTION = {"closed": "no `--rate`", "open": "`--rate`", "hold": "`--hold`", "capacity": "`--capacity`"}
_MIXED = re.compile(r"\s*(?P<weight>[0-9.]+)\s+(?P<method>[A-Za-z]+)\s+(?P<path>\S+)(?:\s+(?P<body>.+?))?\s*")


def trial_of(
    url: str,
    *,
    method: str,
    body: str,
    headers: Sequence[str],
    mix: Sequence[str],
    rate: str | None,
    slo: str | None,
    ca: str | None,
    insecure: bool,
    clients: int,
    **load: object,
) -> Trial:
    """The load that the command line's words ask for.

    Args:
        url: of the server, with path and query.
        method: of the request.
        body: its size.
        headers: `K: V`, as curl takes them.
        mix: kinds of request instead, each `WEIGHT METHOD PATH [BODY]`.
        rate: one rate, or several with commas between them.
        slo: `p99<50ms,errors<0.1%`.
        ca: PEM file of the certificates to trust.
        insecure: take any certificate.
        clients: client processes.
        load: further keys of a spec's `load`.

    Raises:
        SpecError: a word is wrong; every problem, a line each.
    """
    problems: list[str] = []
    origin, path = _apart(url)
    rates = [word.strip() for word in rate.split(",")] if rate else []
    offered: dict[str, object] = {"rates": rates} if len(rates) > 1 else {"rate": rates[0] if rates else None}
    asked: dict[str, tuple[type[Record], dict[str, object]]] = {
        "load": (Load, {**load, **offered}),
        "request": (
            Request,
            {
                "method": method,
                "path": path,
                "body": body,
                "headers": _headers(headers, problems),
                "mix": _mix(mix, problems),
            },
        ),
        "model": (RunningServer, {"url": origin, "ca": ca, "insecure": insecure}),
        "slo": (Slo, limits_of(slo, problems)),
    }
    parts: dict[str, Record] = {}
    for part, (kind, words) in asked.items():
        try:
            parts[part] = kind.model_validate(words)
        except ValidationError as error:
            problems += as_options(error.errors(), kind)
    if problems:
        raise SpecError([_OPTION.sub(_called, problem) for problem in problems])
    trial = Trial.model_validate({**parts, "clients": clients})
    excluding = [f"{found.what}; {found.fix}" for found in contradictions(trial, ())]
    if excluding:
        raise SpecError([_KIND.sub(_kind_as_option, _KEY.sub(r"`--\1`", problem)) for problem in excluding])
    return trial


def _called(found: re.Match[str]) -> str:
    """The option that a key of a spec is written as here."""
    return _CALLED.get(found[1], "--mix" if found[1] == "mix" else "--slo")


def _kind_as_option(found: re.Match[str]) -> str:
    return " or ".join(_AS_OPTION[kind] for kind in found.groups() if kind)


def _apart(url: str) -> tuple[str, str]:
    """The server that a URL names, and what it asks for there; a URL that is none stays whole, to be refused."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url, "/"
    return f"{parts.scheme}://{parts.netloc}", (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _headers(words: Sequence[str], problems: list[str]) -> dict[str, str]:
    """`K: V`, as curl takes them."""
    headers = {}
    for word in words:
        name, colon, value = word.partition(":")
        if not colon:
            problems.append(f"--header {word[:60]!r}: there is no colon in it; write 'NAME: VALUE'")
        else:
            headers[name] = value.strip()
    return headers


def _mix(words: Sequence[str], problems: list[str]) -> list[Mapping[str, Any]]:
    """`WEIGHT METHOD PATH [BODY]`, each."""
    kinds: list[Mapping[str, Any]] = []
    for word in words:
        found = _MIXED.fullmatch(word)
        try:
            weight = float(found["weight"]) if found else None
        except ValueError:
            weight = None
        if found is None or weight is None:
            problems.append(f"--mix {word[:60]!r}: not a kind of request; write 'WEIGHT METHOD PATH [BODY]'")
            continue
        body = {"body": found["body"]} if found["body"] else {}
        kinds.append({"weight": weight, "method": found["method"].upper(), "path": found["path"], **body})
    return kinds
