"""Starting a process through the launcher, and knowing that it has become the program that was asked for."""

import os
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DeployError

LAUNCHER = Path(__file__).with_name("launcher.py")
START_DEADLINE_S = 10.0

# The kernel kills a launched process when the *thread* that started it ends. One thread, which lives as long as the
# harness, therefore starts them all; callers may use threads that come and go.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="starter")


@dataclass(frozen=True)
class Launch:
    """What is to be started, and how."""

    program: Sequence[str]
    directory: Path
    environment: Mapping[str, str]
    output: Path  # folder for the files `stdout` and `stderr`
    cores: Sequence[int]  # none: wherever the harness may run
    open_files: int | None


def launch(what: Launch) -> "subprocess.Popen[bytes]":
    """Start a process in a session of its own, pinned and limited, which the kernel kills when the harness dies.

    Raises:
        DeployError: it could not be pinned, limited or executed.
    """
    return _starter.submit(_launch, what).result()


def _launch(what: Launch) -> "subprocess.Popen[bytes]":
    reading, writing = os.pipe()
    try:
        try:
            process = _start(what, writing)
        finally:
            os.close(writing)
        reason = _status(reading)
    finally:
        os.close(reading)
    if reason is not None:
        process.kill()
        process.wait(START_DEADLINE_S)
        raise DeployError(f"{' '.join(what.program)}: could not be started: {reason}")
    return process


def _start(what: Launch, status_fd: int) -> "subprocess.Popen[bytes]":
    cores = ",".join(map(str, what.cores)) or "-"
    settings = [str(os.getpid()), str(status_fd), cores, str(what.open_files or "-")]
    with (what.output / "stdout").open("ab") as stdout, (what.output / "stderr").open("ab") as stderr:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(LAUNCHER), *settings, *what.program],
            cwd=what.directory,
            env=what.environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            pass_fds=[status_fd],
            start_new_session=True,  # a terminal's Ctrl-C is the harness's business
        )


def _status(reading: int) -> str | None:
    """Why the launcher failed; none when its end of the pipe closed by exec."""
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    if not poll.poll(START_DEADLINE_S * 1e3):
        return f"the launcher did not get there within {START_DEADLINE_S:g} s"
    return os.read(reading, 4096).decode(errors="replace") or None
