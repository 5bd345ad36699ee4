"""A host read from afar is what its own readers say; its clock is known as well as it is said to be."""

import time
from pathlib import Path

import pytest

from harness.errors import HostError
from harness.hosts.checking import check_host, engine_trouble
from harness.hosts.clock import measure_clock
from harness.hosts.connection import ClockOffset
from harness.hosts.facts import machine_facts
from harness.hosts.remote import ARCHITECTURES, Engine, boot_id, host_of, read_host
from harness.hosts.room import room_of_this_host
from harness.hosts.settings import HostAudit, collect_settings
from harness.hosts.ssh import SshConnection
from harness.hosts.vantage import own_vantage
from tests.ssh.sshd import Sshd, free_port, running_sshd

pytestmark = pytest.mark.slow  # sshd is not everywhere: `make test` installs it

CHANGING = {"fs.file-nr", "net.netfilter.nf_conntrack_count"}


def lasting(audit: HostAudit) -> dict[str, object]:
    """What does not change from one moment to the next."""
    told = audit.model_dump(exclude={"load_average", "memory_available_bytes"})
    told["cgroup"].pop("pids_used")
    told["sysctls"] = {name: value for name, value in told["sysctls"].items() if name not in CHANGING}
    return told


def test_this_machine_read_from_afar_is_what_it_is_from_within(connection: SshConnection) -> None:
    far, own = read_host(connection, timeout_s=60), own_vantage()
    assert lasting(far.audit) == lasting(collect_settings())
    assert far.facts == machine_facts(Path("/"), own)
    room = room_of_this_host()
    assert (far.room.open_files, far.room.ports) == (room.open_files, room.ports)
    assert (far.room.memory_bytes or 0) > 1 << 20
    assert far.cpus == own.cpus
    assert far.architecture == ARCHITECTURES[own.machine]
    assert far.engine is None


def test_a_boot_has_one_id_whichever_way_it_is_asked_for(connection: SshConnection) -> None:
    kernels = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert boot_id(connection, 20) == read_host(connection, timeout_s=60).boot_id
    assert boot_id(connection, 20).startswith(f"{kernels}/")


def test_a_path_that_leads_out_of_the_recording_is_refused() -> None:
    told = {
        "files": {"/proc/../../etc/x": ""}, "limits": {"open_files": [1, 1]}, "as_root": False, "cpus": [0],
        "machine": "x86_64", "switch_interval_s": 0.005, "engine": None,
    }  # fmt: skip
    with pytest.raises(ValueError, match="leads elsewhere"):
        host_of(told)


def test_the_offset_of_a_clock_lies_within_its_error(connection: SshConnection) -> None:
    offset = measure_clock(connection)  # of this machine's own clock: the truth is 0
    assert abs(offset.offset_ns) <= offset.error_ns
    assert 0 < offset.error_ns < 1_000_000_000


def test_an_instant_goes_to_the_hosts_clock_and_back() -> None:
    offset, now = ClockOffset(offset_ns=-5_000, error_ns=10), time.monotonic_ns()
    assert offset.on_host(now) == now - 5_000
    assert offset.on_controller(offset.on_host(now)) == now


def test_a_host_without_python_is_sent_to_be_prepared(tmp_path: Path) -> None:
    with running_sshd(tmp_path / "sshd", more={"SetEnv": "PATH=/nowhere"}) as server:
        connection = server.connection(tmp_path)
        for look in (read_host, measure_clock):
            with pytest.raises(HostError, match=r"^one: there is no `python3`; run `harness hosts prepare`"):
                look(connection)
        connection.close()


ENGINES = [
    (Engine(127, "", "", None), "Docker is not installed; run `harness hosts prepare`"),
    (Engine(124, "", "", None), "Docker's engine does not answer"),
    (
        Engine(1, "", "Got permission denied while trying to connect to the Docker daemon socket", None),
        "the user may not use Docker's engine; add it to the group `docker`",
    ),
    (
        Engine(1, "", "permission denied while trying to connect to the docker API at unix:///var/run/docker.sock", None),
        "the user may not use Docker's engine",
    ),
    (
        Engine(1, "", "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?", None),
        "Docker is installed and its engine is not running",
    ),
    (
        Engine(1, "", "failed to connect to the docker API at unix:///var/run/docker.sock; no such file", None),
        "Docker is installed and its engine is not running",
    ),
    (Engine(2, "", "flag provided\nunknown flag: --format", None), "ended with status 2: unknown flag: --format"),
]  # fmt: skip


@pytest.mark.parametrize(("engine", "told"), ENGINES)
def test_why_docker_does_not_answer_is_told_apart(engine: Engine, told: str) -> None:
    assert told in (engine_trouble(engine) or "")


def test_an_engine_that_answers_is_no_trouble() -> None:
    assert engine_trouble(Engine(0, "26.1 amd64", "", 10**12)) is None


def test_a_host_that_is_not_there_is_the_trouble_of_its_check(sshd: Sshd, tmp_path: Path) -> None:
    host = sshd.host(port=free_port())
    checked = check_host(SshConnection("one", host, tmp_path, tmp_path / "known_hosts"), host)
    assert len(checked.trouble) == 1
    assert "refuses connections" in checked.trouble[0]
    assert checked.remote is None


def test_cores_that_a_host_does_not_have_are_the_trouble_of_its_check(connection: SshConnection, sshd: Sshd) -> None:
    checked = check_host(connection, sshd.host(cores="0,4000-4001"))
    assert any("one: `cores` names CPU 4000, 4001, and it has" in line for line in checked.trouble)
    assert checked.clock is not None
