"""Runs gates: `python -m tests.bench.gates [NAME …] [--json FILE] [--scale 1]`.

Exit status: 0 every gate holds; 1 a bound is missed; 3 a tool is not installed, or something could not be measured.
"""

import argparse
import os
import re
import sys
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from harness.hosts.facts import collect_facts
from harness.hosts.settings import collect_settings
from tests.bench.beside import NotMeasuredError, say
from tests.bench.gates.bench import Bench, Gate, Measured
from tests.bench.gates.record import BenchRun, GateResult, not_run
from tests.bench.gates.table import GATES
from tests.bench.gates.text import row_text
from tests.bench.tools import versions

MOST_BUSY = 0.5
EXIT_MISSED, EXIT_CANNOT_RUN = 1, 3


def main(arguments: Sequence[str]) -> int:
    """Run the gates asked for, print a row for each value, and store the run where it is asked for."""
    options = options_of(arguments)
    bench = Bench.here(options.scale)
    chosen = [gate for gate in GATES if gate.name in options.names] if options.names else list(GATES)
    began_s, made_at = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    settings = collect_settings().model_dump(mode="json", include={"clock_source", "load_average"})
    busy, *_ = os.getloadavg()
    if busy > MOST_BUSY:
        say(
            f"the machine is not quiet: its load was {busy:.1f} over the last minute; floors will be high, and bounds with them"
        )
    facts, results = collect_facts() | settings, [run(gate, bench) for gate in chosen]
    stored = BenchRun(
        made_at=made_at,
        seconds=round(time.monotonic() - began_s, 1),
        scale=options.scale,
        cores=(bench.server_core, bench.client_core),
        host=facts,
        tools=versions(),
        gates=tuple(results),
    )
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(stored.model_dump_json(indent=1) + "\n")
    return status_of(results)


def options_of(arguments: Sequence[str]) -> argparse.Namespace:
    """What it is told."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gates", description=__doc__)
    known = [gate.name for gate in GATES]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; without: all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="store the run in this file")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="length of the runs over their usual length (default 1)"
    )
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in known]:
        parser.error(f"no gate is called {', '.join(unknown)}; there are {', '.join(known)}")
    return options


def run(gate: Gate, bench: Bench) -> GateResult:
    """One gate, with its rows printed."""
    say(f"\n{gate.title} ({gate.name})")
    began_s = time.monotonic()
    measured = _measured(gate, bench)
    for row in measured.rows:
        say("  " + row_text(row))
    return GateResult(
        name=gate.name,
        rows=tuple(measured.rows),
        lines=tuple(measured.lines),
        facts=dict(measured.facts),
        seconds=round(time.monotonic() - began_s, 1),
    )


def _measured(gate: Gate, bench: Bench) -> Measured:
    if missing := gate.missing():
        return Measured([not_run(gate.title, f"not installed: {', '.join(missing)}")])
    try:
        return gate.measure(bench)
    except NotMeasuredError as error:
        say(f"  {error}")
        return Measured([not_run(gate.title, told(error))])
    except Exception as error:  # noqa: BLE001 — whatever breaks one gate must not lose what the others measured
        traceback.print_exc()
        return Measured([not_run(gate.title, f"it broke: {type(error).__name__}: {told(error)}")])


def told(error: Exception) -> str:
    """The first line of what an error says, without places of this machine: it is stored and passed on."""
    first, *_ = [*str(error).splitlines(), ""]
    return re.sub(r"(?<!\S)/\S+", "…", first)


def status_of(results: Sequence[GateResult]) -> int:
    """The exit status of a run."""
    outcomes = {row.outcome for result in results for row in result.rows}
    if "missed" in outcomes:
        return EXIT_MISSED
    return EXIT_CANNOT_RUN if "not run" in outcomes else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
