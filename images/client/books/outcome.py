"""How a request can end: one small number per kind, so that an ending fits into a record.

`no-port` and `no-file` are the client's own ends: nothing was asked of the server. They stand apart from `other`, so that a
verdict can say that the client gave out, and by which wall.
"""

import errno

OK, TIMEOUT, REFUSED, RESET, CLOSED, STATUS, WRONG, MALFORMED, UNSENT, CONNECT_TIMEOUT, OTHER, NO_PORT, NO_FILE = range(
    13
)

NAMES = (
    "ok",
    "timeout",
    "refused",
    "reset",
    "closed",
    "status",
    "wrong",
    "malformed",
    "unsent",
    "connect-timeout",
    "other",
    "no-port",
    "no-file",
)

_BY_ERRNO = {
    errno.ECONNREFUSED: REFUSED,
    errno.ECONNRESET: RESET,
    errno.EPIPE: RESET,  # the reset came before the write, not before the read
    errno.ETIMEDOUT: CONNECT_TIMEOUT,
    errno.EADDRNOTAVAIL: NO_PORT,  # of connect: every port of the source address is in use towards this server
    errno.EADDRINUSE: NO_PORT,  # of bind to a source address: the same
    errno.EMFILE: NO_FILE,  # of socket: this process may open no more
    errno.ENFILE: NO_FILE,  # the host may not
}


def of_error(number: int | None) -> int:
    """The ending that an errno of a socket call stands for."""
    return _BY_ERRNO.get(number or 0, OTHER)
