"""A lost connection loses nothing: what runs on the host runs on, and what it says is heard once, and all of it."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGTERM

import docker
import pytest

from harness.errors import DeployError
from harness.hosts.ssh import SshConnection
from harness.images import ImageInfo
from harness.runtime.base import ServiceSpec, make_owner
from harness.runtime.docker import DockerRuntime
from harness.runtime.docker.channel import EngineSocket
from harness.runtime.docker.over_ssh import connect_over
from harness.runtime.docker.patience import WayLost
from tests.afar.conftest import HOST, Start
from tests.ssh.sshd import Sshd, running_sshd

pytestmark = [pytest.mark.docker, pytest.mark.slow]
DEADLINE_S = 30.0
COUNT = """
import time
for number in range(600):
    print(number, "x" * 300)
    time.sleep(0.004)
"""
ALL = [str(number) for number in range(600)]
WAIT_AND_END = "import time; time.sleep(2.5); raise SystemExit(7)"


def in_the_background(act: Callable[[], object], every_s: float, times: int) -> threading.Thread:
    def work() -> None:
        for _ in range(times):
            time.sleep(every_s)
            act()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def numbers(lines: list[str]) -> list[str]:
    return [line.split()[0] for line in lines]


def test_lines_go_on_exactly_where_they_stopped(start: Start, sshd: Sshd) -> None:
    service = start(program=COUNT)
    killing = in_the_background(sshd.end_sessions, 0.5, 4)
    assert numbers(list(service.lines(DEADLINE_S))) == ALL
    killing.join(DEADLINE_S)
    assert service.wait(DEADLINE_S) == 0


def test_lines_printed_before_the_loss_and_read_after_the_end_are_there(start: Start, sshd: Sshd) -> None:
    service = start(program=COUNT)
    first = next(service.lines(DEADLINE_S))
    sshd.end_sessions()
    assert service.wait(DEADLINE_S) == 0
    assert numbers([first, *service.lines(DEADLINE_S)]) == ALL


def test_an_end_is_waited_for_across_losses(start: Start, sshd: Sshd) -> None:
    service = start(program=WAIT_AND_END)
    killing = in_the_background(sshd.end_sessions, 0.5, 3)
    assert service.wait(DEADLINE_S) == 7
    killing.join(DEADLINE_S)


def test_every_call_that_may_be_made_twice_outlasts_a_loss(start: Start, sshd: Sshd, runtime: DockerRuntime) -> None:
    service = start("wait")
    next(service.lines(DEADLINE_S))
    for call in (
        service.running,
        lambda: service.put("given", b"something"),
        service.logs,
        lambda: service.signal(SIGTERM),
        lambda: service.wait(DEADLINE_S),
        lambda: service.fetch("exit.json"),
        runtime.facts,
        service.remove,
        runtime.clean,
    ):
        sshd.end_sessions()
        call()


def test_a_connection_that_answers_late_is_the_same_connection(start: Start, sshd: Sshd) -> None:
    service = start(program=COUNT)
    first = next(service.lines(DEADLINE_S))
    sshd.freeze()
    threading.Timer(2.0, sshd.thaw).start()
    assert numbers([first, *service.lines(DEADLINE_S)]) == ALL


@pytest.mark.usefixtures("hasty")
def test_a_connection_that_never_answers_again_is_given_up_and_made_anew(start: Start, sshd: Sshd) -> None:
    service = start(program=COUNT)
    lines = service.lines(DEADLINE_S)
    first = next(lines)
    sshd.freeze_sessions()
    began = time.monotonic()
    assert service.wait(DEADLINE_S) == 0
    assert numbers([first, *lines]) == ALL
    assert time.monotonic() - began < DEADLINE_S


@pytest.mark.usefixtures("hasty")
def test_a_deadline_shorter_than_the_black_hole_blames_the_way_and_not_the_service(start: Start, sshd: Sshd) -> None:
    service = start(program=COUNT)
    lines = service.lines(0.5)
    first = next(lines)
    sshd.freeze_sessions()
    assert numbers([first, *lines]) == ALL


def test_a_host_that_stays_away_is_told_once_patience_is_over(
    here: docker.DockerClient, images: dict[str, ImageInfo], tmp_path: Path
) -> None:
    owner = make_owner("test-stays-away")
    with running_sshd(tmp_path / "sshd") as server:
        connection = server.connection(tmp_path, HOST)
        afar = DockerRuntime(connect_over(connection.transport, HOST), images, owner, host=HOST, patience_s=0.5)
        service = afar.start(ServiceSpec(name="it", role="tool", image="tiny", config={"do": "wait"}, cores=()))
        lines = service.lines(DEADLINE_S)
        next(lines)
    with pytest.raises(DeployError, match=r"^it on afar: its state is unknown: afar: .*refuses connections"):
        service.running()
    with pytest.raises(DeployError, match=r"^it on afar: what it prints is out of reach: afar: .*refuses connections"):
        list(lines)
    assert DockerRuntime(here, images, owner).clean() >= 1


class Losing:
    """Loses the connection once, right when the answer to a request has come: the engine has done it, and nobody knows."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, connection: SshConnection) -> None:
        self.lost = 0
        self._armed: bytes | None = None
        send, recv = EngineSocket.sendall, EngineSocket.recv
        asked: dict[EngineSocket, bytes] = {}

        def sendall(socket: EngineSocket, data: bytes) -> None:
            if (line := bytes(data[:200]).partition(b"\r\n")[0]).endswith(b"HTTP/1.1"):
                asked[socket] = line
            send(socket, data)

        def lose(socket: EngineSocket, most: int) -> bytes:
            answer = recv(socket, most)
            if self._armed is not None and self._armed in asked[socket]:
                self._armed, self.lost = None, self.lost + 1
                connection.transport().close()
                raise WayLost("afar: lost on purpose")
            return answer

        monkeypatch.setattr(EngineSocket, "sendall", sendall)
        monkeypatch.setattr(EngineSocket, "recv", lose)

    def answer_to(self, words: bytes) -> None:
        self._armed = words


def test_a_container_whose_creation_was_not_confirmed_is_found_and_used(
    start: Start, run: str, monkeypatch: pytest.MonkeyPatch, connection: SshConnection, here: docker.DockerClient
) -> None:
    losing = Losing(monkeypatch, connection)
    losing.answer_to(b"/containers/create")
    service = start("wait")
    assert losing.lost == 1
    assert "ready" in next(service.lines(DEADLINE_S))
    service.remove()
    assert here.containers.list(all=True, filters={"label": f"ceiling.run={run}"}) == []


def test_a_container_whose_start_was_not_confirmed_runs_once(
    start: Start, monkeypatch: pytest.MonkeyPatch, connection: SshConnection, client: docker.DockerClient
) -> None:
    losing = Losing(monkeypatch, connection)
    losing.answer_to(b"/start ")
    service = start(program="print('once')")
    assert losing.lost == 1
    assert service.wait(DEADLINE_S) == 0
    assert list(service.lines(DEADLINE_S)) == ["once"]


def test_another_container_of_the_same_name_is_not_taken_for_ours(
    client: docker.DockerClient, images: dict[str, ImageInfo], runtime: DockerRuntime
) -> None:
    spec = ServiceSpec(name="it", role="tool", image="tiny", config={"do": "wait"}, cores=())
    service = runtime.start(spec)
    with pytest.raises(DeployError, match="already in use"):
        runtime.start(spec)
    assert service.running()
    service.remove()
