"""The host keys that are trusted: the file of an inventory, and nothing beside it.

The inventory's file is the authority, also over `~/.ssh/known_hosts`: what is measured on is then the same for everybody
who has the inventory, and a key that some other tool once took unseen is not trusted here.
"""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from paramiko import PKey, RejectPolicy, SSHClient, SSHException
from paramiko.hostkeys import HostKeys, InvalidHostKey

from harness.errors import HostError

SSH_PORT = 22

_MARKERS = {
    "@revoked": "says that a key must not be trusted any more, which cannot be heeded here",
    "@cert-authority": "trusts whatever an authority has signed, and host certificates are not read here",
}


class UnknownHostKey(SSHException):
    """A host showed a key of which the file knows nothing."""

    def __init__(self, key: PKey) -> None:
        super().__init__(f"unknown host key {key.fingerprint}")
        self.key = key


class Refuse(RejectPolicy):
    """Rejects unknown host keys, which Fabric would add by itself, and keeps the key for the message."""

    def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> NoReturn:  # noqa: ARG002 (paramiko's signature)
        """Reject.

        Raises:
            UnknownHostKey: always.
        """
        raise UnknownHostKey(key)


def entry_name(host: str, port: int) -> str:
    """The name of a host in such a file, as OpenSSH writes it."""
    return host if port == SSH_PORT else f"[{host}]:{port}"


def read_known_hosts(path: Path, keys: HostKeys | None = None) -> HostKeys:
    """The keys in a file; none where there is no such file.

    Args:
        path: the file.
        keys: what they are added to; nothing yet by default.

    Raises:
        HostError: it cannot be read, or a line of it is broken, or has a marker.
    """
    keys = HostKeys() if keys is None else keys
    try:
        _refuse_markers(path)
        keys.load(str(path))
    except FileNotFoundError:
        return keys
    except OSError as error:
        raise HostError(f"{path}: the known host keys cannot be read ({error.strerror})") from error
    except (InvalidHostKey, ValueError) as error:
        raise HostError(f"{path}: a line is no host key ({error}); remove it, and trust that host again") from error
    return keys


def _refuse_markers(path: Path) -> None:
    """OpenSSH's markers: paramiko knows none, and would take such a line for a broken one, or pass over it."""
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
        marker = line.split(maxsplit=1)[0] if line.lstrip().startswith("@") else ""
        if marker:
            what = _MARKERS.get(marker, "says something of a key that is not known here")
            raise HostError(
                f"{path}:{number}: `{marker}` {what}; leave the line where it is, and name a file of its own as the"
                " inventory's `known_hosts`, with the plain keys of hosts that are still trusted"
            )


def add_keys(path: Path, keys: Iterable[tuple[str, PKey]]) -> None:
    """Write further keys into a file, and leave its other lines as they are.

    Args:
        path: the file; made where there is none.
        keys: name as `entry_name` makes it, and the key.

    Raises:
        HostError: it cannot be written.
    """
    text = _text(path)
    text += "\n" if text and not text.endswith("\n") else ""
    _write(path, text + "".join(f"{name} {key.get_name()} {key.get_base64()}\n" for name, key in keys))


def remove_keys(path: Path, name: str) -> None:
    """Take every key of a host out of a file; other names on the same line keep theirs.

    Raises:
        HostError: it cannot be read or written.
    """
    lines = [_without(line, name) for line in _text(path).splitlines(keepends=True)]
    _write(path, "".join(lines))


def _without(line: str, name: str) -> str:
    """A line without that name; nothing where it had no other."""
    names, _, rest = line.partition(" ")
    kept = [one for one in names.split(",") if not _stands_for(one, name)]
    return f"{','.join(kept)} {rest}" if kept else ""


def _stands_for(written: str, name: str) -> bool:
    """Whether a name in a file is that one, in plain or hashed."""
    return written == name or (written.startswith("|1|") and HostKeys.hash_host(name, written) == written)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise HostError(f"{path}: the known host keys cannot be read ({error.strerror})") from error


def _write(path: Path, text: str) -> None:
    """Whole or not at all: a half-written file would make hosts unknown."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            file.write(text)
        Path(file.name).chmod(0o644)
        os.replace(file.name, path)  # noqa: PTH105 - the name says that it replaces
    except OSError as error:
        raise HostError(
            f"{path}: the known host keys cannot be written ({error.strerror}); mend it, and trust again"
        ) from error
