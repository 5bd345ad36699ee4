"""Ten thousand connections held by one process, reactor and proactor, and the memory that each connection costs.

`experiments/held.yaml`, run like any experiment. The bar holds where every connection was served in every trial. Run it alone:
`python -m tests.bench.held`.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from tests.bench.beside import say

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 900
MEMORY = "memory_per_connection_bytes"


def main(_arguments: Sequence[str] = ()) -> int:
    """Run it and print a row per point; 0 all connections were held and served, 1 some were not, 3 it cannot run here."""
    with tempfile.TemporaryDirectory(prefix="ceiling-bench-") as name:
        command = [sys.executable, "-m", "harness", "run", "experiments/held.yaml", "--runtime", "process"]
        done = subprocess.run(
            [*command, "--results", name],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        if done.returncode:
            say(f"the experiment ended with status {done.returncode}:\n{done.stdout[-2000:]}")
            return min(done.returncode, 3)
        trials = pd.read_parquet(Path(name) / "held" / "latest" / "report" / "trials.parquet")
    say("connections held by one process; memory of each: slope from the idle server to the plateau")
    held = [
        _row(str(model), int(str(asked)), rows)
        for (model, asked), rows in trials.groupby(["model", "load.connections"])
    ]
    return 0 if all(held) else 1


def _row(model: str, asked: int, rows: pd.DataFrame) -> bool:
    """Print one point; whether all its connections were served in all its trials."""
    served = int(rows["served_connections"].min())
    each = ", ".join(f"{value:,.0f}" for value in sorted(rows[MEMORY].dropna()))
    say(f"  {model:<10} {asked:>7,} asked, {served:>7,} served; bytes a connection: {each or 'not known'}")
    return served == asked


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
