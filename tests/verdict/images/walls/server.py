"""A server that runs into one wall, by its option: each as small as can be, and otherwise well.

- `late-accept`: it looks at its queue of 2 every 0.3 s only, so most connections are dropped, and has all its CPU left.
- `files`: it may open 24 files.
- `memory`: a child serves, and keeps 4 MiB of each request; when the kernel kills it, there is the next child. `memory-alone`: there is none.
- `hang`: after 300 requests nobody is answered any more.
- `ports`: after 300 requests it takes every port of the host's range that is free, and keeps it.
"""

import errno
import itertools
import os
import resource
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from common.config import ServerConfig, read_config

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 128\r\nContent-Type: application/octet-stream\r\n%s\r\n" + b"x" * 128
ENOUGH = 300  # requests before the wall

served = itertools.count(1)
kept: list[object] = []


def listen(config: ServerConfig, backlog: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((config.host, config.port))
    listener.listen(backlog)
    return listener


def converse(connection: socket.socket, wall: str) -> None:
    """Answer until the client closes."""
    with connection:
        data = b""
        while chunk := connection.recv(65536):
            data += chunk
            while b"\r\n\r\n" in data:
                head, _, data = data.partition(b"\r\n\r\n")
                last = b"connection: close" in head.lower()
                meet(wall)
                connection.sendall(ANSWER % (b"Connection: close\r\n" if last else b""))
                if last:
                    return


def meet(wall: str) -> None:
    """What a request costs beyond its answer."""
    number = next(served)
    if wall in ("memory", "memory-alone"):
        kept.append(bytearray(os.urandom(4096) * 1024))
    elif wall == "hang" and number > ENOUGH:
        time.sleep(3600)
    elif wall == "ports" and number > ENOUGH:
        take_ports()


def take_ports() -> None:
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    for port in range(first, last + 1):
        taken = socket.socket()
        try:
            taken.bind(("0.0.0.0", port))
        except OSError:
            taken.close()
        else:
            kept.append(taken)


def accept_for_ever(listener: socket.socket, wall: str) -> None:
    while True:
        if wall == "late-accept":
            time.sleep(0.3)
            listener.setblocking(False)
        try:
            while True:
                connection, _ = listener.accept()
                connection.setblocking(True)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=converse, args=(connection, wall), daemon=True).start()
        except BlockingIOError:
            continue
        except OSError as error:
            if error.errno != errno.EMFILE:
                raise
            time.sleep(0.01)


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    config = read_config(Path(sys.argv[1]))
    wall = str(config.options["wall"])
    if wall == "files":
        resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))
    listener = listen(config, 2 if wall == "late-accept" else config.backlog)
    if wall == "memory":
        while True:
            if (child := os.fork()) == 0:
                accept_for_ever(listener, wall)
            os.waitpid(child, 0)
    accept_for_ever(listener, wall)


main()
