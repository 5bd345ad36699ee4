"""The load client's STOMP against a real broker: RabbitMQ of Debian, in a container. What it holds is what was counted."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from harness.images import ensure_images
from harness.raw import ClientReport
from tests.client.running import Ended, checked, run
from tests.docker.conftest import copy_images

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(300)]  # the first test may build the image
PORT, START_DEADLINE_S = 61613, 60.0
LOGIN = {"login": "guest", "passcode": "guest", "vhost": "/"}
Load = Callable[..., Ended]


@pytest.fixture(scope="module")
def broker(client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    folder = tmp_path_factory.mktemp("broker")
    image = ensure_images(client, copy_images(folder / "images"), ["rabbitmq"], folder / "logs", print)["rabbitmq"]
    container = client.containers.run(image.id, detach=True, hostname="broker")
    try:
        wait_for(container)
        yield container
    finally:
        container.remove(force=True, v=True)


def address_of(container: Container) -> str:
    container.reload()
    return str(container.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"])


def wait_for(container: Container) -> None:
    deadline = time.monotonic() + START_DEADLINE_S
    while True:
        try:
            with closing(socket.create_connection((address_of(container), PORT), 1)):
                return
        except OSError:
            assert time.monotonic() < deadline, container.logs().decode()
            time.sleep(0.2)


@pytest.fixture
def load(broker: Container, tmp_path: Path) -> Load:
    """Runs the client against a destination."""
    origin = f"stomp://{address_of(broker)}:{PORT}"

    def run_against(destination: str, **settings: Any) -> Ended:
        return run(tmp_path, **{"url": origin + destination, "headers": LOGIN, "body_bytes": 100, **settings})

    return run_against


def held(broker: Container) -> dict[str, int]:
    """How many messages the broker holds, by queue: nobody takes any away."""
    status, output = broker.exec_run(
        ["rabbitmqctl", "list_queues", "--silent", "--no-table-headers", "name", "messages"]
    )
    assert isinstance(output, bytes)
    assert status == 0, output.decode()
    return {name: int(count) for name, count in (line.split() for line in output.decode().splitlines())}


def counted(ended: Ended) -> ClientReport:
    """The report of a run in which everything went well."""
    report = checked(ended)
    assert report.errors == {}
    assert report.ok > 0
    assert report.life_unknown == 0
    return report


LIFETIMES: list[Any] = ["keep-alive", "per-request", 7]


@pytest.mark.parametrize("lifetime", LIFETIMES)
@pytest.mark.parametrize("kind", [{}, {"kind": "open", "rate_per_s": 100}], ids=["closed", "open"])
def test_each_receipt_stands_for_a_message_that_the_broker_holds(
    load: Load, broker: Container, lifetime: object, kind: dict[str, object]
) -> None:
    queue = f"{lifetime}-{'open' if kind else 'closed'}"
    report = counted(load(f"/queue/{queue}", lifetime=lifetime, connections=3, timeout_s=5.0, **kind))
    assert report.connections_lost == 0
    assert held(broker)[queue] == report.life_ok
    asked_who_is_there = 1
    if lifetime == "per-request":
        assert report.connections_opened == report.life_ok + asked_who_is_there
    if lifetime == "keep-alive":
        assert report.connections_opened == 3 + asked_who_is_there
    if lifetime == 7:
        least = -(-report.life_ok // 7)
        assert least <= report.connections_opened - asked_who_is_there <= least + 3


def test_kinds_of_a_mix_go_to_their_destinations(load: Load, broker: Container) -> None:
    mix = [{"weight": 3, "path": "/queue/often", "body_bytes": 10}, {"path": "/queue/rarely", "body_bytes": 90_000}]
    report = counted(load("/queue/neither", mix=mix, connections=4))
    there = held(broker)
    assert there["often"] + there["rarely"] == report.life_ok
    assert there["often"] > there["rarely"] > 0
    assert "neither" not in there


def test_what_the_broker_answers_with_an_error_is_counted_as_one(load: Load) -> None:
    report = checked(load("/nowhere/x", connections=2))
    assert report.ok == 0
    assert set(report.errors) == {"status"}


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({**LOGIN, "passcode": "wrong"}, "the broker refuses the connection: Bad CONNECT"),
        ({**LOGIN, "vhost": "elsewhere"}, "'elsewhere' access denied"),
    ],
    ids=["passcode", "virtual host"],
)
def test_a_refusal_is_one_line_before_anything_is_asked(load: Load, headers: dict[str, str], says: str) -> None:
    ended = load("/queue/refused", headers=headers)
    assert (ended.status, ended.names()) == (1, ["error"])
    assert says in ended.events[0]["message"]
