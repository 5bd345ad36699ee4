"""Signals that come again, too fast, or too late: they change no mark, no count and no ending."""

import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from harness.raw import ServerReport
from tests.models.cases import each_case
from tests.models.support import GET, GET_AND_CLOSE, PATIENCE_S, serving, signalled


def ended(process: "subprocess.Popen[str]") -> ServerReport:
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (0, "")
    return ServerReport.model_validate_json(out)


@each_case
def test_marks_asked_for_until_the_very_end_are_in_order_and_before_it(
    model: str, options: Mapping[str, object], folder: Path
) -> None:
    with serving(model, folder, options=options) as server, signalled(server.process, signal.SIGUSR1):
        for _ in range(50):
            assert server.client().ask(GET_AND_CLOSE).status == 200
        server.process.send_signal(signal.SIGTERM)
        report = ended(server.process)
    times_ns = [mark.at_ns for mark in report.marks]
    assert len(times_ns) > 10
    assert times_ns == sorted(times_ns)
    assert times_ns[-1] <= report.at_ns
    assert report.requests == 51


@each_case
def test_a_stop_asked_for_again_and_again_is_the_same_stop(
    model: str, options: Mapping[str, object], folder: Path
) -> None:
    with serving(model, folder, options=options) as server:
        client = server.client()
        assert client.ask(GET).status == 200
        with signalled(server.process, signal.SIGTERM, signal.SIGINT):
            report = ended(server.process)
        assert client.at_end()
    assert report.requests == 2
