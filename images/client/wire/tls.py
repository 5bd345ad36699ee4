"""https: what is asked of the server's certificate, and TLS over a socket that is connected already.

A connection speaks TLS on its own non-blocking socket, never through a transport of the loop. So a stamp is taken
beside the send here too, and the bytes of a request leave in that call. Each connection makes a full handshake:
sessions are not resumed, as a load stands for clients that do not know the server yet.
"""

import socket
import ssl

from client.config import Config
from client.errors import CannotRunError

BLOCKED = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""What a non-blocking socket raises when the kernel has nothing, or no room, for it now."""


class Tls:
    """What all connections of a run have in common."""

    def __init__(self, config: Config, host: str) -> None:
        """Of a server's name and what the configuration asks of its certificate.

        Raises:
            CannotRunError: what is to be trusted is no certificate.
        """
        try:
            self._context = ssl.create_default_context(cadata=config.tls_authorities)
        except ssl.SSLError as error:
            raise CannotRunError(
                f"`tls_authorities` holds no certificate ({error.reason}); give a PEM file's text"
            ) from error
        self._context.check_hostname = config.tls_check == "full"
        self._context.verify_mode = ssl.CERT_NONE if config.tls_check == "none" else ssl.CERT_REQUIRED
        self._context.set_alpn_protocols(["http/1.1"])
        self._host = host

    def wrap(self, connected: socket.socket) -> ssl.SSLSocket:
        """TLS over a connected socket, which it takes over; the handshake is still to be made.

        Raises:
            OSError: the connection is gone already.
        """
        return self._context.wrap_socket(connected, server_hostname=self._host, do_handshake_on_connect=False)

    def meet(self, connected: socket.socket, authority: str) -> None:
        """Make a handshake on a blocking socket, and close it.

        Raises:
            CannotRunError: none comes about, or the server's certificate is not trusted.
        """
        try:
            with self.wrap(connected) as secured:
                secured.do_handshake()
        except OSError as error:
            raise _stranger(authority, error) from error


def _stranger(authority: str, error: OSError) -> CannotRunError:
    """The error for a server with which no handshake comes about."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return CannotRunError(
            f"the certificate of {authority} is not trusted ({error.verify_message.rstrip('.')}); name the authority's PEM file "
            "as `ca`, or take any certificate with `insecure`"
        )
    said = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    reason = (said or "no answer").lower().replace("_", " ")
    return CannotRunError(f"no TLS handshake with {authority} ({reason}); does it speak https at this port?")
