"""What a connection costs in memory, as a slope over the numbers held."""

from harness.analysis.slopes import FEWEST_LEVELS, Slope, memory_slopes
from harness.analysis.study import Study
from harness.report.sections import Section
from harness.report.tables import Cell, Column, Table
from harness.report.text import amount, number, scale, short_names

TITLE = "Memory of a connection: the slope over the numbers held"
NOTE = (
    "A line through every run that counts: connections held on the plateau against what the server's memory had grown by since"
    f" it was idle. The slope is what one more connection costs, the intercept what is paid once. From {FEWEST_LEVELS} different"
    " numbers on."
)
DEFINITIONS = (
    (
        "Memory / connection",
        "Slope of the line, least squares. Below it the 95 % interval (Student's t on the residuals).",
    ),
    (
        "Paid once",
        "Where the line meets no connections: what the model takes for the first ones, whatever their number.",
    ),
    ("Held", "Fewest and most connections that the server held, of those that the load made."),
)


def slopes_section(study: Study) -> Section | None:
    """The table; None where no side held enough different numbers."""
    slopes = memory_slopes(study)
    if not slopes:
        return None
    names = short_names(study.run.plan.factors)
    series = [Column(names[study.axes.series])] if study.axes.series else []
    panels = [Column(names[panel]) for panel in study.axes.panels]
    heads = [Column(head, numeric=True) for head in ("Memory / connection", "Paid once", "Held", "Runs")]
    rows = tuple(_row(slope, with_side=bool(series)) for slope in slopes)
    return Section("slopes", "Memory", TITLE, (NOTE,), Table((*series, *panels, *heads), rows), DEFINITIONS)


def _row(slope: Slope, *, with_side: bool) -> tuple[Cell, ...]:
    size, _ = scale(slope.bytes_per_connection, "bytes")
    interval = f"{number(slope.low / size)}–{number(slope.high / size)}"
    each = slope.bytes_per_connection
    return (
        *([Cell(slope.side)] if with_side else []),
        *(Cell(label) for label in slope.panel),
        Cell(amount(each, "bytes"), interval, f"{each:.6g}", numeric=True),
        Cell(amount(slope.first_bytes, "bytes"), "", f"{slope.first_bytes:.6g}", numeric=True),
        Cell(f"{slope.from_connections:,} – {slope.to_connections:,}", "", f"{slope.to_connections}", numeric=True),
        Cell(f"{slope.runs}", "", f"{slope.runs}", numeric=True),
    )
