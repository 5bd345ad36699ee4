"""Where a testbed keeps its files, and what its things are called."""

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HostError, SpecError

DEFAULT_NAME = "testbed"
LABEL = "ceiling.testbed"  # its name, on every container, volume and network
LABEL_HOST = "ceiling.testbed.host"  # on a container: its name in the inventory
LABEL_TITLE = "ceiling.testbed.title"  # on the network: the inventory's
LABEL_INVENTORY = "ceiling.testbed.inventory"  # the file it was made for: two checkouts share an engine, not a testbed
MARK = "# Made by `harness testbed up`; `harness testbed down` removes it."
LOCK_DEADLINE_S = 180.0

_NAME = re.compile(r"testbed(-[a-z0-9]{1,20}){0,2}")


@dataclass(frozen=True)
class Site:
    """One testbed: its name, its inventory, and the folder of its keys."""

    name: str
    inventory: Path
    keys: Path  # the folder of the key and of known_hosts

    @classmethod
    def of_checkout(cls, root: Path, state: Path, name: str = DEFAULT_NAME) -> "Site":
        """The testbed of this name in a checkout.

        Args:
            root: of the checkout.
            state: folder of the harness's own working files.
            name: `testbed`, or one that begins so: such inventories are not committed.

        Raises:
            SpecError: the name is another.
        """
        if not _NAME.fullmatch(name):
            raise SpecError(
                [f"--name {name}: a testbed is called testbed or testbed-NAME, in small letters and digits"]
            )
        return cls(name, root / "experiments" / "hosts" / f"{name}.yaml", state / name)

    def thing(self, host: str = "") -> str:
        """What the container and the volume of a host are called; without a host: the network."""
        return f"ceiling-{self.name}" + (f"-{host}" if host else "")

    def labels(self) -> dict[str, str]:
        """On everything of this testbed."""
        return {LABEL: self.name, LABEL_INVENTORY: str(self.inventory)}

    def require_own_inventory(self) -> None:
        """Never write over an inventory that a person wrote.

        Raises:
            SpecError: there is one at its place.
        """
        if self.inventory.exists() and not self.inventory.read_text("utf-8", "replace").startswith(MARK):
            raise SpecError(
                [f"{self.inventory}: is there, and not of a testbed; rename it, or give --name testbed-NAME"]
            )


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One `up` or `down` at a time. The folder itself is the lock: no file is left.

    Args:
        folder: made where it is missing.

    Raises:
        HostError: another holds it for three minutes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        deadline = time.monotonic() + LOCK_DEADLINE_S
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise HostError(
                        f"another `harness testbed` has been at work for {LOCK_DEADLINE_S:.0f} s; end it first"
                    ) from None
                time.sleep(0.1)
        yield
    finally:
        os.close(handle)
