"""`docs/accuracy.md`, its plots and its table, made from a stored run of the gates: `python -m tests.bench.accuracy [FILE]`.

With FILE, a run that `python -m tests.bench.gates --json FILE` stored, that run becomes the one that is committed. Without, the page is
made again from the one that is.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench import prose
from tests.bench.gates.bench import Gate
from tests.bench.gates.record import BenchRun, GateResult, Outcome, Row
from tests.bench.gates.table import GATES
from tests.bench.gates.text import bound_text, number, value_text
from tests.bench.plots import digest, draw, specs_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "accuracy.md"
FOLDER = ROOT / "docs" / "accuracy"
STORED = FOLDER / "run.json"

_WORDS: dict[Outcome, str] = {"pass": "holds", "missed": "**missed**", "published": "–", "not run": "**not run**"}


def main(arguments: Sequence[str]) -> int:
    """Make the page and its plots; 0 done, 2 the run cannot be read."""
    FOLDER.mkdir(exist_ok=True)
    source = Path(arguments[0]) if arguments else STORED
    try:
        run = BenchRun.model_validate_json(source.read_bytes())
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{source}: no stored run of the gates: {error}\n")
        return 2
    STORED.write_text(run.model_dump_json(indent=1) + "\n")
    for old in FOLDER.glob("*.svg"):
        old.unlink()
    for name, spec in specs_of(run.gates).items():
        (FOLDER / f"{name}.svg").write_text(draw(spec))
    PAGE.write_text(page_of(run))
    return 0


def page_of(run: BenchRun) -> str:
    """The whole page."""
    gates = {gate.name: gate for gate in GATES}
    drawn = specs_of(run.gates)
    parts = [prose.HEAD, _summary(run), _machine(run)]
    parts += [
        _section(gates[result.name], result, result.name in drawn) for result in run.gates if result.name in gates
    ]
    parts.append(prose.LIMITS)
    return "\n\n".join(parts) + "\n"


def plots_of(run: BenchRun) -> dict[str, str]:
    """Name of the file in docs/accuracy: the digest that it must hold."""
    return {f"{name}.svg": digest(spec) for name, spec in specs_of(run.gates).items()}


def verdict_of(rows: Sequence[Row]) -> Outcome:
    """Of a whole gate: the worst of its rows."""
    outcomes = {row.outcome for row in rows}
    worst: tuple[Outcome, ...] = ("missed", "not run", "pass", "published")
    return next(outcome for outcome in worst if outcome in outcomes or outcome == "published")


def _summary(run: BenchRun) -> str:
    missing = [gate.title for gate in GATES if gate.name not in {result.name for result in run.gates}]
    lines = ["| gate | outcome | rows that hold |", "|---|---|---|"]
    titles = {gate.name: gate.title for gate in GATES}
    for result in run.gates:
        asked = [row for row in result.rows if row.outcome != "published"]
        held = sum(row.outcome == "pass" for row in asked)
        title = titles.get(result.name, result.name)
        lines.append(f"| [{title}](#{_anchor(title)}) | {_WORDS[verdict_of(result.rows)]} | {held} of {len(asked)} |")
    lines += [f"| {title} | **not run** | |" for title in missing]
    return "\n".join(lines)


def _anchor(title: str) -> str:
    kept = "".join(letter for letter in title.lower() if letter.isalnum() or letter in "_- ")
    return kept.replace(" ", "-")


def _machine(run: BenchRun) -> str:
    lines = ["## The run", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in _facts(run)]
    return "\n".join(lines)


def _facts(run: BenchRun) -> Iterator[tuple[str, str]]:
    host = run.host
    cpu, memory, git = host.get("cpu") or {}, host.get("memory") or {}, host.get("git") or {}
    yield "made", f"{run.made_at}, in {run.seconds / 60:.0f} minutes"
    if run.scale != 1:
        yield "length of the runs", f"× {run.scale:g} of the usual: a trial run, not one to quote"
    yield (
        "commit",
        f"{str(git.get('commit') or 'unknown')[:12]}{', with changes not committed' if git.get('dirty') else ''}",
    )
    yield "processor", f"{cpu.get('model') or 'unknown'}, {len(cpu.get('usable') or ())} cores to be used"
    server, client = run.cores
    shared = server == client
    yield "cores used", "one for all" if shared else f"{server} for servers, {client} for clients"
    yield "memory", f"{(memory.get('total_bytes') or 0) / 2**30:.0f} GiB"
    yield "kernel", str((host.get("kernel") or {}).get("release"))
    yield "clock source", str(host.get("clock_source"))
    yield "load before the run", ", ".join(f"{value:g}" for value in host.get("load_average") or ())
    yield "Python", str((host.get("python") or {}).get("version"))
    yield "tools", ", ".join(f"{name} {version or 'not installed'}" for name, version in run.tools.items())


def _section(gate: Gate, result: GateResult, drawn: bool) -> str:
    parts = [f"## {gate.title}", " ".join(gate.method.split())]
    if drawn:
        parts.append(f"![{gate.title}](accuracy/{gate.name}.svg)")
    lines = ["| measured | bound | floor | value | | |", "|---|---|---|---|---|---|"]
    parts.append("\n".join(lines + [_row(row) for row in result.rows]))
    if result.facts:
        told = "; ".join(
            f"{name} {value if isinstance(value, str) else number(value)}" for name, value in result.facts.items()
        )
        parts.append(f"In this run: {told}.")
    return "\n\n".join(parts)


def _row(row: Row) -> str:
    floor = number(row.floor) if row.floor is not None else ""
    cells = (row.name, bound_text(row), floor, value_text(row), _WORDS[row.outcome], row.note)
    return "| " + " | ".join(" ".join(cell.replace("|", "/").split()) for cell in cells) + " |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
