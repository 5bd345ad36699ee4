"""The parts between charts and the table of points: a title, what to know, and a table. One list, for both pages."""

from collections.abc import Callable
from dataclasses import dataclass

from harness.analysis.study import Study
from harness.report.tables import Table


@dataclass(frozen=True)
class Section:
    """One part of the report."""

    id: str  # of the page, for links to it
    link: str  # its name among the links at the top
    title: str
    notes: tuple[str, ...]  # paragraphs before the table
    table: Table | None = None
    definitions: tuple[tuple[str, str], ...] = ()  # what its columns mean


def make_sections(study: Study) -> list[Section]:
    """Every part that this run has something to say in, in the order of the report."""
    found = (make(study) for make in _sections())
    return [section for section in found if section is not None]


def _sections() -> tuple[Callable[[Study], Section | None], ...]:
    from harness.report.balancers import balancers_section
    from harness.report.capacity import capacity_section
    from harness.report.hosts import hosts_section
    from harness.report.kinds import kinds_section
    from harness.report.limits import limits_section
    from harness.report.promise import promise_section
    from harness.report.rates import rates_section  # what makes a section knows its type
    from harness.report.scaling import scaling_section
    from harness.report.servers import servers_section
    from harness.report.slopes import slopes_section
    from harness.report.sureness import sureness_section
    from harness.report.timeline import timeline_section
    from harness.report.why import why_section

    return (
        scaling_section,
        limits_section,
        timeline_section,
        balancers_section,
        capacity_section,
        promise_section,
        rates_section,
        kinds_section,
        why_section,
        servers_section,
        slopes_section,
        sureness_section,
        hosts_section,
    )
