"""How a request can end: one small number per kind, so that an ending fits into a record."""

import errno

OK, TIMEOUT, REFUSED, RESET, CLOSED, STATUS, WRONG, MALFORMED, UNSENT, CONNECT_TIMEOUT, OTHER = range(11)

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
)

_BY_ERRNO = {
    errno.ECONNREFUSED: REFUSED,
    errno.ECONNRESET: RESET,
    errno.EPIPE: RESET,  # the reset came before the write, not before the read
    errno.ETIMEDOUT: CONNECT_TIMEOUT,
}


def of_error(number: int | None) -> int:
    """The ending that an errno of a socket call stands for."""
    return _BY_ERRNO.get(number or 0, OTHER)
