"""Why a host cannot be reached: one line each, with what to do; and never a host whose key is not known."""

import os
import pty
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.errors import HostError
from harness.hosts.ssh import SshConnection
from tests.ssh.sshd import LOOPBACK, Sshd, free_port, make_key, running_sshd

pytestmark = pytest.mark.slow  # sshd is not everywhere: `make test` installs it

RESERVED_NAME = "no-such-host.invalid"  # RFC 6761: never there


def why(connection: SshConnection, timeout_s: float = 20.0) -> str:
    """The line that tells why it cannot be reached."""
    with pytest.raises(HostError) as error:
        connection.run(["true"], timeout_s=timeout_s)
    line = str(error.value)
    assert "\n" not in line
    assert line.startswith("one: ")
    return line


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port that takes connections and does something else than SSH."""
    taken: list[socket.socket] = []

    def serve(server: socket.socket) -> None:
        while True:
            try:
                connected, _ = server.accept()
            except OSError:
                return
            taken.append(connected)
            answer(connected)

    with socket.create_server((LOOPBACK, 0)) as server:
        thread = threading.Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    for connected in taken:
        connected.close()


def test_a_host_key_that_is_not_known_is_refused_with_the_command_that_shows_it(sshd: Sshd, tmp_path: Path) -> None:
    line = why(SshConnection("one", sshd.host(), tmp_path, tmp_path / "known_hosts", inventory="mine"))
    assert f"ssh-ed25519 {sshd.host_key.fingerprint}" in line
    assert "`harness hosts trust mine`" in line


def test_the_users_own_known_hosts_do_not_count(sshd: Sshd, tmp_path: Path, home: Path) -> None:
    (home / ".ssh" / "known_hosts").write_text(sshd.known_line)
    assert "not known yet" in why(SshConnection("one", sshd.host(), tmp_path, tmp_path / "known_hosts"))


def test_a_changed_host_key_is_refused_with_both_fingerprints_and_nothing_is_sent(sshd: Sshd, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other").with_suffix(".pub").read_text().split()
    (tmp_path / "known_hosts").write_text(f"[{LOOPBACK}]:{sshd.port} {other[0]} {other[1]}\n")
    fingerprint = subprocess.run(
        ["ssh-keygen", "-lf", str(tmp_path / "other.pub")], capture_output=True, text=True, check=True, timeout=20
    ).stdout.split()[1]
    line = why(SshConnection("one", sshd.host(), tmp_path, tmp_path / "known_hosts", inventory="mine"))
    assert (
        f"ANOTHER HOST KEY than the known one: ssh-ed25519 {sshd.host_key.fingerprint} instead of ssh-ed25519 {fingerprint}"
        in line
    )
    assert "`harness hosts trust mine --replace one`" in line


def test_a_known_key_of_another_type_is_a_changed_one(sshd: Sshd, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(tmp_path / "ec")], check=True, timeout=20)
    kind, blob, _ = (tmp_path / "ec.pub").read_text().split(" ", 2)
    (tmp_path / "known_hosts").write_text(f"[{LOOPBACK}]:{sshd.port} {kind} {blob}\n")
    line = why(SshConnection("one", sshd.host(), tmp_path, tmp_path / "known_hosts"))
    assert "ANOTHER HOST KEY" in line


def test_a_broken_line_of_known_keys_is_told(sshd: Sshd, tmp_path: Path) -> None:
    (tmp_path / "known_hosts").write_text(f"[{LOOPBACK}]:{sshd.port} ssh-ed25519 AAA\n")
    with pytest.raises(HostError, match="known_hosts: a line is no host key"):
        SshConnection("one", sshd.host(), tmp_path, tmp_path / "known_hosts").transport()


@pytest.mark.parametrize(
    ("marker", "told"),
    [
        ("@revoked", "says that a key must not be trusted any more"),
        ("@cert-authority", "host certificates are not read here"),
        ("@later", "says something of a key that is not known here"),
    ],
)
def test_a_marked_line_of_known_keys_is_refused_and_nobody_is_told_to_remove_it(
    sshd: Sshd, tmp_path: Path, marker: str, told: str
) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(f"{sshd.known_line}# revoked\n{marker} {sshd.known_line}")
    with pytest.raises(HostError, match=rf"known_hosts:3: `{marker}` .*{told}.*; leave the line where it is") as error:
        SshConnection("one", sshd.host(), tmp_path, known).transport()
    assert "remove" not in str(error.value)


def test_a_port_where_nobody_listens_is_told_as_refused(sshd: Sshd, tmp_path: Path) -> None:
    port = free_port()
    assert f"127.0.0.1 port {port} refuses connections; is sshd running" in why(sshd.connection(tmp_path, port=port))


def test_a_name_that_is_not_there_is_told_as_such(sshd: Sshd, tmp_path: Path) -> None:
    line = why(sshd.connection(tmp_path, address=RESERVED_NAME))
    assert f"{RESERVED_NAME} port {sshd.port} is a name that cannot be looked up" in line


def test_an_address_without_a_route_is_told_as_such(sshd: Sshd, tmp_path: Path) -> None:
    line = why(sshd.connection(tmp_path, address="255.255.255.255"))  # no host's, by definition
    assert "255.255.255.255" in line
    assert "cannot be reached (" in line


def test_a_port_that_takes_connections_and_says_nothing_is_left_at_the_deadline(sshd: Sshd, tmp_path: Path) -> None:
    with listening(lambda _: None) as port:
        line = why(sshd.connection(tmp_path, port=port), timeout_s=1)
    assert re.search(r"takes connections and (then says nothing|does not speak SSH); ", line)


def test_a_server_that_is_full_and_answers_no_connect_is_left_at_the_deadline(sshd: Sshd, tmp_path: Path) -> None:
    with socket.socket() as server, socket.socket() as first, socket.socket() as second:
        server.bind((LOOPBACK, 0))
        server.listen(0)  # and nobody accepts: once its queue is full the kernel drops what comes
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        line = why(sshd.connection(tmp_path, port=server.getsockname()[1]), timeout_s=1)
    assert "does not answer; is it up" in line


def test_a_port_that_speaks_something_else_is_told_as_such(sshd: Sshd, tmp_path: Path) -> None:
    def http(connected: socket.socket) -> None:
        connected.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 20)
        connected.close()

    with listening(http) as port:
        assert "does not speak SSH; is it the right port" in why(sshd.connection(tmp_path, port=port))


def test_a_refused_key_is_told_with_the_user_and_what_was_tried(sshd: Sshd, tmp_path: Path, home: Path) -> None:
    refused, locked = make_key(tmp_path / "refused"), make_key(home / ".ssh" / "id_ed25519", passphrase="secret")
    line = why(sshd.connection(tmp_path, key=str(refused), user="root"))
    assert f"does not let user `root` in; tried: {refused} (refused); see `user` and `key`" in line
    line = why(sshd.connection(tmp_path, key=None))
    assert f"{locked} (has a passphrase: load it into the agent with ssh-add)" in line
    locked.unlink()
    assert "tried: no key: neither a key file nor an agent" in why(sshd.connection(tmp_path, key=None))


@pytest.mark.parametrize(("content", "told"), [(None, "no such file"), ("nonsense\n", "not a private key")])
def test_a_key_file_that_is_none_is_told(sshd: Sshd, tmp_path: Path, content: str | None, told: str) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_text(content)
    assert f"{path} ({told})" in why(sshd.connection(tmp_path, key=str(path)))


def test_a_user_that_is_not_there_is_told_like_a_refused_key(sshd: Sshd, tmp_path: Path) -> None:
    assert "does not let user `nobody-here` in" in why(sshd.connection(tmp_path, user="nobody-here"))


def test_a_key_with_a_passphrase_works_from_the_agent(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL) as agent:
        try:
            while not path.exists():
                assert agent.poll() is None
            monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
            subprocess.run(["ssh-add", "-q", str(sshd.client_key)], check=True, timeout=20, stderr=subprocess.DEVNULL)
            connection = sshd.connection(tmp_path, key=None)
            assert connection.run(["echo", "in"], timeout_s=20).stdout == "in\n"
            connection.close()
        finally:
            agent.terminate()


def test_names_of_the_users_configuration_are_honoured(sshd: Sshd, tmp_path: Path, home: Path) -> None:
    settings = (
        f"HostName {LOOPBACK}\n Port {sshd.port}\n User root\n IdentityFile {sshd.client_key}\n IdentitiesOnly yes\n"
    )
    (home / ".ssh" / "config").write_text(f"Host web\n {settings}")
    connection = sshd.connection(tmp_path, address="web", port=None, user=None, key=None)
    assert connection.run(["id", "-un"], timeout_s=20).stdout == "root\n"
    assert connection.address == LOOPBACK
    connection.close()


def test_what_the_inventory_says_goes_before_the_users_configuration(sshd: Sshd, tmp_path: Path, home: Path) -> None:
    (home / ".ssh" / "config").write_text("Host *\n Port 1\n User nobody\n")
    connection = sshd.connection(tmp_path)
    assert connection.run(["id", "-un"], timeout_s=20).stdout == "root\n"
    connection.close()


@pytest.fixture
def bastion(tmp_path: Path) -> Iterator[Sshd]:
    with running_sshd(tmp_path / "bastion") as server:
        yield server


def trusted_both(sshd: Sshd, bastion: Sshd, folder: Path, **changes: object) -> SshConnection:
    """To the server through the bastion, whose key is offered the same as the host's."""
    authorized = bastion.client_key.with_suffix(".pub")
    if sshd.client_key.with_suffix(".pub").read_text() not in authorized.read_text():
        with authorized.open("a") as file:
            file.write(sshd.client_key.with_suffix(".pub").read_text())
    bastion.connection(folder)  # its key is known
    return sshd.connection(folder, "one", **{"jump": f"root@{LOOPBACK}:{bastion.port}", **changes})


