"""How far a host's monotonic clock is ahead of ours, and how sure that is: a ping-pong over one SSH channel.

Each round sends a line and gets back the host's time. It was read between our sending and our receiving, so the middle of
the two is off by half of the round trip at most; the shortest of many rounds bounds it best.
"""

import shlex
import time
from functools import partial
from typing import TYPE_CHECKING

from harness.errors import HostError
from harness.hosts.ask import NO_SUCH_COMMAND, missing
from harness.hosts.connection import ClockOffset, Connection
from harness.hosts.deadline import Deadline, Late, by

if TYPE_CHECKING:
    from paramiko import Channel, Transport

ROUNDS = 20
DEADLINE_S = 10.0
_ANSWER = 20  # bytes: 19 digits and the end of the line

# Run by `python3 -c`: answers each line with the time, until there is no more.
_CLOCK = """\
import sys, time
for line in sys.stdin.buffer:
    sys.stdout.buffer.write(b"%019d\\n" % time.monotonic_ns())
    sys.stdout.buffer.flush()
"""


def measure_clock(connection: Connection, *, rounds: int = ROUNDS, timeout_s: float = DEADLINE_S) -> ClockOffset:
    """The offset of a host's CLOCK_MONOTONIC against this process's `time.monotonic_ns`.

    Args:
        connection: to the host.
        rounds: questions; the best one counts.
        timeout_s: for all of it, beside connecting.

    Raises:
        HostError: the host cannot be reached, has no python3, or does not answer in time.
    """
    from paramiko import SSHException

    transport = connection.transport()
    deadline = Deadline.after(timeout_s)
    try:
        return by(deadline, partial(_measure, connection.name, transport, rounds, deadline))
    except Late as error:
        raise HostError(
            f"{connection.name}: its clock was not read within {timeout_s:g} s; is it overloaded?"
        ) from error
    except (SSHException, OSError, EOFError) as error:
        raise HostError(f"{connection.name}: the connection was lost while its clock was read; try again") from error


def _measure(name: str, transport: "Transport", rounds: int, deadline: Deadline) -> ClockOffset:
    from harness.hosts.ssh.command import open_session

    with open_session(transport, deadline) as channel:
        channel.settimeout(deadline.left_s)
        channel.exec_command(shlex.join(["python3", "-c", _CLOCK]))
        offsets = [_round(name, channel) for _ in range(rounds + 1)]
        channel.shutdown_write()
    return min(offsets[1:], key=lambda offset: offset.error_ns)  # the first waited for Python to start


def _round(name: str, channel: "Channel") -> ClockOffset:
    sent_ns = time.monotonic_ns()
    channel.sendall(b"\n")
    answer = b""
    while len(answer) < _ANSWER:
        piece = channel.recv(_ANSWER - len(answer))
        if not piece:
            raise HostError(_why_no_answer(name, channel))
        answer += piece
    received_ns = time.monotonic_ns()
    error_ns = (received_ns - sent_ns + 1) // 2
    return ClockOffset(int(answer) - (sent_ns + received_ns) // 2, error_ns)


def _why_no_answer(name: str, channel: "Channel") -> str:
    errors = channel.recv_stderr(1000).decode(errors="replace").strip()
    if channel.recv_exit_status() == NO_SUCH_COMMAND:
        return missing(name, "python3")
    return f"{name}: its clock cannot be read: {errors.splitlines()[-1] if errors else 'python3 ended without a word'}"
