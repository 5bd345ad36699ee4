"""The WSGI application that gunicorn serves: the handler of the models, as far as `does` goes."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from common.work import work
from pyservers import told
from pyservers.tally import Tally

_handler = told.handler()
_tally = Tally(Path(os.environ[told.COUNTS]))  # gunicorn loads this in each worker
_body = b"x" * _handler.body_bytes


def application(
    environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], Any]
) -> Iterable[bytes]:
    """Answer a request."""
    if _handler.cpu_iterations:
        work(_handler.cpu_iterations)
    body = environ["wsgi.input"].read() if _handler.kind == "echo" else _body
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(body)))])
    _tally.add()
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
