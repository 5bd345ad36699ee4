"""The ASGI application that uvicorn serves: the handler of the models, as far as `does` goes."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from common.work import work
from pyservers import told
from pyservers.tally import Tally

Message = dict[str, Any]

_handler = told.handler()
_tally = Tally(Path(os.environ[told.COUNTS]))  # uvicorn loads this in each worker
_body = b"x" * _handler.body_bytes


async def application(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Answer a request. The work is done in the loop's thread: whoever computes in a coroutine holds up all others."""
    echoed = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return  # the client has gone
        echoed += message.get("body", b"")
        more = message.get("more_body", False)
    if _handler.cpu_iterations:
        work(_handler.cpu_iterations)
    body = bytes(echoed) if _handler.kind == "echo" else _body
    headers = [(b"content-type", b"application/octet-stream"), (b"content-length", b"%d" % len(body))]
    _tally.add()
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
