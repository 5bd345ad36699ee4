"""Containers that are created and started once, even where the answer of the engine was lost."""

import secrets
from collections.abc import Mapping
from typing import Any

import docker
from docker.errors import APIError
from docker.models.containers import Container

from harness.runtime.docker.patience import Reach

LABEL_CREATION = "ceiling.creation"  # random: tells the container that we asked for from another of the same name
CONFLICT = 409


def create_once(client: docker.DockerClient, image_id: str, settings: Mapping[str, Any], reach: Reach) -> Container:
    """Create a container; one that is there already under its name is it, if it came of this very request.

    Args:
        client: of the engine.
        image_id: what it is made of.
        settings: as `containers.create` takes them, with `name` and `labels`.
        reach: of the engine.

    Raises:
        APIError: the engine refuses; a status of 409 means that the name is taken.
        Exception: one of `LOST`: patience is over.
    """
    creation = secrets.token_hex(8)
    settings = {**settings, "labels": {**settings["labels"], LABEL_CREATION: creation}}

    def create() -> Container:
        try:
            return client.containers.create(image_id, **settings)
        except APIError as error:
            if error.status_code != CONFLICT:
                raise
            found = client.containers.get(settings["name"])
            if found.labels.get(LABEL_CREATION) != creation:
                raise
            return found

    return reach.again(create)


def start_once(container: Container, reach: Reach) -> None:
    """Start a container, and know its state after that; one that has run already is not run again.

    Raises:
        APIError: the engine refuses.
        Exception: one of `LOST`: patience is over.
    """
    asked = False

    def start() -> None:
        nonlocal asked
        if asked:
            container.reload()
            if container.status != "created":
                return
        asked = True
        container.start()

    reach.again(start)
    reach.again(container.reload)
