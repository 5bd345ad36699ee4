"""An image from a registry, where one answers in time."""

import queue
import threading
from collections.abc import Iterator
from typing import Any

import docker
from docker.errors import APIError, DockerException
from requests.exceptions import RequestException

from harness.errors import ImageError

ANSWER_DEADLINE_S = 10  # until the registry has shown that it has the image
SILENCE_DEADLINE_S = 60  # between two signs of progress after that


def pull(client: docker.DockerClient, reference: str) -> None:
    """Make the engine fetch an image.

    Raises:
        ImageError: no registry answers in time, it does not have the image, or it falls silent.
    """
    try:
        for event in _progress(client, reference):
            if "error" in event:
                raise ImageError(f"nothing from a registry: {event['error']}")
    except queue.Empty:
        raise ImageError(f"no registry answers within {ANSWER_DEADLINE_S} s, or it has fallen silent") from None
    except (DockerException, RequestException) as error:
        explanation = error.explanation if isinstance(error, APIError) else None
        raise ImageError(f"nothing from a registry: {explanation or error}") from None


def _progress(client: docker.DockerClient, reference: str) -> Iterator[dict[str, Any]]:
    """What the engine says while pulling, followed by a thread: the SDK's own pull has no deadline at all.

    A pull that is given up ends when the engine gives it up, too; nothing is lost if it succeeds by then.
    """
    events: queue.SimpleQueue[dict[str, Any] | Exception | None] = queue.SimpleQueue()

    def follow() -> None:
        try:
            for event in client.api.pull(*split_reference(reference), stream=True, decode=True):
                events.put(event)
            events.put(None)
        except (DockerException, RequestException) as error:
            events.put(error)

    threading.Thread(target=follow, name=f"pull of {reference}", daemon=True).start()
    deadline_s = ANSWER_DEADLINE_S
    while (event := events.get(timeout=deadline_s)) is not None:
        if isinstance(event, Exception):
            raise event
        yield event
        deadline_s = SILENCE_DEADLINE_S


def split_reference(reference: str) -> tuple[str, str]:
    """Repository, and tag or digest, as the engine wants to be asked."""
    name, at, digest = reference.partition("@")
    if at:
        return name, digest
    head, colon, tag = reference.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (reference, "latest")
