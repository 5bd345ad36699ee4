"""gunicorn and uvicorn: their command lines, and what their applications count."""

import time
from collections.abc import Callable
from signal import SIGUSR1

import pytest

from common.config import BackendAddress, ConfigError, HandlerConfig, ServerConfig
from harness.conformance.messages import GET_AND_CLOSE, require_right
from harness.deploy import stop_and_report
from harness.spec.experiment import Scalar
from pyservers import on_gunicorn, on_uvicorn
from pyservers.told import refuse_rest
from tests.servers.conftest import HANDLER, Serve, told

SETTLED_S = 1.0
ASKED = 12


def value(command: Callable[[ServerConfig], list[str]], config: ServerConfig, name: str) -> str:
    words = command(config)
    return words[words.index(f"--{name}") + 1]


@pytest.mark.parametrize(("worker", "threads"), [("sync", "1"), ("gthread", "8"), ("gevent", "1")])
def test_only_gthread_has_threads(worker: str, threads: str) -> None:
    config = told("gunicorn", {"worker": worker})
    assert value(on_gunicorn.command, config, "worker-class") == worker
    assert value(on_gunicorn.command, config, "threads") == threads


def test_both_listen_where_they_are_told() -> None:
    assert value(on_gunicorn.command, told("gunicorn", {}, host="::1"), "bind") == "[::1]:8080"
    assert value(on_uvicorn.command, told("uvicorn", {}, host="::1"), "host") == "::1"
    assert value(on_uvicorn.command, told("uvicorn", {"http": "h11"}), "http") == "h11"


@pytest.mark.parametrize(
    "handler",
    [
        HANDLER._replace(log="flush"),
        HANDLER._replace(fault="crash"),
        HANDLER._replace(backend=BackendAddress("127.0.0.1", 1, 1.0)),
    ],
)
def test_what_the_application_does_not_do_is_refused(handler: HandlerConfig) -> None:
    refuse_rest(told("gunicorn", {}, handler=HANDLER._replace(kind="echo", cpu_iterations=9)))
    with pytest.raises(ConfigError, match="is not what this application does"):
        refuse_rest(told("gunicorn", {}, handler=handler))


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("gunicorn", {"worker": "sync"}),
        ("gunicorn", {"worker": "gthread"}),
        ("gunicorn", {"worker": "gevent"}),
        ("uvicorn", {"workers": 2}),
    ],
    ids=["sync", "gthread", "gevent", "uvicorn"],
)
def test_its_application_counts_every_request_in_whichever_process(
    serve: Serve, model: str, options: dict[str, Scalar]
) -> None:
    with serve(model, **options) as server:
        for _ in range(ASKED):
            require_right(server.ask_once(GET_AND_CLOSE), None, GET_AND_CLOSE)
        server.service.signal(SIGUSR1)
        time.sleep(SETTLED_S)
        for _ in range(ASKED):
            require_right(server.ask_once(GET_AND_CLOSE), None, GET_AND_CLOSE)
        report = stop_and_report(server.service, exact=True, stop=server.stop_signal)
    assert report is not None
    proved = server.proving_requests
    assert [mark.requests for mark in report.marks] == [proved + ASKED]
    assert (report.requests, report.connections) == (proved + 2 * ASKED, None)
    assert (report.program or "").startswith(f"{model} ")
