"""Going on with a run: which one, and whether it would still be the same experiment."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness import store
from harness.blocks import decided, is_open
from harness.errors import ResultError
from harness.plan import Plan
from harness.stage import Places, Stage

DONE = ("ok", "marked", "invalid")


def resumable(spec_text: bytes, plan: Plan, places: Places, stage: Stage) -> Path:
    """The newest unfinished run, if it is a run of just this, on this machine.

    Raises:
        ResultError: there is none, or something that its numbers depend on has changed since.
    """
    newest_first = reversed(store.runs_of(places.results, plan.name))
    run = next((run for run in newest_first if not is_finished(run)), None)
    if run is None:
        raise ResultError(f"{plan.name}: no unfinished run to resume; run it without RESUME=1")
    changed = _changes(store.read_environment(run), stage.environment())
    if store.read_plan(run) != plan:
        changed.insert(0, "the plan")
    if (run / "spec.yaml").read_bytes() != spec_text:
        changed.insert(0, "the spec")
    if changed:
        raise ResultError(f"{run}: cannot be resumed, changed since: {', '.join(changed)}; start a new run")
    return run


def is_finished(run: Path) -> bool:
    """Whether every trial that is needed is done; a record that does not read counts as none."""
    plan, blocks = store.read_plan(run), store.read_blocks(run)
    return not is_open(plan, blocks) and all(_state(run, planned.id) in DONE for planned in decided(plan, blocks))


def _state(run: Path, trial_id: str) -> str | None:
    try:
        return str(json.loads(store.record_path(run, trial_id).read_bytes())["state"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What the numbers depend on and is not as it was; nothing when the run ended before it said."""
    if not then:
        return []
    compared = {
        "the runtime": ("runtime", "name"),
        "the images": ("images",),
        "the certificates to trust": ("certificates",),
        "the kernel": ("host", "kernel"),
        "the CPU": ("host", "cpu", "model"),
        "the usable CPUs": ("host", "cpu", "usable"),
        "the host's Python": ("host", "python"),
        "the versions of packages": ("packages",),
    }
    # As JSON, because that is what was stored: tuples have become lists.
    found = [what for what, path in compared.items() if _at(then, path) != json.loads(json.dumps(_at(now, path)))]
    return found + (["the hosts"] if _hosts(then) != _hosts(json.loads(json.dumps(now))) else [])


def _hosts(environment: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Of each host of an inventory, what numbers depend on; its load and free memory may be others."""
    keys = (("architecture",), ("cpus",), ("host", "kernel"), ("host", "cpu", "model"))
    return {name: [_at(facts, key) for key in keys] for name, facts in environment.get("hosts", {}).items()}


def _at(facts: Any, path: tuple[str, ...]) -> Any:  # noqa: ANN401 - whatever JSON holds there
    for key in path:
        facts = facts.get(key) if isinstance(facts, Mapping) else None
    return facts
