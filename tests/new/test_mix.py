"""A mix of requests in an experiment: every kind is proved, loaded and counted by itself."""

import socket
from pathlib import Path

import pytest

from harness.new import new_model
from harness.result import TrialResult
from harness.stage import Places
from tests.client.servers import Make, Serve, Server, requests_of, running
from tests.new.conftest import Run

pytestmark = pytest.mark.slow

SPEC = """\
version: 1
title: What does each kind get?
repeats: 1
base:
  load: {connections: 3, warmup: 50 ms, window: 400 ms, timeout: 10 s}
  handler: {kind: echo}
  request:
    mix:
      - {weight: 3, path: /a, method: POST, body: 100 B}
      - {weight: 2, path: /b, method: PUT, body: 30 KiB}
      - {weight: 1, path: /h, method: HEAD}
"""
FOREIGN = SPEC.replace("  handler: {kind: echo}\n", "").replace("method: HEAD", "method: HEAD, expect: 404")


def measured(trial: TrialResult) -> None:
    """The trial went to its end, and every kind got its right answers."""
    assert trial.state in ("ok", "marked", "invalid"), trial.reason
    assert trial.client is not None
    assert trial.client.errors == {}
    assert [share.errors for share in trial.client.mix] == [{}, {}, {}]
    assert min(share.ok for share in trial.client.mix) > 0
    assert sum(share.ok for share in trial.client.mix) == trial.client.ok


def test_a_model_echoes_each_kind_and_the_proof_is_in_its_count(run: Run) -> None:
    (trial,) = run(f"{SPEC}factors: {{model: [reactor]}}\n", "process")
    measured(trial)
    counts = next(check for check in trial.checks if check.name == "server-count")
    assert counts.passed is True, counts.detail


def answering_by_path(answers: dict[bytes, bytes]) -> Make:
    def make(server: Server) -> Serve:
        def serve(connection: socket.socket) -> None:
            for request in requests_of(connection):
                server.count()
                connection.sendall(answers[request.split(b" ", 2)[1]])

        return serve

    return make


def answer(length: int, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status, length) + b"y" * length


RIGHT = {b"/a": answer(7), b"/b": answer(8), b"/h": answer(9, b"404 No")[:-9]}


def test_what_another_server_answers_to_each_kind_is_what_is_expected_of_that_kind(run: Run) -> None:
    with running(answering_by_path(RIGHT)) as server:
        (trial,) = run(f"{FOREIGN}factors: {{model: [{{url: '{server.url.rstrip('/')}'}}]}}\n", "process")
    measured(trial)
    assert trial.client is not None
    assert server.requests == trial.client.life_ok + 6  # each kind was asked for twice before


def test_a_kind_that_is_answered_otherwise_than_it_must_be_fails_the_trial_by_its_name(run: Run) -> None:
    with running(answering_by_path({**RIGHT, b"/b": answer(8, b"500 No")})) as server:
        (trial,) = run(f"{FOREIGN}factors: {{model: [{{url: '{server.url.rstrip('/')}'}}]}}\n", "process")
    assert trial.state == "failed"
    assert trial.reason is not None
    assert "answers PUT /b with status 500, which is no 2xx" in trial.reason


SHOUTING = """\
import json, pathlib, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

config = json.loads(pathlib.Path(sys.argv[1], "config.json").read_text())

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        body = body.upper() if self.path == "/b" else body
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_PUT = do_POST

ThreadingHTTPServer((config["host"], config["port"]), Handler).serve_forever()
"""


def test_a_model_that_echoes_one_kind_wrongly_is_not_measured(places: Places, run: Run) -> None:
    folder: Path = new_model("mine", "python", places.images)
    (folder / "server.py").write_text(SHOUTING)
    (trial,) = run(f"{SPEC}factors: {{model: [mine]}}\n", "process")
    assert trial.state == "failed"
    assert trial.reason is not None
    assert "does not echo the request's body" in trial.reason
    assert trial.client is None
