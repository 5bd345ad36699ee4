"""`model: {url: …}`: an experiment over a server that runs already, from the spec to the report."""

import contextlib
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from harness.errors import DeployError
from harness.proof import prove_foreign
from harness.result import TrialResult
from harness.spec.experiment import Trial
from harness.spec.foreign import RunningServer
from harness.stage import Places
from tests.client.certificates import Authority
from tests.client.servers import OK_RESPONSE, Make, Serve, Server, answering, requests_of, running
from tests.new.conftest import NAME, ROOT, Run, run_in
from tests.run.conftest import Command

pytestmark = pytest.mark.slow

HEAD = """\
version: 1
title: What does a client see?
repeats: 1
base:
  load: {connections: 3, warmup: 50 ms, window: 300 ms, timeout: 10 s}
"""
NOT_CHECKABLE = ("quiet", "apart", "server-count")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("tls") / "authority")


def measured(trial: TrialResult) -> None:
    """The trial went to its end, and says only what can be known from outside."""
    assert trial.state in ("ok", "marked", "invalid"), trial.reason
    assert trial.client is not None
    assert trial.client.ok > 0
    assert trial.client.errors == {}
    assert (trial.usage, trial.cores, trial.servers) == ({}, {}, {})
    assert {check.name: check.passed for check in trial.checks if check.name in NOT_CHECKABLE} == dict.fromkeys(
        NOT_CHECKABLE
    )
    assert trial.verdict is not None
    assert "server CPU unknown" in trial.verdict.evidence
    assert trial.verdict.limited_by in ("unknown", "client cpu")  # never nobody: who knows what the server had left


@pytest.mark.parametrize("runtime", ["process", pytest.param("docker", marks=pytest.mark.docker)])
def test_a_server_that_runs_is_measured_beside_a_model_and_goes_on_running(
    run: Run, places: Places, runtime: str
) -> None:
    with running(answering(OK_RESPONSE)) as server:
        origin = server.url.rstrip("/")
        trials = run(f"{HEAD}factors: {{model: [reactor, {{url: '{origin}'}}]}}\n", runtime)  # type: ignore[arg-type]
        by_name = {trial.factors["model"]: trial for trial in trials}
        assert set(by_name) == {"reactor", origin}
        measured(by_name[origin])
        assert by_name["reactor"].usage["server"].cores == 1
        with socket.create_connection(("127.0.0.1", server.port), 5):
            pass  # nobody stopped it
    client = by_name[origin].client
    assert client is not None
    assert server.requests == client.life_ok + 2  # two of them to prove it right
    report = (places.results / NAME / "latest" / "report" / "report.md").read_text()
    assert origin in report
    assert "runs already" in report


SEEN: set[bytes] = set()  # requests


def not_found(server: Server) -> Serve:
    """Answers 404, and remembers what it was asked."""

    def serve(connection: socket.socket) -> None:
        for request in requests_of(connection):
            SEEN.add(request)
            connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nnever")

    return serve


def growing(server: Server) -> Serve:
    """Answers of ever other lengths."""

    def serve(connection: socket.socket) -> None:
        for _ in requests_of(connection):
            body = b"x" * (server.count() % 7)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    return serve


