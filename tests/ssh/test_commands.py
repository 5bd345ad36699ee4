"""Commands arrive as they were said, end in time, and their whole output comes back."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.errors import HostError
from harness.hosts.ssh import SshConnection
from tests.ssh.sshd import Sshd, running_sshd

pytestmark = pytest.mark.slow  # sshd is not everywhere: `make test` installs it

HARD_WORDS = [
    "two words",
    "",
    "'single' and \"double\"",
    "$(touch /nowhere) `id` $HOME ${PATH}",
    "line\nbreak\ttab",
    "; rm -rf x && echo | cat > y < z &",
    "*?[a-z]{1,2}~!#\\",
    "naïve – ≥ 🙂",
    "-n",
    "\udcff",  # a byte that is no UTF-8
]


def test_every_word_reaches_the_program_as_it_is(connection: SshConnection) -> None:
    program = "import os, sys; sys.stdout.write(repr([os.fsencode(word) for word in sys.argv[1:]]))"
    done = connection.run([sys.executable, "-c", program, *HARD_WORDS], timeout_s=20)
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout == repr([word.encode(errors="surrogateescape") for word in HARD_WORDS])


def test_status_and_both_outputs_come_back_apart(connection: SshConnection) -> None:
    done = connection.run(["sh", "-c", "echo out; echo err >&2; exit 7"], timeout_s=20)
    assert (done.status, done.stdout, done.stderr) == (7, "out\n", "err\n")


def test_a_command_that_is_not_there_has_status_127_and_is_named(connection: SshConnection) -> None:
    done = connection.run(["no-such-command"], timeout_s=20)
    assert done.status == 127
    assert "no-such-command" in done.stderr


def test_a_command_that_a_signal_ends_has_no_status_of_its_own(connection: SshConnection) -> None:
    assert connection.run(["sh", "-c", "kill -9 $$"], timeout_s=20).status == -1


def test_much_input_and_much_output_on_both_sides_pass_at_the_same_time(connection: SshConnection) -> None:
    data = bytes(range(256)) * 4096 + b"end"
    program = (
        "import sys; data = sys.stdin.buffer.read();"
        "sys.stderr.write('e' * 1_000_000); sys.stdout.write(f'{len(data)} {data[-3:]}' + 'o' * 1_000_000)"
    )
    done = connection.run([sys.executable, "-c", program], timeout_s=60, stdin=data)
    assert done.stdout == f"{len(data)} b'end'" + "o" * 1_000_000
    assert done.stderr == "e" * 1_000_000


def test_a_command_that_does_not_read_its_input_ends_all_the_same(connection: SshConnection) -> None:
    assert connection.run(["true"], timeout_s=60, stdin=b"x" * 8_000_000).status == 0


def test_a_command_without_input_finds_its_end(connection: SshConnection) -> None:
    assert connection.run(["cat"], timeout_s=20).stdout == ""


@pytest.mark.parametrize("argv", [[], ["printf", "a\0b"]], ids=["empty", "NUL"])
def test_what_cannot_be_a_command_is_refused_before_it_is_sent(connection: SshConnection, argv: list[str]) -> None:
    with pytest.raises(HostError, match=r"one: .* cannot be a command"):
        connection.run(argv, timeout_s=20)


def test_a_command_that_hangs_is_left_at_its_deadline_and_others_go_on(connection: SshConnection) -> None:
    transport = connection.transport()
    with pytest.raises(HostError, match=r"^one: `sleep 600` did not end within 0.5 s; it may still run there$"):
        connection.run(["sleep", "600"], timeout_s=0.5)
    assert connection.run(["echo", "still here"], timeout_s=20).stdout == "still here\n"
    assert connection.transport() is transport  # the connection was fine: others use it, too


def test_many_commands_at_once_each_get_their_own_answer(connection: SshConnection) -> None:
    def ask(number: int) -> str:
        return connection.run(["sh", "-c", f"cat; echo {number}"], timeout_s=60, stdin=b"in ").stdout

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(24))) == [f"in {number}\n" for number in range(24)]


def test_more_commands_than_the_host_takes_sessions_wait_for_each_other(tmp_path: Path) -> None:
    with running_sshd(tmp_path / "sshd", more={"MaxSessions": "2"}) as server:
        connection = server.connection(tmp_path)
        with ThreadPoolExecutor(6) as pool:
            done = pool.map(lambda number: connection.run(["echo", str(number)], timeout_s=60), range(12))
            assert [one.stdout for one in done] == [f"{number}\n" for number in range(12)]


def test_a_host_without_a_free_session_until_the_deadline_says_so(tmp_path: Path) -> None:
    with running_sshd(tmp_path / "sshd", more={"MaxSessions": "1"}) as server:
        connection = server.connection(tmp_path)
        busy = connection.transport().open_session(timeout=10)
        with pytest.raises(HostError, match=r"one: .*(MaxSessions|did not end)"):
            connection.run(["true"], timeout_s=1)
        busy.close()


def test_root_needs_no_sudo(connection: SshConnection) -> None:
    assert connection.run(["id", "-u"], timeout_s=20, as_root=True).stdout == "0\n"


def test_threads_that_wait_for_the_same_failing_connection_share_one_attempt(sshd: Sshd, tmp_path: Path) -> None:
    connection = SshConnection("one", sshd.host(), tmp_path, tmp_path / "none")
    told: list[str] = []

    def ask() -> None:
        with pytest.raises(HostError) as error:
            connection.run(["true"], timeout_s=30)
        told.append(str(error.value))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(told) == 4
    assert all("host key that is not known yet" in line for line in told)
