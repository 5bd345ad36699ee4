"""report.md: the same report for terminals, mails and code hosts, with the charts as SVG files beside it."""

import re
from collections.abc import Sequence

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from harness.analysis.study import Study
from harness.report.answer import make_answer
from harness.report.charts import Chart
from harness.report.content import banners, environment, facts, states_in_words, title_of
from harness.report.doubts import MOST_SHOWN, doubted_trials, general_doubts
from harness.report.page import TEMPLATES
from harness.report.sections import make_sections
from harness.report.tables import points_table

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$!&])")


def render_markdown(study: Study, charts: Sequence[Chart]) -> str:
    """The whole report. Every string from a spec or a result is escaped."""
    templates = Environment(  # Markdown, not HTML: what is special is escaped by the filter `md`
        loader=FileSystemLoader(TEMPLATES),
        autoescape=False,  # noqa: S701
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters["md"] = escape
    doubts = doubted_trials(study)
    return templates.get_template("report.md.j2").render(
        title=title_of(study),
        answer=make_answer(study),
        facts=facts(study),
        banners=banners(study),
        charts=charts,
        table=points_table(study),
        saturated=any(point.saturated for point in study.points),
        doubts=doubts[:MOST_SHOWN],
        doubts_summary=states_in_words(study),
        doubts_more=f"{len(doubts) - MOST_SHOWN:,} more are in trials.parquet." if len(doubts) > MOST_SHOWN else "",
        sections=make_sections(study),
        general=general_doubts(study),
        environment=environment(study),
        spec_text=study.run.spec_text.rstrip("\n"),
        fence=_fence(study.run.spec_text),
    )


def escape(text: object) -> str:
    """Text in which Markdown finds neither markup nor HTML, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def _fence(text: str) -> str:
    """A fence longer than any run of backticks in the text."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    return "`" * max(3, longest + 1)
