"""The delay server: `images/backend`, which records the delays that it really made."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.raw import BackendReport
from tests.bench.beside import BODY_BYTES, DEADLINE_S, IMAGES, await_port, free_port


class DelayServer:
    """One that serves."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, folder: Path) -> None:
        self.port = port
        self._process = process
        self._folder = folder

    def stop(self) -> BackendReport:
        """End it, and read its report.

        Raises:
            RuntimeError: it ended with another status than 0.
        """
        self._process.terminate()
        if status := self._process.wait(DEADLINE_S):
            raise RuntimeError(f"the delay server ended with status {status}")
        return BackendReport.model_validate_json((self._folder / "out" / "exit.json").read_bytes())


@contextmanager
def delaying(core: int, delay_s: float, slow_s: float = 0.0, slow_share: float = 0.0) -> Iterator[DelayServer]:
    """A server on a core that answers after `delay_s`, and after `slow_s` for a share of the requests."""
    with tempfile.TemporaryDirectory(prefix="ceiling-bench-") as name:
        folder, port = Path(name), free_port()
        config = {
            "format": 1,
            "host": "127.0.0.1",
            "port": port,
            "body_bytes": BODY_BYTES,
            "distribution": "bimodal" if slow_share else "constant",
            "delay_s": delay_s,
            "slow_s": slow_s,
            "slow_share": slow_share,
            "seed": 4711,
        }
        (folder / "out").mkdir()
        (folder / "config.json").write_text(json.dumps(config))
        command = ["taskset", "-c", str(core), sys.executable, str(IMAGES / "backend" / "main.py"), name]
        with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(IMAGES)}) as process:
            try:
                await_port(port)
                yield DelayServer(process, port, folder)
            finally:
                process.kill()  # nothing happens to one that has ended
