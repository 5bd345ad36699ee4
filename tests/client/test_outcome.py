"""How a request ends, by the errno that ended it."""

import errno
import subprocess
import sys

import pytest

from client.books import outcome
from client.books.records import key_of, unpack


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (errno.ECONNREFUSED, "refused"),
        (errno.EPIPE, "reset"),
        (errno.ETIMEDOUT, "connect-timeout"),
        (errno.EADDRNOTAVAIL, "no-port"),
        (errno.EADDRINUSE, "no-port"),
        (errno.EMFILE, "no-file"),
        (errno.ENFILE, "no-file"),
        (errno.EHOSTUNREACH, "other"),
        (None, "other"),
    ],
)
def test_an_errno_is_told_as_its_kind_of_ending(number: int | None, name: str) -> None:
    assert outcome.NAMES[outcome.of_error(number)] == name


def test_every_ending_fits_into_a_record() -> None:
    import numpy as np

    for ending in range(len(outcome.NAMES)):
        slots, endings, sizes = unpack(np.array([key_of(7, ending) + 123]))
        assert (slots.tolist(), endings.tolist(), sizes.tolist()) == ([7], [ending], [123])


def test_a_process_beyond_its_open_files_meets_the_errno_that_is_told_as_no_file() -> None:
    script = (
        "import resource, socket\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))\n"
        "kept = []\n"
        "try:\n"
        "    while True: kept.append(socket.socket())\n"
        "except OSError as error:\n"
        "    print(error.errno)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert outcome.of_error(int(done.stdout)) == outcome.NO_FILE
