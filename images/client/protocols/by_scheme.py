"""Which protocol the scheme of a URL stands for, and the kinds of request that a configuration asks for."""

from collections.abc import Callable, Sequence

from client.config import Config, Kind
from client.protocols.base import Wire
from client.protocols.http1 import Http1
from client.protocols.stomp import Stomp
from client.wire.target import Target

_PROTOCOLS: dict[str, Callable[[Config, Target, Sequence[Kind]], Wire]] = {
    "http": Http1,
    "https": Http1,
    "stomp": Stomp,
}


def wire_of(config: Config, target: Target) -> Wire:
    """The protocol of a run.

    Raises:
        CannotRunError: the configuration asks for what the protocol does not have.
    """
    return _PROTOCOLS[target.scheme](config, target, kinds_of(config, target))


def kinds_of(config: Config, target: Target) -> tuple[Kind, ...]:
    """Each kind of request: of the mix, or the only one, which is of the URL's path."""
    return config.mix or (
        Kind(
            path=target.path,
            method=config.method,
            headers=config.headers,
            body_bytes=config.body_bytes,
            expect_status=config.expect_status,
            expect_body_bytes=config.expect_body_bytes,
        ),
    )
