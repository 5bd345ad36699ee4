"""What faults act on: a host that has a server, and the server on it."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from harness.errors import HostError
from harness.hosts.ask import went_well
from harness.hosts.connection import Dial, Done
from harness.runtime.base import Service
from harness.spec.inventory import Power


class Run(Protocol):
    """Runs a command on a host, as `Connection.run` does."""

    def __call__(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"", as_root: bool = False) -> Done:
        """Run it and wait for its end.

        Raises:
            HostError: the host cannot be reached, or did not end the command in time.
        """


@dataclass(frozen=True, kw_only=True)
class FaultHost:
    """The host of one server, as the faults see it: all that can be looked at before anything runs."""

    host: str  # its name; "local" on this machine
    here: bool  # whether it is this machine
    run: Run  # a command on it
    power: Power = field(default_factory=Power)  # the controller's commands on the whole host
    peers: tuple[str, ...] = ()  # addresses of other hosts that send to the server: the balancer's, or the clients'
    also: tuple[str, ...] = ()  # what else of the trial runs there: a load client, the balancer
    as_root: bool = True  # whether it takes root to signal its processes: in containers they are root's


@dataclass(frozen=True, kw_only=True)
class FaultTarget(FaultHost):
    """One server of a trial that runs."""

    service: Service
    url: str  # of the server, as its host sees it
    dial: Dial | None = None  # how the controller reaches it; none: directly


def run_here(argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"", as_root: bool = False) -> Done:
    """Run a command on this machine; no shell reads it.

    Args:
        argv: the command and its arguments.
        timeout_s: for all of it.
        stdin: what it is given to read.
        as_root: through `sudo -n` where this process is not root.

    Raises:
        HostError: there is no such command, or it did not end in time.
    """
    words = ["sudo", "-n", "--", *argv] if as_root and os.geteuid() else list(argv)
    try:
        done = subprocess.run(words, input=stdin, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        raise HostError(f"local: `{argv[0]}` did not end within {timeout_s:g} s") from None
    except OSError as error:
        raise HostError(f"local: `{words[0]}` cannot be run: {error.strerror}") from None
    return Done(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def asked(host: FaultHost, argv: Sequence[str], timeout_s: float, stdin: bytes = b"", *, as_root: bool = True) -> str:
    """What a command on a host prints.

    Raises:
        HostError: it could not be run, or ended with another status than 0; with its last line.
    """
    return went_well(host.host, argv, host.run(argv, timeout_s=timeout_s, stdin=stdin, as_root=as_root))
