"""The run folder on disk: made, locked, written trial by trial, read again.

`trial.json` is the commit point of a trial. It is written last, to a temporary file that is flushed to the disk and
then renamed, and its folder is flushed as well: after a crash at any instant it is there whole or not there.
"""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from harness.blocks import BlockDecision, Blocks
from harness.errors import ResultError
from harness.plan import Plan
from harness.result import TrialResult

LATEST = "latest"
INVENTORY = "inventory.yaml"
StoredRecord = TypeVar("StoredRecord", Plan, TrialResult, Blocks)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves the old content or the new, never a part, and the new one lasts."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _flush_folder(path.parent)


def write_json(path: Path, content: object) -> None:
    """Write indented JSON, atomically."""
    write_atomically(path, json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n")


def create_run(results: Path, plan: Plan, spec_text: bytes, now: datetime, inventory: Path | None = None) -> Path:
    """Make `results/<name>/<run-id>/` with the spec and the plan, and point `latest` at it.

    The folder appears under its name only when all of it is there; of a run on the hosts of an inventory, that too.
    """
    home = results / plan.name
    home.mkdir(parents=True, exist_ok=True)
    run = _unused(home, now.astimezone(UTC).strftime("%Y%m%d-%H%M%S"))
    staging = home / f".{run.name}.{os.getpid()}.tmp"
    shutil.rmtree(staging, ignore_errors=True)
    (staging / "trials").mkdir(parents=True)
    write_atomically(staging / "spec.yaml", spec_text)
    write_atomically(staging / "plan.json", plan.model_dump_json(indent=1).encode() + b"\n")
    if inventory is not None:
        write_atomically(staging / INVENTORY, inventory.read_bytes())
    staging.rename(run)
    _point_latest(home, run.name)
    return run


def _unused(home: Path, stem: str) -> Path:
    candidates = (home / (stem if n == 1 else f"{stem}-{n}") for n in range(1, 10_000))
    return next(path for path in candidates if not path.exists())


def _point_latest(home: Path, run: str) -> None:
    temporary = home / f".{LATEST}.{os.getpid()}.tmp"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(run)
    temporary.replace(home / LATEST)
    _flush_folder(home)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(run: Path) -> Iterator[None]:
    """Hold a run for this process alone; the kernel lets go of it however the process ends.

    Raises:
        ResultError: another process is running it.
    """
    with (run / "journal.jsonl").open("ab") as journal:
        try:
            fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ResultError(f"{run}: another process is running this run; wait for it or stop it") from None
        yield


def note(run: Path, event: str, **details: object) -> None:
    """Add a line to the run's journal: for people, never read for correctness."""
    line = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **details}
    with (run / "journal.jsonl").open("a") as journal:
        journal.write(json.dumps(line, ensure_ascii=False) + "\n")


def find_run(results: Path, name: str, run_id: str | None) -> Path:
    """The folder of a run: the named one, or the newest.

    The newest is the one that `latest` points to; where that has gone, as from a copy without links, the one that began last.

    Raises:
        ResultError: there is none.
    """
    home = results / name
    if run_id is not None and Path(run_id).name != run_id:
        raise ResultError(f"{run_id!r} is not a run id; choose one of: {_listing(home)}")
    run = home / (run_id or LATEST)
    if (run / "plan.json").is_file():
        return run.resolve()
    if run_id is not None:
        raise ResultError(f"{home}: there is no run {run_id} of {name}; runs here: {_listing(home)}")
    if not (runs := runs_of(results, name)):
        raise ResultError(f"{home}: there are no results of {name}; run it, or name another experiment")
    return runs[-1].resolve()


def runs_of(results: Path, name: str) -> list[Path]:
    """All runs of an experiment, oldest first."""
    home = results / name
    return sorted((p.parent for p in home.glob("[0-9]*/plan.json")), key=_begun) if home.is_dir() else []


def _begun(run: Path) -> tuple[str, int]:
    """Its second, and which run of that second it is."""
    day, _, rest = run.name.partition("-")
    time, _, number = rest.partition("-")
    return f"{day}-{time}", int(number) if number.isdecimal() else 1


def _listing(home: Path) -> str:
    return ", ".join(run.name for run in runs_of(home.parent, home.name)) or "none"


def begin_trial(run: Path, trial_id: str) -> Path:
    """A folder for a trial's raw files; what an earlier attempt left there is removed.

    A record of that attempt (a failed one, run again) stays until the new one replaces it.
    """
    folder = run / "trials" / trial_id
    for part in ("clients", "probes", "logs"):
        shutil.rmtree(folder / part, ignore_errors=True)
        (folder / part).mkdir(parents=True)
    return folder


def write_samples(path: Path, samples: Sequence[Mapping[str, Any]]) -> None:
    """Write a probe's samples as Parquet, a row per sample."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(list(samples)), sink)
    write_atomically(path, sink.getvalue().to_pybytes())


def record_path(run: Path, trial_id: str) -> Path:
    """Where a trial's record is, once it is finished."""
    return run / "trials" / trial_id / "trial.json"


def commit_trial(run: Path, result: TrialResult) -> None:
    """Write `trial.json`: from here on the trial is finished."""
    write_atomically(record_path(run, result.id), result.model_dump_json(indent=1).encode() + b"\n")


def read_plan(run: Path) -> Plan:
    """The plan of a run.

    Raises:
        ResultError: it cannot be read, or is of a newer format.
    """
    return _read(run / "plan.json", Plan)


def read_trial(path: Path) -> TrialResult:
    """One `trial.json`.

    Raises:
        ResultError: it cannot be read, or is of a newer format.
    """
    return _read(path, TrialResult)


def read_trials(run: Path) -> list[TrialResult]:
    """The finished trials of a run, in the order of its plan.

    Raises:
        ResultError: one of them cannot be read.
    """
    paths = (record_path(run, planned.id) for planned in read_plan(run).trials)
    return [read_trial(path) for path in paths if path.is_file()]


def read_environment(run: Path) -> dict[str, Any]:
    """`environment.json`, or nothing when the run ended before it was written."""
    path = run / "environment.json"
    content: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    return content


def read_blocks(run: Path) -> Blocks:
    """What was decided about the blocks beyond the least; nothing where nothing was.

    Raises:
        ResultError: it cannot be read, or is of a newer format.
    """
    path = run / "blocks.json"
    return _read(path, Blocks) if path.is_file() else Blocks()


def commit_decision(run: Path, decision: BlockDecision) -> Blocks:
    """Add to `blocks.json`, atomically, what was decided before a block; gives all that was."""
    blocks = Blocks(decisions=(*read_blocks(run).decisions, decision))
    write_atomically(run / "blocks.json", blocks.model_dump_json(indent=1).encode() + b"\n")
    return blocks


_MENDS: Mapping[type, str] = {
    TrialResult: "that trial's folder and RESUME=1",
    Blocks: "the file and RESUME=1, and what is open is decided again",
}


def _read(path: Path, kind: type[StoredRecord]) -> StoredRecord:
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ResultError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ResultError(
            f"{path}: not a {kind.__name__} that this version reads: {where}: {first['msg']};"
            f" read it with the version that wrote it, or remove {_MENDS.get(kind, 'the run')}"
        ) from None
