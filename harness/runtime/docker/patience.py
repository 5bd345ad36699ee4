"""Where an engine is, and what is done when the way to it is lost: again, until patience is over."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import TypeVar

from docker.errors import APIError, DockerException
from paramiko import SSHException
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from harness.errors import HostError, RuntimeUnavailable

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0

T = TypeVar("T")


class WayLost(Exception):  # noqa: N818 - the name says it
    """The way to an engine was lost, or the engine does not run: what is said is for people, and names the host.

    No OSError: the libraries between would wrap it, and the SDK takes one in the middle of a stream for its end.
    """


LOST = (WayLost, RequestException, HTTPError, HTTPException, OSError, EOFError, SSHException, HostError)
"""What an interrupted way looks like, from its many layers. An engine's own answer (`APIError`) is among requests' and is none."""

FAILURES = (DockerException, RuntimeUnavailable, *LOST)
"""Whatever a call of an engine may raise."""


@dataclass
class Absence:
    """Since when an engine has been out of reach, as whoever asks it has found: all of them share one patience.

    Else a host that is gone would cost a trial as many patiences as there are services to be read and removed.
    """

    since: float | None = None
    newest: float = 0.0

    def seen(self, now: float, forgotten_s: float) -> float:
        """Take note of a loss; when the first of this absence was. One not heard of for so long is over."""
        if self.since is None or now - self.newest > forgotten_s:
            self.since = now
        self.newest = now
        return self.since

    def over(self) -> None:
        """The engine has answered."""
        self.since = None


@dataclass(frozen=True)
class Reach:
    """Where an engine is."""

    host: str | None = None  # its name in the inventory; None: it is this host's
    address: str = "127.0.0.1"  # at which services in its host's network are reached
    patience_s: float = 0.0  # how long it may be out of reach; 0 where no way can be lost
    absence: Absence = field(default_factory=Absence, compare=False, repr=False)

    def again(self, act: Callable[[], T]) -> T:
        """Do what may be done twice, and again after the way was lost, until patience is over.

        An engine of which that is known already is asked once.

        Raises:
            APIError: the engine said so; once is enough.
            Exception: the last loss, one of `LOST`; or whatever else was raised.
        """
        until, pause_s = None, FIRST_PAUSE_S
        while True:
            try:
                done = act()
            except APIError:
                self.absence.over()
                raise
            except LOST:
                now = time.monotonic()
                since = self.absence.seen(now, self.patience_s)
                until = since + self.patience_s if until is None else until
                if now >= until:
                    raise
            else:
                self.absence.over()
                return done
            time.sleep(min(pause_s, until - now))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


LOCAL = Reach()


def reason(error: BaseException) -> str:
    """What went wrong, in the engine's own words where it said something."""
    explanation = error.explanation if isinstance(error, APIError) else None
    return str(explanation or error)
