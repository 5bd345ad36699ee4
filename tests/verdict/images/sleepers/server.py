"""A fixed number of workers, each of which sleeps 50 ms for a request: no CPU, no backend, and full all the same."""

import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from common.config import read_config

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 128\r\nContent-Type: application/octet-stream\r\nConnection: close\r\n\r\n"


def work(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        with connection:
            if connection.recv(65536):
                time.sleep(0.05)
                connection.sendall(HEAD + b"x" * 128)


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    config = read_config(Path(sys.argv[1]))
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((config.host, config.port))
    listener.listen(config.backlog)
    for _ in range(int(config.options["workers"])):
        threading.Thread(target=work, args=(listener,), daemon=True).start()
    signal.pause()


main()
