"""Which keys prove to a host who we are, in which order, and what came of each. A password is never asked for."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from paramiko import Agent, AgentKey, AuthenticationException, PKey, SSHConfig, SSHException, Transport
from paramiko.auth_strategy import AuthResult, AuthSource, AuthStrategy

DEFAULT_FILES = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")


class KeyFile(AuthSource):
    """A private key in a file."""

    def __init__(self, username: str, path: Path) -> None:
        super().__init__(username)
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def authenticate(self, transport: Transport) -> list[str]:
        """Offer it.

        Raises:
            AuthenticationException: refused, or not enough.
            OSError: the file cannot be read.
            TypeError: it has a passphrase.
            ValueError: it holds no key.
        """
        return _enough(transport.auth_publickey(self.username, PKey.from_path(self.path)))


class AgentsKey(AuthSource):
    """A key that the user's agent holds."""

    def __init__(self, username: str, key: AgentKey) -> None:
        super().__init__(username)
        self.key = key

    def __str__(self) -> str:
        return f"the agent's `{self.key.comment or self.key.fingerprint}`"

    def authenticate(self, transport: Transport) -> list[str]:
        """Offer it.

        Raises:
            AuthenticationException: refused, or not enough.
        """
        return _enough(transport.auth_publickey(self.username, self.key))


class Identities(AuthStrategy):
    """The key of the inventory, else those of `~/.ssh/config`; the agent's; without any of a file, the usual files."""

    def __init__(self, username: str, key: Path | None, config: Mapping[str, Any]) -> None:
        super().__init__(ssh_config=SSHConfig())
        self.username = username
        self.named = [key] if key is not None else [Path(file).expanduser() for file in config.get("identityfile", ())]
        self.named_only = str(config.get("identitiesonly", "no")).lower() == "yes" and bool(self.named)

    def get_sources(self) -> Iterator[AuthSource]:
        """Every key in the order in which it is offered."""
        for path in self.named:
            yield KeyFile(self.username, path)
        wanted = {blob for path in self.named if (blob := _public(path))}
        for key in _agents_keys():
            if not self.named_only or key.asbytes() in wanted:
                yield AgentsKey(self.username, key)
        if not self.named:
            for path in (Path(name).expanduser() for name in DEFAULT_FILES):
                if path.exists():
                    yield KeyFile(self.username, path)


def tried(result: AuthResult) -> str:
    """What was offered, and what came of it, for a sentence."""
    offers = [f"{source} ({_outcome(error)})" for source, error in result if isinstance(error, Exception)]
    return ", ".join(offers) or "no key: neither a key file nor an agent with one was found"


def _outcome(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, TypeError):
        return "has a passphrase: load it into the agent with ssh-add"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, ValueError):
        return "not a private key"
    if isinstance(error, AuthenticationException):
        return "refused" if type(error) is AuthenticationException else str(error)
    return "not tried: the host hung up" if isinstance(error, SSHException | EOFError) else str(error)


def _enough(further: Sequence[str]) -> list[str]:
    if further:
        raise _MoreAskedError(f"taken, but the host also asks for {' or '.join(further)}")
    return []


class _MoreAskedError(AuthenticationException):
    """A key alone does not do."""


def _agents_keys() -> tuple[AgentKey, ...]:
    try:
        return tuple(Agent().get_keys())
    except (SSHException, OSError):  # an agent that does not answer is none
        return ()


def _public(path: Path) -> bytes | None:
    """The public key beside a private one, as the agent would show it."""
    try:
        return base64.b64decode(Path(f"{path}.pub").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