def then_another(server: Server) -> Serve:
    """Answers rightly while it is proved right, and then with another length."""

    def serve(connection: socket.socket) -> None:
        for _ in requests_of(connection):
            right = server.count() <= 2
            connection.sendall(OK_RESPONSE if right else b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

    return serve


EXPECT_404 = "request.path: '/api?page=2', request.method: PATCH, request.headers.X-Tenant: acme, request.body: 3 B, request.expect: 404"
SERVERS: dict[str, tuple[Make, str]] = {  # label: server, and what else the level sets
    "asked": (not_found, EXPECT_404),
    "head": (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"), "request.method: HEAD"),
    "growing": (growing, ""),
    "then another": (then_another, ""),
    "busy": (answering(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"), ""),
    "not 404": (answering(OK_RESPONSE), "request.expect: 404"),
    "mail": (answering(b"220 mail ready\r\n", then_close=True), ""),
}


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TrialResult]:
    """One experiment over all of them, and over a port at which nothing listens."""
    with contextlib.ExitStack() as up, socket.create_server(("127.0.0.1", 0)) as free:
        levels = [f"{{label: nothing, set: {{model: {{url: 'http://127.0.0.1:{free.getsockname()[1]}'}}}}}}"]
        free.close()
        for label, (make, sets) in SERVERS.items():
            url = up.enter_context(running(make)).url.rstrip("/")
            levels.append(f"{{label: {label}, set: {{model: {{url: '{url}'}}, {sets}}}}}")
        text = HEAD + "factors:\n  model:\n" + "".join(f"    - {level}\n" for level in levels)
        folder = tmp_path_factory.mktemp("trials")
        done = run_in(folder, Places(ROOT / "images", folder / "results", folder / "state"), text, "process")
    return {trial.factors["model"]: trial for trial in done}


def test_it_is_asked_for_what_the_spec_says(trials: dict[str, TrialResult]) -> None:
    measured(trials["asked"])
    assert SEEN
    for asked in SEEN:
        assert asked.startswith(b"PATCH /api?page=2 HTTP/1.1\r\n")
        assert b"X-Tenant: acme\r\n" in asked
        assert b"Content-Length: 3\r\n" in asked
        assert len(asked.partition(b"\r\n\r\n")[2]) == 3


def test_answers_to_head_have_no_body_whatever_length_they_tell(trials: dict[str, TrialResult]) -> None:
    measured(trials["head"])


def test_answers_that_differ_in_length_are_not_checked_for_it_and_the_trial_says_so(
    trials: dict[str, TrialResult],
) -> None:
    measured(trials["growing"])
    expected = "two answers were 1 and 2 bytes long, so the length of answers is not checked"
    assert trials["growing"].notes == (expected,)


def test_what_it_answered_when_it_was_proved_right_is_what_is_expected_of_it(trials: dict[str, TrialResult]) -> None:
    client = trials["then another"].client
    assert client is not None
    assert client.ok == 0
    assert set(client.errors) == {"wrong"}


@pytest.mark.parametrize(
    ("label", "says"),
    [
        ("busy", "with status 503, which is no 2xx"),
        ("not 404", "with status 200, not 404"),
        ("mail", "the server does not answer"),
        ("nothing", "the server does not answer: [Errno 111] Connection refused; start it first, or check its `url`"),
    ],
)
def test_a_wrong_answer_or_none_fails_the_trial_with_where_and_why(
    trials: dict[str, TrialResult], label: str, says: str
) -> None:
    trial = trials[label]
    assert trial.state == "failed"
    assert trial.reason is not None
    assert says in trial.reason
    assert isinstance(trial.trial.model, RunningServer)
    assert trial.reason.startswith(f"{trial.trial.model.url}: ")


def test_https_is_trusted_by_a_file_beside_the_spec_or_not_checked_and_the_report_says_which(
    run: Run, places: Places, tmp_path: Path, authority: Authority
) -> None:
    (tmp_path / "ca.pem").write_bytes(authority.pem.read_bytes())
    context = authority.server("IP:127.0.0.1", "DNS:localhost")
    with running(answering(OK_RESPONSE), tls=context) as server:
        here, name = server.url[:-1], f"https://localhost:{server.port}"
        levels = f"[{{url: '{here}', ca: ca.pem}}, {{url: '{name}', insecure: true}}, {{label: not trusted, set: {{model: {{url: '{here}'}}}}}}]"
        trials = {trial.factors["model"]: trial for trial in run(f"{HEAD}factors: {{model: {levels}}}\n", "process")}
    measured(trials[here])
    measured(trials[name])
    refused = trials["not trusted"]
    assert refused.state == "failed"
    assert refused.reason is not None
    assert f"{here}: its certificate is not trusted" in refused.reason
    assert "`ca`" in refused.reason
    assert "`insecure: true`" in refused.reason
    latest = places.results / NAME / "latest"
    report = (latest / "report" / "report.md").read_text()
    assert f"{name}: its certificate was not checked" in report
    assert f"{here}: its certificate was not checked" not in report
    environment = json.loads((latest / "environment.json").read_text())
    assert set(environment["certificates"]) == {"ca.pem"}


@pytest.mark.docker
def test_https_from_the_clients_container_trusts_the_same_file(run: Run, tmp_path: Path, authority: Authority) -> None:
    (tmp_path / "ca.pem").write_bytes(authority.pem.read_bytes())
    with running(answering(OK_RESPONSE), tls=authority.server("IP:127.0.0.1")) as server:
        (trial,) = run(f"{HEAD}  model: {{url: '{server.url[:-1]}', ca: ca.pem}}\n", "docker")
    measured(trial)


def test_a_run_is_not_resumed_with_other_certificates(tmp_path: Path, harness: Command, authority: Authority) -> None:
    ca, spec, results = tmp_path / "ca.pem", tmp_path / "mine.yaml", tmp_path / "results"
    ca.write_bytes(authority.pem.read_bytes())
    arguments = ("run", spec, "--runtime", "process", "--results", results)
    with running(answering(OK_RESPONSE), tls=authority.server("IP:127.0.0.1")) as server:
        spec.write_text(f"{HEAD}  model: {{url: '{server.url[:-1]}', ca: ca.pem}}\n")
        assert harness(*arguments).returncode == 0
        record = results / "mine" / "latest" / "trials" / "base.r1" / "trial.json"
        assert json.loads(record.read_text())["trial"]["model"]["ca"] == "ca.pem"
        record.unlink()
        ca.write_bytes(authority.pem.read_bytes() + b"\n")
        changed = harness(*arguments, "--resume")
        assert (changed.returncode, changed.stderr.count("Traceback")) == (2, 0)
        assert "the certificates to trust" in changed.stderr
        ca.write_bytes(authority.pem.read_bytes())
        assert harness(*arguments, "--resume").returncode == 0
    assert record.is_file()


def test_load_speaks_https_with_headers_of_ones_own(harness: Command, authority: Authority) -> None:
    seen: set[bytes] = set()

    def make(server: Server) -> Serve:
        def serve(connection: socket.socket) -> None:
            for request in requests_of(connection):
                seen.add(request)
                connection.sendall(OK_RESPONSE)

        return serve

    short = ("--warmup", "50ms", "--window", "300ms", "--json")
    with running(make, tls=authority.server("IP:127.0.0.1")) as server:
        url = f"{server.url}items?page=2"
        trusted = harness(
            "load", url, "--ca", authority.pem, "--header", "X-Tenant: acme", "--method", "DELETE", *short
        )
        insecure = harness("load", url, "--insecure", *short)
        refused = harness("load", url, *short)
    assert trusted.returncode == 0, trusted.stderr
    assert json.loads(trusted.stdout)["ok"] > 0
    assert json.loads(trusted.stdout)["url"] == url
    assert insecure.returncode == 0, insecure.stderr
    assert any(one.startswith(b"DELETE /items?page=2 ") and b"X-Tenant: acme\r\n" in one for one in seen)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "is not trusted" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["https://127.0.0.1:1/", "--ca", "missing.pem"], "--ca: `missing.pem` cannot be read"),
        (["https://127.0.0.1:1/", "--ca", "README.md"], "--ca: `README.md` cannot be read (it holds no certificate)"),
        (["https://127.0.0.1:1/", "--ca", "x", "--insecure"], "keep one of them"),
        (["http://127.0.0.1:1/", "--insecure"], "`ca` and `insecure` are for https"),
        (["http://127.0.0.1:1/", "--header", "nothing"], "--header 'nothing': there is no colon in it"),
        (["http://127.0.0.1:1/", "--header", "Host: me"], "the load client sets `Host` itself"),
        (["ftp://127.0.0.1:1/"], "is not one that the client can load"),
        (["http://127.0.0.1:1/a b"], "URL: `path`"),
    ],
)
def test_load_says_in_a_line_what_is_wrong_with_https_and_headers(
    harness: Command, arguments: list[str], says: str
) -> None:
    done = harness("load", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_record_from_before_there_were_such_servers_is_still_read() -> None:
    """Format 1 as it was written: `model` is the name of a folder, `request` has no `expect`."""
    trial = {"model": "ppc", "options": {}, "request": {"path": "/", "method": "GET", "headers": {}, "body": "0 B"}}
    read = Trial.model_validate_json(json.dumps(trial))
    assert (read.model, read.model_name, read.request.expect) == ("ppc", "ppc", None)
    assert json.loads(read.model_dump_json())["model"] == "ppc"


class Dripping(BaseHTTPRequestHandler):
    """A stream of events: each wait for it is short, and it has no end."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(b"data: one\n\n")
                time.sleep(0.05)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


def test_an_answer_without_an_end_is_an_error_in_good_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.proof.START_DEADLINE_S", 0.3)
    monkeypatch.setattr("harness.proof.FOREIGN_PATIENCE_S", 0.3)
    with ThreadingHTTPServer(("127.0.0.1", 0), Dripping) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        origin = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(DeployError, match="a stream cannot be measured"):
            prove_foreign(origin, Trial(), None, None, [])
        server.shutdown()