def test_a_jump_host_is_gone_through(sshd: Sshd, bastion: Sshd, tmp_path: Path) -> None:
    connection = trusted_both(sshd, bastion, tmp_path)
    done = connection.run(["sh", "-c", "echo $SSH_CONNECTION"], timeout_s=20)
    assert done.stdout.split()[3] == str(sshd.port)
    assert bastion.end_sessions() > 0  # it was there, in between
    assert connection.run(["echo", "again"], timeout_s=20).stdout == "again\n"
    connection.close()


def test_a_jump_host_of_the_users_configuration_is_gone_through_with_its_key_checked(
    sshd: Sshd, bastion: Sshd, tmp_path: Path, home: Path
) -> None:
    config = f"Host bastion\n HostName {LOOPBACK}\n Port {bastion.port}\n User root\nHost far\n HostName {LOOPBACK}\n ProxyJump bastion\n"
    (home / ".ssh" / "config").write_text(config)
    connection = trusted_both(sshd, bastion, tmp_path, jump=None, address="far")
    assert connection.run(["true"], timeout_s=20).status == 0
    assert bastion.end_sessions() > 0
    connection.close()
    (tmp_path / "known_hosts").write_text(sshd.known_line)
    assert f"its jump host {LOOPBACK} port {bastion.port} has a host key that is not known yet" in why(
        SshConnection("one", sshd.host(address="far"), tmp_path, tmp_path / "known_hosts")
    )


