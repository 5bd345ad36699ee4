"""Charts as SVG files, without a browser, the same bytes every time."""

import re
from itertools import count
from typing import Any

from harness.report.charts import Chart
from harness.report.drawing import file_spec

_CLIP = re.compile(r'(id="|url\(#)((?:clip|gradient_)\d+)(?=["\)])')


def draw(chart: Chart) -> str:
    """A chart as an SVG document."""
    return with_fixed_ids(_render(file_spec(chart)))


def _render(spec: dict[str, Any]) -> str:
    import vl_convert

    return str(vl_convert.vegalite_to_svg(spec))


def with_fixed_ids(svg: str) -> str:
    """Ids numbered from 0 in every file: the renderer counts on over the life of the process."""
    names: dict[str, str] = {}
    numbers = count()

    def fixed(match: re.Match[str]) -> str:
        name = names.get(match[2]) or names.setdefault(match[2], f"clip{next(numbers)}")
        return f"{match[1]}{name}"

    return _CLIP.sub(fixed, svg)
