"""What may be wrong in the balancer's configuration, each told in one line, before HAProxy sees any of it."""

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.balancer.conftest import DEADLINE_S, ROOT

RIGHT: dict[str, Any] = {
    "format": 1,
    "mode": "tcp",
    "host": "127.0.0.1",
    "port": 8080,
    "backlog": 128,
    "servers": [{"name": "server-1", "host": "127.0.0.1", "port": 8081}],
    "algorithm": "roundrobin",
    "check": "off",
    "check_path": "/",
    "check_interval_s": 0.5,
    "fall": 3,
    "rise": 2,
    "connections": 10,
    "server_connections": None,
    "keep_alive": True,
    "timeout_s": 5.0,
    "threads": 1,
}
SERVER = RIGHT["servers"][0]
WRONG = [
    ("format to come", {"format": 2}, "format 2 is not known here"),
    ("mode", {"mode": "udp"}, "mode is 'udp'; it must be one of tcp, http"),
    ("algorithm", {"algorithm": "source"}, "algorithm is 'source'"),
    ("host that is a name", {"host": "localhost"}, "host is 'localhost'; it must be an IP address"),
    ("port", {"port": 0}, "port is 0; it must be a whole number from 1 to 65535"),
    ("truth as a number", {"threads": True}, "threads is True"),
    ("no server", {"servers": []}, "servers must be a list of at least one object"),
    ("two of one name", {"servers": [SERVER, SERVER]}, "two of servers have the same name"),
    ("line in a name", {"servers": [{**SERVER, "name": "a\n    bind *:1"}]}, "letters, digits, dots and dashes"),
    ("quote in a path", {"check_path": "/' ver HTTP/1.0"}, "it begins with a slash and is percent-encoded"),
    ("endless interval", {"check_interval_s": float("inf")}, "check_interval_s is inf"),
    ("unknown key", {"maxconn": 5}, "it must be an object with exactly"),
]


def run(folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(ROOT / "images/haproxy/main.py"), str(folder)],
        env={"PYTHONPATH": str(ROOT / "images")},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


@pytest.mark.parametrize(("changes", "words"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_a_wrong_configuration_is_one_line(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**RIGHT, **changes}))
    ended = run(tmp_path)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert words in line
    assert not (tmp_path / "haproxy.cfg").exists()


def test_no_configuration_is_one_line(tmp_path: Path) -> None:
    ended = run(tmp_path)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)
    assert "config.json: No such file or directory" in ended.stderr


def test_a_port_that_is_taken_ends_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        (tmp_path / "config.json").write_text(json.dumps({**RIGHT, "port": taken.getsockname()[1]}))
        ended = run(tmp_path)
    assert ended.returncode == 1
    assert "haproxy ended by itself with status 1" in ended.stderr
