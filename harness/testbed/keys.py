"""Keys of a testbed: the one that people come in with, and one that each host shows."""

import contextlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

KEY = "key"
KNOWN_HOSTS = "known_hosts"


@dataclass(frozen=True)
class KeyPair:
    """An ed25519 key as OpenSSH writes it."""

    private: bytes
    public: str  # `ssh-ed25519 AAAA…`


def make_key() -> KeyPair:
    """A new one, without a passphrase: it opens containers of this machine only, and goes with them."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return KeyPair(private, key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode())


def write_keys(folder: Path, user: KeyPair, hosts: Mapping[str, KeyPair]) -> None:
    """The private key, readable by its owner only, and the hosts' public ones as known_hosts.

    Args:
        folder: made, for its owner only.
        user: what the hosts let in.
        hosts: what each shows, by address.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = folder / KEY
    key.touch(mode=0o600)
    key.write_bytes(user.private)
    lines = [f"{address} {shown.public}\n" for address, shown in hosts.items()]
    (folder / KNOWN_HOSTS).write_text("".join(lines))


def remove_keys(folder: Path) -> None:
    """And their folder."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)
