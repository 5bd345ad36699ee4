"""Every model, and every variant whose way of waiting for clients, backend or signals is its own."""

from collections.abc import Mapping

import pytest

from tests.models.reactors import VARIANTS
from tests.models.support import http_models

CASES: dict[str, tuple[str, Mapping[str, object]]] = {
    **{model: (model, {}) for model in http_models()},
    **{f"reactor-{name}": ("reactor", options) for name, options in VARIANTS.items() if name != "single"},
    "ppc-pipe": ("ppc", {"stats": "pipe"}),
}
each_case = pytest.mark.parametrize(("model", "options"), CASES.values(), ids=CASES)
