"""The verb as a whole: load, say what came of it, and whether that is good enough."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from harness.load.hdr import write_hdr
from harness.load.run import run_load
from harness.load.show import print_report
from harness.load.summary import summarise
from harness.spec.experiment import Trial
from harness.stage import Places
from harness.terminal import Display


def load_server(
    url: str, trial: Trial, seed: int, places: Places, display: Display, *, hdr: Path | None, as_json: bool
) -> bool:
    """Load a server as the trial says, and tell on standard output what the client saw.

    Args:
        url: as it was written.
        trial: of `trial_of`.
        seed: of the schedule, the think times and the mix.
        places: where things lie.
        display: is shown the progress.
        hdr: file to write the histograms to.
        as_json: as one JSON object instead of words.

    Returns:
        Whether anything was answered rightly, and the SLO met where one was asked for (a search: at any rate).

    Raises:
        HarnessError: it could not be loaded, or the file not be written.
    """
    came = run_load(trial, places, display, seed)
    summary = summarise(url, came)
    if hdr is not None:
        write_hdr(hdr, came.report, datetime.now(UTC))
    if as_json:
        sys.stdout.write(json.dumps(summary) + "\n")
    else:
        print_report(summary, came.report)
    if came.capacity is not None:
        return came.capacity.low_rps is not None
    return bool(summary["ok"]) and (summary["slo_met"] is True or not trial.slo.is_set)
