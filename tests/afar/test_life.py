"""A service of a remote engine does what one of the local engine does."""

import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from signal import SIGTERM, SIGUSR1

import docker
import pytest

from harness.errors import DeployError
from harness.runtime.docker.over_ssh import connect_over
from tests.afar.conftest import HOST, Start
from tests.ssh.sshd import running_sshd

pytestmark = pytest.mark.docker
DEADLINE_S = 30.0
ECHO = """
import os, time
while not os.path.exists("/ceiling/given"): time.sleep(0.01)
os.link("/ceiling/given", "/ceiling/out/taken")
print("taken")
time.sleep(60)
"""


def test_it_lives_its_life(start: Start) -> None:
    service = start("wait", config={"text": "é"})
    assert json.loads(next(service.lines(DEADLINE_S))) == {"event": "ready", "config": {"do": "wait", "text": "é"}}
    assert service.running()
    service.signal(SIGUSR1)
    assert json.loads(next(service.lines(DEADLINE_S))) == {"event": "mark"}
    service.signal(SIGTERM)
    assert service.wait(DEADLINE_S) == 0
    assert not service.running()
    assert json.loads(service.fetch("exit.json")) == {"requests": 3}
    with pytest.raises(FileNotFoundError):
        service.fetch("nothing.json")
    assert '"event": "mark"' in service.logs()
    service.remove()
    service.remove()


def test_it_is_reached_at_the_hosts_address(start: Start) -> None:
    assert start("wait").address == "127.0.0.9"


def test_large_files_go_in_and_come_back_whole(start: Start) -> None:
    service = start(program=ECHO)
    data = os.urandom(20_000_000)
    service.put("given", data)
    assert next(service.lines(DEADLINE_S)) == "taken"
    assert service.fetch("taken") == data


def test_lines_longer_than_the_engines_pieces_stay_whole(start: Start) -> None:
    service = start(program="print('x' * 100_000); print('y' * 40_000, end='')")
    assert [(line[0], len(line)) for line in service.lines(DEADLINE_S)] == [("x", 100_000), ("y", 40_000)]


def test_silence_has_a_deadline_and_names_the_host(start: Start) -> None:
    service = start(program="import time; time.sleep(60)")
    with pytest.raises(DeployError, match=r"it-1 on afar: printed nothing for 0.2 s"):
        next(service.lines(0.2))
    with pytest.raises(DeployError, match=r"it-1 on afar: did not end within 0.2 s"):
        service.wait(0.2)


def test_what_the_engine_refuses_is_told_at_once_and_leaves_nothing(
    start: Start, here: docker.DockerClient, run: str
) -> None:
    with pytest.raises(DeployError, match=r"it-1 on afar: its container did not start: .*CPUs"):
        start("wait", cores=(4095,))
    assert here.containers.list(all=True, filters={"label": f"ceiling.run={run}"}) == []


def test_more_streams_than_sshd_allows_sessions(start: Start) -> None:
    services = [start("wait", config={"number": number}) for number in range(12)]  # MaxSessions is 10
    said = [json.loads(next(service.lines(DEADLINE_S)))["config"]["number"] for service in services]
    assert said == list(range(12))


@pytest.fixture
def small(here: docker.DockerClient) -> Iterator[str]:
    """An image of one file of 8 MB."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("noise")
        entry.size = 8 << 20
        tar.addfile(entry, io.BytesIO(os.urandom(entry.size)))
    told = here.api.import_image_from_data(archive.getvalue(), repository="ceiling-test/afar", tag=str(os.getpid()))
    image_id: str = json.loads(told.splitlines()[-1])["status"]
    yield image_id
    here.images.remove(image_id, force=True)


def test_an_image_is_saved_and_loaded(client: docker.DockerClient, here: docker.DockerClient, small: str) -> None:
    packed = b"".join(client.images.get(small).save(chunk_size=1 << 20))
    here.images.remove(small, force=True)
    (loaded,) = client.images.load(packed)
    assert loaded.id == small


def test_where_sshd_forwards_nothing_the_hosts_docker_command_is_the_way(tmp_path: Path, small: str) -> None:
    with running_sshd(tmp_path / "sshd", more={"DisableForwarding": "yes"}) as server:
        connection = server.connection(tmp_path, HOST)
        client = connect_over(connection.transport, HOST)
        assert len(b"".join(client.images.get(small).save(chunk_size=1 << 20))) > 8 << 20
        assert client.ping()
        client.close()
        connection.close()
