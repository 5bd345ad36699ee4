"""Services as containers of a Docker engine: this host's, or that of a host which is reached by SSH.

Nothing of the host is mounted into a measured service, and nothing is removed by the engine itself: configuration goes
in before the start, results come out after the end, and every container carries its owner's labels.
"""

from harness.runtime.docker.runtime import DockerRuntime
from harness.runtime.docker.service import DockerService

__all__ = ["DockerRuntime", "DockerService"]
