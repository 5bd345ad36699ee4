"""A run over hosts that is under way, so that a test can take something from it, and what came of it."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.run.conftest import ROOT, Command
from tests.testbed_fixture import Testbed

DEADLINE_S = 120.0


@dataclass(frozen=True)
class UnderWay:
    """The command at work on a spec."""

    process: "subprocess.Popen[bytes]"
    spec: Path
    log: Path

    def ends(self, deadline_s: float = DEADLINE_S) -> int:
        """Its exit status."""
        return self.process.wait(deadline_s)

    def wait_for(self, what: Callable[[], object], deadline_s: float = DEADLINE_S) -> None:
        """Until something is so; what the command printed where it does not become so."""
        until_s = time.monotonic() + deadline_s
        while not what():
            assert time.monotonic() < until_s, self.log.read_text()
            time.sleep(0.1)

    def wait_for_load(self, *client_hosts: Any) -> None:
        """Until the load clients on these hosts have been told when to start."""
        self.wait_for(lambda: all(told_to_start(host) for host in client_hosts))


@contextlib.contextmanager
def running(inventory: Path, spec: Path) -> Iterator[UnderWay]:
    """The command, at work; it is killed in the end, where it still is."""
    options = ["--hosts", str(inventory), "--results", str(spec.parent / "results")]
    log = spec.parent / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "harness", "run", str(spec), *options], cwd=ROOT, stdout=out, stderr=out
        )
    try:
        yield UnderWay(process, spec, log)
    finally:
        process.kill()
        process.wait()


def journal(spec: Path) -> list[dict[str, Any]]:
    """What the newest run of a spec has noted."""
    found = list((spec.parent / "results").glob(f"{spec.stem}/latest/journal.jsonl"))
    return [json.loads(line) for line in found[0].read_text().splitlines()] if found else []


def begun(spec: Path) -> list[str]:
    """Trials that have begun, each as often as it has."""
    return [str(line["id"]) for line in journal(spec) if line["event"] == "trial begins"]


def made_again(spec: Path) -> list[str]:
    """Why trials were made again, for each time."""
    return [str(line["reason"]) for line in journal(spec) if line["event"] == "trial again"]


def records(spec: Path) -> list[dict[str, Any]]:
    """Of the trials that are finished, in their order."""
    found = (spec.parent / "results").glob(f"{spec.stem}/latest/trials/*/trial.json")
    return sorted((json.loads(path.read_bytes()) for path in found), key=lambda record: int(record["order"]))


def shares(spec: Path, record: dict[str, Any]) -> list[dict[str, Any]]:
    """What each of a trial's load clients reported."""
    folder = spec.parent / "results" / spec.stem / "latest" / "trials" / record["id"] / "clients"
    return [json.loads(path.read_bytes()) for path in sorted(folder.glob("*.json"))]


def running_on(host: Any, role: str = "") -> list[str]:
    """Ids of the containers of runs that run on a host of the testbed: those of a role, or all."""
    wanted = f"label=ceiling.role={role}" if role else "label=ceiling.run"
    told = host.exec_run(["docker", "ps", "-q", "--filter", wanted])
    return list(told.output.decode().split()) if told.exit_code == 0 else []


def told_to_start(host: Any) -> bool:
    """Whether there are load clients on a host, and each has its start barrier."""
    clients = running_on(host, "client")
    return bool(clients) and all(
        host.exec_run(["docker", "exec", client, "test", "-e", "/ceiling/start.json"]).exit_code == 0
        for client in clients
    )


def nothing_is_left(harness: Command, testbed: Testbed) -> None:
    """See that no host of a testbed has anything of a run."""
    looked = harness("clean", testbed.inventory, "--dry-run")
    assert looked.returncode == 0, looked.stderr
    rows = [line.split() for line in looked.stdout.splitlines() if line.strip().startswith("host-")]
    assert [row[1:] for row in rows] == [["0"] * 5] * len(testbed.containers), looked.stdout


def nothing_is_left_after_cleaning(harness: Command, testbed: Testbed) -> None:
    """Clean a testbed's hosts, and see that it was enough."""
    cleaned = harness("clean", testbed.inventory)
    assert cleaned.returncode == 0, cleaned.stdout + cleaned.stderr
    nothing_is_left(harness, testbed)
