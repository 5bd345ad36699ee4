"""Removing a container, whatever state it is in."""

from docker.errors import APIError, NotFound
from docker.models.containers import Container

from harness.errors import DeployError
from harness.runtime.docker.patience import FAILURES, LOCAL, Reach, reason

CONFLICT = 409  # the engine's word for: not running any more, or being removed already


def remove_container(container: Container, reach: Reach = LOCAL) -> None:
    """Kill and remove a container, whatever state it is in; one that is gone or going is fine.

    Raises:
        DeployError: the engine could not remove it.
    """
    try:
        reach.again(lambda: container.remove(force=True, v=True))
    except FAILURES as error:
        if not is_gone(error):
            raise DeployError(f"container {container.name} could not be removed: {reason(error)}") from None


def is_gone(error: Exception) -> bool:
    """Whether an engine says that a container is not there, not running, or being removed already."""
    return isinstance(error, NotFound) or (isinstance(error, APIError) and error.status_code == CONFLICT)
