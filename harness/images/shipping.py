"""Images from one engine to several: saved once, streamed through this process, loaded by all of them side by side."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import docker

from harness.images.build import Say

CHUNK_BYTES = 1 << 18
CHUNKS_WAITING = 64  # 16 MiB per host: a slow one slows the others down after that, and loses nothing
STALL_S = 120.0  # a host that takes nothing and says nothing for so long is given up; so is the engine that saves
TELL_EVERY_S = 3.0
TICK_S = 0.1
MEGABYTE = 1_000_000

Clients = Mapping[str, docker.DockerClient]


class Refused(Exception):  # noqa: N818 - the name says it
    """What an engine answered in place of loading: asking again would get the same."""


class Load:
    """One host's part: a queue that its engine loads from, followed by a thread."""

    def __init__(self, client: docker.DockerClient) -> None:
        self.failure: Exception | None = None
        self._client = client
        self._chunks: queue.Queue[bytes | Exception | None] = queue.Queue(CHUNKS_WAITING)
        self._done = threading.Event()
        self._touched = time.monotonic()
        threading.Thread(target=self._run, name="load of images", daemon=True).start()

    def put(self, chunk: bytes | Exception | None) -> None:
        """Hand on the next chunk, the end (None), or what has broken the stream off. Waits while the host is slow."""
        while not self._over():
            try:
                return self._chunks.put(chunk, timeout=TICK_S)
            except queue.Full:
                continue

    def wait(self) -> None:
        """Return when the engine has answered, or is given up."""
        while not self._over():
            self._done.wait(TICK_S)

    def _over(self) -> bool:
        if not self._done.is_set() and time.monotonic() - self._touched > STALL_S:
            self.failure = TimeoutError(f"nothing moved for {STALL_S:.0f} s")
            self._done.set()
        return self._done.is_set()

    def _run(self) -> None:
        failure: Exception | None
        try:
            failure = self._load()
        except Exception as error:  # noqa: BLE001 - whatever the way to an engine raises is told with the host's name
            failure = error
        self.failure = self.failure or failure
        self._done.set()

    def _load(self) -> Refused | None:
        load = cast("Callable[..., Iterator[dict[str, Any]]]", self._client.api.load_image)
        for event in load(self._stream(), quiet=False):
            self._touched = time.monotonic()
            said = event.get("error") or event.get("message")
            if said:
                return Refused(str(said))
        return None

    def _stream(self) -> Iterator[bytes]:
        while (chunk := self._chunks.get(timeout=STALL_S)) is not None:
            if isinstance(chunk, Exception):  # the engine must not take the part for the whole
                raise chunk
            self._touched = time.monotonic()
            yield chunk


def ship(source: docker.DockerClient, names: Sequence[str], targets: Clients, say: Say) -> dict[str, Exception]:
    """Save these images of an engine once, and load them into others.

    A host that fails holds nobody up. Layers that images have in common travel once per host.

    Args:
        source: the engine that has them.
        names: tags or ids.
        targets: the engines that are to have them, by host.
        say: told every 3 s how far it is.

    Returns:
        What went wrong, by host; `Refused` where its engine answered so. No host: all have loaded.

    Raises:
        Exception: the source broke off, as its client raises it.
    """
    began = time.monotonic()
    loads = {host: Load(client) for host, client in targets.items()}
    to = f"{len(targets)} host{'s' if len(targets) != 1 else ''}"
    tell = _teller(lambda sent: say(f"images: {sent / MEGABYTE:.0f} MB sent to {to} …"))
    sent = 0
    try:
        for chunk in _saved(source, names):
            for load in loads.values():
                load.put(chunk)
            sent += len(chunk)
            tell(sent)
            if all(load.failure for load in loads.values()):
                break
    except Exception as error:
        for load in loads.values():
            load.put(error)
        raise
    for load in loads.values():
        load.put(None)
    for load in loads.values():
        load.wait()
    failed = {host: load.failure for host, load in loads.items() if load.failure is not None}
    if not failed:
        say(f"images: {sent / MEGABYTE:.0f} MB to {to} in {time.monotonic() - began:.1f} s")
    return failed


def _saved(client: docker.DockerClient, names: Sequence[str]) -> Iterator[bytes]:
    """One archive of several images; the SDK itself knows to save one only."""
    url = f"{client.api.base_url}/v{client.api.api_version}/images/get"
    with client.api.get(url, params={"names": list(names)}, stream=True, timeout=STALL_S) as answer:
        answer.raise_for_status()
        yield from cast("Iterator[bytes]", answer.iter_content(CHUNK_BYTES))


def _teller(say: Callable[[int], None]) -> Callable[[int], None]:
    told = time.monotonic()

    def tell(sent: int) -> None:
        nonlocal told
        if time.monotonic() - told >= TELL_EVERY_S:
            told = time.monotonic()
            say(sent)

    return tell
