"""The report folder: made whole beside the old one, then put in its place."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.analysis.cluster_frames import scaling_frame, servers_frame
from harness.analysis.frames import csv_bytes, parquet_bytes, parts_frame, summary_frame, trials_frame
from harness.analysis.study import Study, make_study
from harness.report.answer import make_answer
from harness.report.charts import make_charts
from harness.report.markdown import render_markdown
from harness.report.page import render_page
from harness.report.rates import rates_chart
from harness.report.scaling import scaling_chart
from harness.report.svg import draw
from harness.report.tables import SummaryTable, terminal_table
from harness.report.timeline import timeline_chart


@dataclass(frozen=True)
class Report:
    """A report that has been written, and what the terminal says of it."""

    index: Path  # report/index.html
    answer: str  # the answer in a sentence, as the page opens with it
    table: SummaryTable


def make_report(run: Path) -> Report:
    """Make `report/` of a run, from what is stored in it alone.

    The same results give the same bytes. An older report stays in place until the new one is whole.

    Raises:
        ResultError: the run has no readable plan, or holds a trial of a newer format.
    """
    study = make_study(run)
    staging = run / f".report.{os.getpid()}.new"
    shutil.rmtree(staging, ignore_errors=True)
    try:
        for name, data in _files(study):
            path = staging / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        _swap_in(staging, run / "report")
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Report(run / "report" / "index.html", make_answer(study).headline, terminal_table(study))


def _files(study: Study) -> Iterator[tuple[str, bytes]]:
    made = (scaling_chart(study), timeline_chart(study), *make_charts(study), rates_chart(study))
    charts = [chart for chart in made if chart is not None]
    yield "index.html", render_page(study, charts).encode()
    yield "report.md", render_markdown(study, charts).encode()
    yield "trials.parquet", parquet_bytes(trials_frame(study))
    yield "summary.csv", csv_bytes(summary_frame(study))
    if any(row.parts for row in study.rows):
        yield "phases.csv", csv_bytes(parts_frame(study))
    if any(row.planned.trial.servers > 1 for row in study.rows):
        yield "servers.csv", csv_bytes(servers_frame(study))
        yield "scaling.csv", csv_bytes(scaling_frame(study))
    for chart in charts:
        yield f"charts/{chart.id}.svg", draw(chart).encode()


def _swap_in(new: Path, place: Path) -> None:
    old = place.with_name(f".report.{os.getpid()}.old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    new.rename(place)
    shutil.rmtree(old, ignore_errors=True)
