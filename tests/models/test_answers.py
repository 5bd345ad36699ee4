"""What every model does beside its answers: the handler's work and the access log.

That the answers are right, however requests arrive, is the conformance suite's to ask (test_conformance.py).
"""

from pathlib import Path

import pytest

from tests.models.support import GET, serving


def test_cpu_work_is_done_before_the_answer(model: str, folder: Path) -> None:
    with serving(model, folder, cpu_iterations=200_000) as server:
        assert server.client().ask(GET).status == 200
        end = server.stop()
    assert end.cpu_user_s is not None
    assert end.cpu_user_s > 0.01  # twice 200,000 rounds take longer than this on any machine


@pytest.mark.parametrize("mode", ["buffered", "flush"])
def test_the_log_has_a_line_for_each_request(model: str, folder: Path, mode: str) -> None:
    with serving(model, folder, log=mode) as server:
        clients = [server.client() for _ in range(4)]
        for _ in range(500):
            for client in clients:
                client.send(GET)
            assert {client.response().status for client in clients} == {200}
        server.client().ask(b'GET /"a HTTP/1.0\r\n\r\n')
        server.stop()
    lines = (folder / "out" / "access.log").read_text().splitlines()
    assert len(lines) == 2 + 4 * 500
    assert all(line.startswith("127.0.0.1 - - [") and line.endswith('" 200 128') for line in lines)
    assert sum('"GET /%22a HTTP/1.0"' in line for line in lines) == 1


def test_a_flushed_log_line_is_there_when_the_answer_is(model: str, folder: Path) -> None:
    with serving(model, folder, log="flush") as server:
        server.client().ask(GET)
        assert len((folder / "out" / "access.log").read_text().splitlines()) == 2


def test_without_a_log_there_is_no_file(model: str, folder: Path) -> None:
    with serving(model, folder) as server:
        server.client().ask(GET)
        server.stop()
    assert not (folder / "out" / "access.log").exists()
