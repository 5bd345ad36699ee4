"""Marks and the exit report (docs/contract/server-report.schema.json)."""

import contextlib
import json
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from common.config import CONTRACT
from common.scoreboard import CONNECTIONS, Scoreboard

Mark: TypeAlias = dict[str, int | float | list[int] | None]


def take_mark(scoreboard: Scoreboard, count_requests: bool = True) -> Mark:
    """All counters and the resource usage of this process and its reaped children, at this instant.

    Args:
        scoreboard: all counters.
        count_requests: whether requests are counted; else they are `null`, which is not 0.
    """
    by_worker = {"connections_by_worker": scoreboard.by_worker(CONNECTIONS)} if scoreboard.workers else {}
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "at_ns": time.monotonic_ns(),
        **scoreboard.totals(),
        **({} if count_requests else {"requests": None}),
        **by_worker,
        "cpu_user_s": round(own.ru_utime + children.ru_utime, 6),
        "cpu_system_s": round(own.ru_stime + children.ru_stime, 6),
        "voluntary_switches": own.ru_nvcsw + children.ru_nvcsw,
        "involuntary_switches": own.ru_nivcsw + children.ru_nivcsw,
        "minor_faults": own.ru_minflt + children.ru_minflt,
    }


def write_report(folder: Path, model: str, marks: Sequence[Mark], end: Mark, *, program: str | None = None) -> None:
    """Write `exit.json` into the folder, whole or not at all, and print it as one line.

    Args:
        folder: takes the file.
        model: as it is told.
        marks: taken before.
        end: the totals.
        program: the server's name and version, where it is none of ours: then our interpreter serves nobody.

    Raises:
        OSError: the file cannot be written.
    """
    served_by = (
        {"python": ".".join(map(str, sys.version_info[:3])), "switch_interval_s": sys.getswitchinterval()}
        if program is None
        else {"program": program}
    )
    report = {
        "contract": CONTRACT,
        "model": model,
        **served_by,
        **end,
        "marks": list(marks),
    }
    line = json.dumps(report) + "\n"
    unfinished = folder / ".exit.json.part"
    unfinished.write_text(line)
    unfinished.replace(folder / "exit.json")
    # Where nobody listens any more, the file is what counts. Buffered: all of the line, however little fits at once.
    with contextlib.suppress(OSError), open(sys.stdout.fileno(), "wb", closefd=False) as out:
        out.write(line.encode())
