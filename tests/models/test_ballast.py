"""The memory that a parent holds so that it is large: resident, on the pages that were asked for, or one clear line."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from common.ballast import KNOB, why_no_huge_pages
from tests.models.support import GET, IMAGES, PATIENCE_S, Server, all_options, serving, start, wait_for, write_config

MIB = 1 << 20
each_that_forks = pytest.mark.parametrize("model", ["ppc", "prefork"])
# The server as it is, on a kernel that says what the file named first says.
ELSEWHERE = """
import runpy, sys
from pathlib import Path
import common.ballast
common.ballast.KNOB = Path(sys.argv.pop(1))
runpy.run_path("server.py", run_name="__main__")
"""


def memory_bytes(pid: int, field: str) -> int:
    """A field of the process's whole memory, as the kernel tells it."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) << 10
    raise AssertionError(f"no {field} in smaps_rollup")


@each_that_forks
def test_the_ballast_is_resident_in_the_parent_and_shared_with_its_children(folder: Path, model: str) -> None:
    with serving(model, folder, options={"ballast": "64 MiB"}) as server:
        assert memory_bytes(server.pid, "Rss") > 64 * MIB
        client = server.client()
        assert client.ask(GET).status == 200
        child = _one_child(server)
        assert memory_bytes(child, "Rss") > 64 * MIB
        assert memory_bytes(child, "Private_Dirty") < 32 * MIB
        assert server.stop().requests == 1


@each_that_forks
def test_small_pages_are_small_whatever_the_host_does_by_itself(folder: Path, model: str) -> None:
    with serving(model, folder, options={"ballast": "64 MiB", "ballast_pages": "4k"}) as server:
        assert server.stop().ballast_huge_bytes == 0


@each_that_forks
def test_the_report_says_how_much_of_the_ballast_became_huge(folder: Path, model: str) -> None:
    """What the kernel says of the process from outside; without transparent huge pages, that there are none."""
    options = {"ballast": "64 MiB", "ballast_pages": "thp"}
    if why_no_huge_pages(KNOB):
        assert _exit_line(folder, model, options, KNOB).startswith(f"{model}: ballast_pages: thp, but {KNOB}")
        return
    with serving(model, folder, options=options) as server:
        huge_bytes = memory_bytes(server.pid, "AnonHugePages")
        end = server.stop()
    assert end.ballast_huge_bytes is not None
    if "[madvise]" in KNOB.read_text():  # nothing else in the process asks for them
        assert end.ballast_huge_bytes == huge_bytes
    assert end.ballast_huge_bytes <= huge_bytes
    assert end.ballast_huge_bytes % (2 * MIB) == 0


def test_no_ballast_is_no_field(folder: Path) -> None:
    with serving("ppc", folder) as server:
        assert server.stop().ballast_huge_bytes is None


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("always [madvise] never\n", None),
        ("[always] madvise never\n", None),
        ("always madvise [never]\n", "echo madvise >"),
    ],
)
def test_huge_pages_are_to_be_had_unless_the_kernel_says_never(tmp_path: Path, setting: str, says: str | None) -> None:
    knob = tmp_path / "enabled"
    knob.write_text(setting)
    why = why_no_huge_pages(knob)
    assert why is None if says is None else why is not None and says in why


@each_that_forks
@pytest.mark.parametrize("setting", ["always madvise [never]\n", None])
def test_huge_pages_on_a_kernel_without_them_are_one_line_that_names_the_knob(
    folder: Path, tmp_path: Path, model: str, setting: str | None
) -> None:
    knob = tmp_path / "enabled"
    if setting is not None:
        knob.write_text(setting)
    line = _exit_line(folder, model, {"ballast": "64 MiB", "ballast_pages": "thp"}, knob)
    assert line.startswith(f"{model}: ballast_pages: thp, but {knob}")
    assert ("says never" in line) == (setting is not None)


@each_that_forks
def test_more_ballast_than_there_are_addresses_is_one_line(folder: Path, model: str) -> None:
    assert _exit_line(folder, model, {"ballast": "1048576 GiB"}, KNOB) == (
        f"{model}: no {1 << 50} bytes for the ballast: Cannot allocate memory; make `ballast` smaller\n"
    )


def test_an_option_that_is_missing_or_of_another_type_is_one_line(folder: Path) -> None:
    for options, says in (({}, "options.stats is None"), ({"stats": 1}, "options.stats is 1")):
        write_config(folder, "ppc", options=options)
        process = start("ppc", folder)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, out, err.count("\n")) == (2, "", 1)
        assert says in err


def _one_child(server: Server) -> int:
    parent = psutil.Process(server.pid)
    wait_for(lambda: bool(parent.children()))
    return parent.children()[0].pid


def _exit_line(folder: Path, model: str, options: dict[str, str], knob: Path) -> str:
    """What a server says that cannot run."""
    write_config(folder, model, options=all_options(model, options))
    process = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(knob), str(folder)],
        cwd=IMAGES / model,
        env={**os.environ, "PYTHONPATH": str(IMAGES)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (process.returncode, process.stdout, process.stderr.count("\n")) == (1, "", 1)
    return process.stderr
