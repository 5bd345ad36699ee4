"""Reading the kernel's small files: whole, cheaply, and never by a descriptor that is kept.

(A kept descriptor of a v1 `cgroup.procs` that is read more than once a second shows its first content for ever.)
"""

import os

CHUNK_BYTES = 1 << 16


class Gone(Exception):  # noqa: N818 - an end that is expected
    """What was watched is there no more."""


def read(path: str) -> bytes:
    """The whole content.

    Raises:
        PermissionError: this user may not.
        Gone: the process or the cgroup has ended, or has no such file.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            content = part = os.read(fd, CHUNK_BYTES)
            while part:  # such a file may hand out a page at a time
                part = os.read(fd, CHUNK_BYTES)
                content += part
            return content
        finally:
            os.close(fd)
    except PermissionError:
        raise
    except OSError as error:
        raise Gone(path) from error


def names(path: str) -> list[str]:
    """The names in a folder.

    Raises:
        PermissionError: this user may not.
        Gone: there is no such folder any more.
    """
    try:
        return os.listdir(path)  # noqa: PTH208 - a Path for each of hundreds of names is dear
    except PermissionError:
        raise
    except OSError as error:
        raise Gone(path) from error


def read_or(path: str, otherwise: bytes) -> bytes:
    """The whole content, or another where it cannot be read."""
    try:
        return read(path)
    except (Gone, PermissionError):
        return otherwise


def keyed(content: bytes) -> dict[str, int]:
    """Lines of `name number`."""
    return {name.decode(): int(value) for name, _, value in (line.partition(b" ") for line in content.splitlines())}
