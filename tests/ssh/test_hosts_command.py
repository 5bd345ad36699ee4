"""`harness hosts …` on a real inventory: nothing is trusted unseen, and a host that cannot be used is exit code 3."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import EXIT_BAD_INPUT, EXIT_CANNOT_RUN
from tests.ssh.sshd import LOOPBACK, Sshd, free_port, running_sshd

pytestmark = pytest.mark.slow  # sshd is not everywhere: `make test` installs it

ROOT = Path(__file__).parents[2]


def harness(*words: str, answer: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "harness", "hosts", *words],
        input=answer, capture_output=True, text=True, timeout=100, check=False, cwd=ROOT,
    )  # fmt: skip


def inventory(folder: Path, *hosts: str) -> str:
    path = folder / "mine.yaml"
    path.write_text("version: 1\ntitle: Mine\nhosts:\n" + "".join(f"  {host}\n" for host in hosts))
    return str(path)


def line(name: str, server: Sshd, more: str = "") -> str:
    return f"{name}: {{address: {LOOPBACK}, port: {server.port}, user: root, key: {server.client_key}{more}}}"


@pytest.fixture
def bastion(tmp_path: Path, sshd: Sshd) -> Iterator[Sshd]:
    with running_sshd(tmp_path / "bastion") as server:
        with server.client_key.with_suffix(".pub").open("a") as file:
            file.write(sshd.client_key.with_suffix(".pub").read_text())
        yield server


def test_keys_are_shown_and_added_only_when_a_person_says_so(sshd: Sshd, tmp_path: Path) -> None:
    mine, known = inventory(tmp_path, line("one", sshd)), tmp_path / "known_hosts"
    for answer in ("", "n\n"):
        done = harness("trust", mine, answer=answer)
        assert done.returncode == EXIT_CANNOT_RUN
        assert "no key was added" in done.stderr
        assert not known.exists() or not known.read_text()
    done = harness("trust", mine, answer="y\n")
    assert done.returncode == 0, done.stderr
    for word in ("one", f"[{LOOPBACK}]:{sshd.port}", "ssh-ed25519", sshd.host_key.fingerprint, "new"):
        assert word in done.stdout
    assert known.read_text() == sshd.known_line
    done = harness("trust", mine)
    assert (done.returncode, "trusted" in done.stdout, known.read_text()) == (0, True, sshd.known_line)
    assert sshd.connection(tmp_path).run(["true"], timeout_s=20).status == 0


def test_a_changed_key_is_an_error_until_its_host_is_named_to_be_replaced(sshd: Sshd, tmp_path: Path) -> None:
    mine, known = inventory(tmp_path, line("one", sshd)), tmp_path / "known_hosts"
    with running_sshd(tmp_path / "other") as other:
        wrong = f"[{LOOPBACK}]:{sshd.port} ssh-ed25519 {other.host_key.get_base64()}\n"
    kept = f"# kept\nweb.example,{wrong}"
    known.write_text(kept)
    done = harness("trust", mine, "--yes")
    assert done.returncode == EXIT_CANNOT_RUN
    assert f"ANOTHER HOST KEY than the known one: ssh-ed25519 {sshd.host_key.fingerprint}" in done.stderr
    assert other.host_key.fingerprint in done.stderr
    assert f"`harness hosts trust {mine} --replace one`" in done.stderr
    assert known.read_text() == kept
    assert harness("trust", mine, "--replace", "one", "--yes").returncode == 0
    rest = f"ssh-ed25519 {other.host_key.get_base64()}\n"
    assert known.read_text() == f"# kept\nweb.example {rest}{sshd.known_line}"


def test_the_key_of_a_jump_host_is_shown_too_and_before_the_one_behind_it(
    sshd: Sshd, bastion: Sshd, tmp_path: Path
) -> None:
    jump = f", jump: 'root@{LOOPBACK}:{bastion.port}'"
    mine = inventory(tmp_path, line("one", sshd, jump))
    done = harness("trust", mine, "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout.index(bastion.host_key.fingerprint) < done.stdout.index(sshd.host_key.fingerprint)
    assert "jump host of one" in done.stdout
    assert (tmp_path / "known_hosts").read_text() == bastion.known_line + sshd.known_line


def test_a_host_that_is_not_there_does_not_keep_others_from_being_trusted(sshd: Sshd, tmp_path: Path) -> None:
    port = free_port()
    mine = inventory(tmp_path, f"gone: {{address: {LOOPBACK}, port: {port}}}", line("one", sshd))
    done = harness("trust", mine, "--yes")
    assert done.returncode == EXIT_CANNOT_RUN
    assert done.stderr.strip().startswith(f"gone: {LOOPBACK} port {port} refuses connections")
    assert (tmp_path / "known_hosts").read_text() == sshd.known_line


def test_a_slip_in_the_name_of_a_host_to_replace_is_told(sshd: Sshd, tmp_path: Path) -> None:
    done = harness("trust", inventory(tmp_path, line("one", sshd)), "--replace", "on")
    assert done.returncode == EXIT_BAD_INPUT
    assert done.stderr == "--replace on: no host of the inventory; did you mean `one`?\n"


def test_a_check_shows_every_host_and_fails_where_one_cannot_be_used(sshd: Sshd, tmp_path: Path) -> None:
    port = free_port()
    mine = inventory(
        tmp_path, line("one", sshd, ", cores: '4000'"), f"gone: {{address: {LOOPBACK}, port: {port}, roles: [client]}}"
    )
    assert harness("trust", mine, "--yes").returncode == EXIT_CANNOT_RUN  # one is gone
    done = harness("check", mine)
    assert done.returncode == EXIT_CANNOT_RUN
    rows = {row.split()[0]: row for row in done.stdout.splitlines() if row.endswith(("ready", "not usable"))}
    assert set(rows) == {"one", "gone"}
    assert " µs" in rows["one"]  # its clock was measured all the same
    assert f"gone: {LOOPBACK} port {port} refuses connections" in done.stdout
    assert "one: `cores` names CPU 4000" in done.stdout


@pytest.mark.docker
def test_a_check_of_a_usable_host_is_exit_code_0_with_its_engine(sshd: Sshd, tmp_path: Path) -> None:
    sshd.connection(tmp_path)  # its key is known
    done = harness("check", inventory(tmp_path, line("one", sshd)))
    assert done.returncode == 0, done.stdout + done.stderr
    version = subprocess.run(
        ["docker", "version", "--format", "{{.Server.Version}}"], capture_output=True, text=True, check=True, timeout=30
    ).stdout.strip()
    row = next(row for row in done.stdout.splitlines() if row.startswith("one"))
    assert version in row
    assert row.endswith("ready")


def test_facts_are_json_and_yaml_and_name_who_did_not_tell(sshd: Sshd, tmp_path: Path) -> None:
    sshd.connection(tmp_path)
    gone = f"gone: {{address: {LOOPBACK}, port: {free_port()}}}"
    done = harness("facts", inventory(tmp_path, line("one", sshd), gone), "--json")
    assert done.returncode == EXIT_CANNOT_RUN
    assert done.stderr.startswith("gone: ")
    told = json.loads(done.stdout)
    assert set(told) == {"one"}
    assert told["one"]["audit"]["kernel"] == told["one"]["kernel"]["release"]
    done = harness("facts", inventory(tmp_path, line("one", sshd)))
    assert (done.returncode, done.stdout.startswith("one:\n  boot_id: ")) == (0, True)


def test_an_inventory_that_is_not_there_is_told_with_those_that_are() -> None:
    done = harness("check", "no-such-inventory-at-all")
    assert done.returncode == EXIT_BAD_INPUT
    assert "there is no inventory `no-such-inventory-at-all`" in done.stderr
    assert "`cloud.example`" in done.stderr