@pytest.mark.parametrize("line", ["bastion", "sshd"])
def test_the_keys_of_jump_host_and_host_are_both_checked(sshd: Sshd, bastion: Sshd, tmp_path: Path, line: str) -> None:
    connection = trusted_both(sshd, bastion, tmp_path)
    known = {"bastion": sshd.known_line, "sshd": bastion.known_line}[line]  # all but the named one
    (tmp_path / "known_hosts").write_text(known)
    told = why(connection)
    assert "not known yet" in told
    assert ("its jump host" in told) is (line == "bastion")


def test_a_jump_host_that_cannot_go_on_is_told(sshd: Sshd, bastion: Sshd, tmp_path: Path) -> None:
    port = free_port()
    line = why(trusted_both(sshd, bastion, tmp_path, port=port))
    assert f"its jump host {LOOPBACK} port {bastion.port} cannot reach {LOOPBACK} port {port} (" in line


def test_a_jump_host_that_may_not_go_on_is_told(sshd: Sshd, tmp_path: Path) -> None:
    with running_sshd(tmp_path / "strict", more={"AllowTcpForwarding": "no"}) as strict:
        assert "forbids to go on to" in why(trusted_both(sshd, strict, tmp_path))


def test_a_jump_host_that_is_not_there_is_told(sshd: Sshd, tmp_path: Path) -> None:
    line = why(sshd.connection(tmp_path, jump=f"root@{LOOPBACK}:{free_port()}"))
    assert re.search(r"its jump host 127\.0\.0\.1 port \d+ refuses connections", line)


def test_nothing_is_asked_even_in_a_terminal(sshd: Sshd, tmp_path: Path) -> None:
    locked = make_key(tmp_path / "locked", passphrase="secret")
    program = (
        "import sys; from pathlib import Path; from harness.hosts.ssh import SshConnection;"
        "from harness.spec.inventory import InventoryHost; from harness.errors import HostError\n"
        f"host = InventoryHost(address={LOOPBACK!r}, port={sshd.port}, user='root', key={str(locked)!r})\n"
        f"connection = SshConnection('one', host, Path('/'), Path({str(tmp_path / 'known_hosts')!r}))\n"
        "try: connection.run(['true'], timeout_s=20)\n"
        "except HostError as error: print('told:', error)\n"
    )
    (tmp_path / "known_hosts").write_text(sshd.known_line)
    terminal, end = pty.openpty()
    argv = [sys.executable, "-c", program]
    with subprocess.Popen(argv, stdin=end, stdout=end, stderr=end, start_new_session=True) as process:
        os.close(end)
        assert process.wait(60) == 0  # it did not wait for an answer
        shown = os.read(terminal, 10_000).decode()
    os.close(terminal)
    assert "told: one: " in shown
    assert "has a passphrase: load it into the agent" in shown
    assert "assword" not in shown
