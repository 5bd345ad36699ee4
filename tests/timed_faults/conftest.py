"""Real servers of images/, as plain processes or in containers, as targets of faults."""

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from harness.deploy import Deployed, server_up
from harness.fleet import Site, site_here
from harness.images import connect, ensure_images
from harness.runtime.base import Runtime, make_owner
from harness.runtime.process import ProcessRuntime
from harness.spec.catalogue import load_models
from harness.spec.cluster import TimedFault
from harness.spec.experiment import Trial
from harness.timed_faults import FaultTarget, run_here

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 20.0
ANSWER_S = 0.5  # how long a test waits for an answer that is not to come

Serve = Callable[..., FaultTarget]


@pytest.fixture(params=["process", pytest.param("docker", marks=[pytest.mark.docker, pytest.mark.slow])])
def runtime(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Runtime]:
    """Both runtimes, one after the other."""
    if request.param == "process":
        made: Runtime = ProcessRuntime(make_owner("test-timed-faults"), ROOT / "images", tmp_path / "work")
        yield made
        made.clean()
        return
    from harness.runtime.docker import DockerRuntime

    client = connect()
    images = ensure_images(client, ROOT / "images", ["prefork"], tmp_path / "logs", print)
    made = DockerRuntime(client, images, make_owner(f"test-{tmp_path.name}"))
    yield made
    made.clean()
    client.close()


@pytest.fixture
def process_runtime(tmp_path: Path) -> Iterator[Runtime]:
    """Plain processes only."""
    made = ProcessRuntime(make_owner("test-timed-faults"), ROOT / "images", tmp_path / "work")
    yield made
    made.clean()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server that is proved right, as a target; all are removed afterwards."""
    with ExitStack() as up:

        def start(runtime: Runtime, model: str = "prefork", **said: Any) -> FaultTarget:
            options = {} if model != "prefork" else {"workers": 2}
            models = load_models(ROOT / "images")
            defaults = {name: option.default for name, option in models[model].options.items()}
            trial = Trial.model_validate({"model": model, "options": {**defaults, **options}, **said})
            site = site_here(runtime)
            server = up.enter_context(server_up(site, "server", trial, models[model], (), 1.0, []))
            return target_of(site, server)

        yield start


def target_of(site: Site, server: Deployed) -> FaultTarget:
    """A server of this machine."""
    return FaultTarget(
        host=site.name,
        here=True,
        run=run_here,
        as_root=site.runtime.name == "docker",
        service=server.service,
        url=server.url,
    )


def fault(do: str, at: str = "0 s", **said: Any) -> TimedFault:
    """One, as a spec has it."""
    return TimedFault.model_validate({"do": do, "at": at, **said})


def answers(target: FaultTarget, timeout_s: float = ANSWER_S) -> bool:
    """Whether a new connection to the server is answered."""
    parts = urlsplit(target.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def wait_until(true: Callable[[], bool]) -> None:
    """Poll, with a deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
