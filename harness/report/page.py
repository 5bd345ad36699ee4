"""index.html: one file that loads nothing, under a policy that forbids it to."""

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from harness.analysis.study import Study
from harness.report.answer import make_answer
from harness.report.charts import Chart
from harness.report.content import banners, environment, facts, states_in_words, title_of
from harness.report.doubts import MOST_SHOWN, doubted_trials, general_doubts
from harness.report.drawing import GLYPHS, page_spec, panel_data
from harness.report.sections import make_sections
from harness.report.tables import definitions, points_table

TEMPLATES = Path(__file__).parent / "templates"


def render_page(study: Study, charts: Sequence[Chart]) -> str:
    """The whole page. Every string from a spec or a result is escaped by the template."""
    style, script, library = _file("style.css"), _file("page.js"), _library()
    templates = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    doubts, table = doubted_trials(study), points_table(study)
    return templates.get_template(
        "page.html.j2"
    ).render(
        policy=_policy(style=style, scripts=(library, script)),
        style=Markup(style),  # noqa: S704 - a file of this package
        library=Markup(library),  # noqa: S704 - the chart library
        script=Markup(script),  # noqa: S704 - a file of this package
        data=Markup(script_safe(_data(charts))),  # noqa: S704 - escaped for a script element
        title=title_of(study),
        answer=make_answer(study),
        facts=facts(study),
        banners=banners(study),
        charts=charts,
        glyphs=GLYPHS,
        has_marked=any(row.state == "marked" for row in study.rows),
        has_invalid=any(row.state == "invalid" for row in study.rows),
        saturated=any(point.saturated for point in study.points),
        table=table,
        table_note=" Click a column's head to sort.",
        definitions=definitions(table),
        sections=make_sections(study),
        doubts=doubts[:MOST_SHOWN],
        doubts_summary=states_in_words(study),
        doubts_more=_more(len(doubts)),
        general=general_doubts(study),
        environment=environment(study),
        spec_text=study.run.spec_text,
    )


def _more(doubts: int) -> str:
    return f"{doubts - MOST_SHOWN:,} more are in trials.parquet." if doubts > MOST_SHOWN else ""


def _file(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


@cache
def _library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, once for all charts of the page."""
    import vl_convert

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")).replace("</script", "<\\/script")


def _policy(style: str, scripts: Sequence[str]) -> str:
    """Nothing may be loaded, nothing sent, and no script may run but these."""
    allowed = " ".join(_hash(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_hash(style)}; "
        "connect-src 'none'; form-action 'none'; base-uri 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def script_safe(data: object) -> str:
    """JSON that no browser takes for the end of a script element, or for markup."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _data(charts: Sequence[Chart]) -> dict[str, Any]:
    texts: dict[str, int] = {}
    packed = [
        {
            "id": chart.id,
            "spec": page_spec(chart),
            "panels": [
                {name: _pack(rows, texts) for name, rows in panel_data(chart, panel).items()} for panel in chart.panels
            ],
        }
        for chart in charts
    ]
    return {"texts": list(texts), "charts": packed}


def _pack(rows: Sequence[dict[str, Any]], texts: dict[str, int]) -> dict[str, Any]:
    """Rows without their keys, and each text once in the page: ids and labels come up in every chart."""
    columns = list(rows[0]) if rows else []
    is_text = [any(isinstance(row[name], str) for row in rows) for name in columns]
    return {
        "columns": [[name, text] for name, text in zip(columns, is_text, strict=True)],
        "rows": [
            [
                texts.setdefault(row[name], len(texts)) if text else row[name]
                for name, text in zip(columns, is_text, strict=True)
            ]
            for row in rows
        ],
    }
