"""Where the host gives no more processes or threads, one client at a time is turned away, and the others wait."""

import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.models.support import GET_AND_CLOSE, Client, serving

USER = 61235  # nobody's: root is exempt from the limit, and it counts all that a user has
MOST, CLIENTS = 5, 50


def few_processes() -> list[str]:
    """For `prlimit`: the server and four more. As another user it still has to read and write our files."""
    if os.geteuid() != 0:
        ours = (one.info["num_threads"] for one in psutil.process_iter(["num_threads", "uids"]) if is_ours(one))
        return [f"--nproc={sum(ours) + MOST}"]
    capabilities = (f"--{of}-caps=+dac_override" for of in ("inh", "ambient"))
    return [f"--nproc={MOST}", "setpriv", f"--reuid={USER}", "--clear-groups", *capabilities]


def is_ours(process: psutil.Process) -> bool:
    uids = process.info["uids"]
    return uids is not None and uids.real == os.getuid()


@pytest.mark.slow
@pytest.mark.parametrize("model", ["ppc", "tpc"])
def test_of_a_burst_that_is_too_large_most_wait_and_are_served(model: str, folder: Path) -> None:
    with serving(model, folder, few_processes()) as server:
        server.process.send_signal(signal.SIGSTOP)  # all of them are in the queue when it looks
        clients = [server.client() for _ in range(CLIENTS)]
        for client in clients:
            client.send(GET_AND_CLOSE)
        server.process.send_signal(signal.SIGCONT)
        served = sum(is_served(client) for client in clients)
        report = server.stop()
    assert report.requests == served > CLIENTS // 2
    assert report.accepts == CLIENTS


def is_served(client: Client) -> bool:
    try:
        return client.response().status == 200
    except (EOFError, ConnectionError):
        return False
