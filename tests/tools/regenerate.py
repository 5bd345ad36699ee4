"""Makes every generated file again: JSON Schemas, and the tables within docs/spec.md and docs/results.md.

`make schema` runs it; a test runs it in memory and compares. A page keeps its own text: only what stands between
`<!-- generated: NAME -->` and `<!-- end -->` is replaced.
"""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)] if str(ROOT) not in sys.path else []

from harness.raw import BackendReport, ClientReport, ServerReport  # noqa: E402 (run as a script, the checkout must be found first)
from harness.spec.contract import BackendConfig, ClientConfig, ProbeConfig, ServerConfig  # noqa: E402
from harness.spec.model import Model  # noqa: E402
from harness.spec.schema import experiment_schema, inventory_schema, schema_of  # noqa: E402
from tests.tools import reference  # noqa: E402

CONTRACT: dict[str, type[BaseModel]] = {
    "model": Model,
    "server-config": ServerConfig,
    "server-report": ServerReport,
    "client-config": ClientConfig,
    "client-report": ClientReport,
    "probe-config": ProbeConfig,
    "backend-config": BackendConfig,
    "backend-report": BackendReport,
}
TABLES: dict[str, Callable[[], str]] = {
    "spec-keys": reference.spec_keys,
    "model-keys": reference.model_keys,
    "inventory-keys": reference.inventory_keys,
    "quantities": reference.quantities,
    "checks": reference.checks,
    "trial-record": reference.trial_record,
    "plan-record": reference.plan_record,
    "blocks-record": reference.blocks_record,
    "audit-record": reference.audit_record,
    "metrics": reference.metrics,
    "models": reference.models,
    "quickstart": lambda: f"```yaml\n{(ROOT / 'experiments/quickstart.yaml').read_text()}```",
}
PAGES = ("docs/spec.md", "docs/results.md", "docs/conformance.md", "docs/models.md", "docs/hosts.md")
_SECTION = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def generated() -> dict[str, str]:
    """Every generated file: path within the checkout, and what it must hold."""
    files = {
        "experiments/schema.json": _json(experiment_schema()),
        "experiments/hosts/schema.json": _json(inventory_schema()),
    }
    files |= {f"docs/contract/{name}.schema.json": _json(schema_of(record)) for name, record in CONTRACT.items()}
    return files | {page: filled((ROOT / page).read_text()) for page in PAGES}


def filled(page: str) -> str:
    """A page with its tables made again.

    Raises:
        KeyError: it names a table that there is not.
    """
    return _SECTION.sub(lambda match: f"{match[1]}{TABLES[match[2]]()}\n{match[3]}", page)


def main() -> int:
    """Write what has changed, and name it."""
    for name, text in generated().items():
        path = ROOT / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            sys.stdout.write(f"{name}\n")
    return 0


def _json(schema: object) -> str:
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
