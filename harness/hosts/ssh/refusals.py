"""Why a host cannot be reached, in a line that says what to do."""

import socket

from paramiko import AuthenticationException, BadHostKeyException, ChannelException, SSHException
from paramiko.auth_strategy import AuthFailure

from harness.hosts.known_hosts import UnknownHostKey
from harness.hosts.ssh.identities import tried
from harness.hosts.ssh.way import Hop, Way

PROHIBITED = 1
"""ChannelException's code where the SSH server may not forward; any other is that nothing answered there."""


def refusal(error: Exception, way: Way, hop: Hop, stage: str) -> str:
    """One line.

    Args:
        error: what was raised while the hop was opened.
        way: to the host.
        hop: the connection that was being opened.
        stage: `connecting` or `greeting`: how far it had come.
    """
    who = f"{way.name}: its jump host {hop.place}" if hop.jump else f"{way.name}: {hop.place}"
    if isinstance(error, UnknownHostKey):
        shown = f"{error.key.get_name()} {error.key.fingerprint}"
        return f"{who} has a host key that is not known yet ({shown}); compare and add it: `{way.trust_command}`"
    if isinstance(error, BadHostKeyException):
        return f"{who} {_changed(error, way)}"
    if isinstance(error, AuthenticationException):
        return f"{who} {_not_let_in(error, hop)}"
    if isinstance(error, ChannelException):
        return f"{way.name}: {_behind(error, hop)}"
    return f"{who} {_no_answer(error, stage)}"


def _changed(error: BadHostKeyException, way: Way) -> str:
    known, shown = (f"{key.get_name()} {key.fingerprint}" for key in (error.expected_key, error.key))
    return (
        f"shows ANOTHER HOST KEY than the known one: {shown} instead of {known}; the host was made anew, or somebody"
        f" stands in between. Nothing was sent. If you know why: `{way.trust_command} --replace {way.name}`"
    )


def _not_let_in(error: AuthenticationException, hop: Hop) -> str:
    user = f"does not let user `{hop.connection.user}` in"
    if isinstance(error, AuthFailure):
        return f"{user}; tried: {tried(error.result)}; see `user` and `key`, and the host's authorized_keys"
    return f"{user} ({error}); see `user` and `key`, and the host's authorized_keys"


def _behind(error: ChannelException, hop: Hop) -> str:
    gateway = hop.connection.gateway
    jump = f"its jump host {gateway.host} port {gateway.port}"
    if error.code == PROHIBITED:
        return f"{jump} forbids to go on to {hop.place}; allow it there (AllowTcpForwarding, PermitOpen in sshd_config)"
    return (
        f"{jump} cannot reach {hop.place} ({error.text}); is it up, and is `address` the one that the jump host sees?"
    )


def _no_answer(error: Exception, stage: str) -> str:  # noqa: PLR0911 (one answer a kind)
    """Nobody there, or nobody who speaks SSH."""
    if isinstance(error, socket.gaierror):
        return "is a name that cannot be looked up; write its IP address, or a `Host` of ~/.ssh/config"
    if isinstance(error, ConnectionRefusedError):
        return "refuses connections; is sshd running there, and is it the right port?"
    if isinstance(error, TimeoutError) and stage == "connecting":
        return "does not answer; is it up, and does a firewall let SSH through?"
    if isinstance(error, TimeoutError):
        return "takes connections and then says nothing; is that sshd, and is the host frozen or overloaded?"
    if isinstance(error, OSError):
        return f"cannot be reached ({error.strerror or error}); see `address`, and the routes to it"
    if isinstance(error, SSHException) and ("banner" in str(error) or "No existing session" in str(error)):
        return "takes connections and does not speak SSH; is it the right port, and is the host frozen or overloaded?"
    return f"ended the SSH handshake ({str(error) or type(error).__name__}); see sshd's log there"
