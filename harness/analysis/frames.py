"""The two tables that other tools read: a row per trial (Parquet), a row per point (CSV)."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from harness.analysis.axes import numeric
from harness.analysis.statistics import Estimate
from harness.analysis.study import Point, Row, Study
from harness.spec.metrics import METRICS, SUMMARY_METRICS

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

STATES = ("ok", "marked", "invalid", "failed", "void", "missing", "unreadable", "not needed")


def trials_frame(study: Study) -> "pd.DataFrame":
    """A row per planned trial, in the order in which they ran; what a trial has not is empty.

    Columns: id, point, repeat, block, order, canary; the factors; state, reason, limited_by, evidence, also, runtime, load_kind,
    timeout_us, started, elapsed_s; every metric of harness/spec/metrics.py. A percentile beyond the timeout is
    infinite.
    """
    import pandas as pd

    names = list(study.run.plan.factors)
    frame = pd.DataFrame(_trial_record(row, names) for row in study.rows)
    _type_factors(frame, names)
    return frame.astype(dict.fromkeys(("elapsed_s", *METRICS), "float64"))


def summary_frame(study: Study) -> "pd.DataFrame":
    """A row per point, in the order of the spec's levels.

    Columns: point; the factors; load_kind; runs (those that count) and how many trials are in each state; for each
    metric of the summary its mean over runs and the 95 % interval, `_low` and `_high`, empty with fewer than 3
    runs; verdict (who gave out in most of its trials), verdict_runs (in how many), evidence. A mean that holds a run beyond the timeout is infinite.
    """
    import pandas as pd

    names = list(study.run.plan.factors)
    frame = pd.DataFrame(_point_record(point, names) for point in study.points)
    _type_factors(frame, names)
    numbers = [f"{metric}{end}" for metric in SUMMARY_METRICS for end in ("", "_low", "_high")]
    return frame.astype(dict.fromkeys(numbers, "float64"))


def parts_frame(study: Study) -> "pd.DataFrame":
    """A row per trial and part of its window, where it had several rates.

    Columns: id, point, repeat; the factors; state; part (1 …), offered_rps, throughput_rps, errors, response_p50_us,
    response_p99_us, send_lag_p99_us.
    """
    import pandas as pd

    names = list(study.run.plan.factors)
    frame = pd.DataFrame(
        {
            "id": row.planned.id,
            "point": row.planned.point,
            "repeat": row.planned.repeat,
            **{name: row.planned.factors[name] for name in names},
            "state": row.state,
            "part": number,
            "offered_rps": part.offered_rps,
            "throughput_rps": part.throughput_rps,
            "errors": part.errors,
            "response_p50_us": part.p50_us,
            "response_p99_us": part.p99_us,
            "send_lag_p99_us": part.send_lag_p99_us,
        }
        for row in study.rows
        for number, part in enumerate(row.parts, start=1)
    )
    _type_factors(frame, names)
    return frame


def _trial_record(row: Row, names: Iterable[str]) -> dict[str, Any]:
    planned, result = row.planned, row.result
    verdict = result.verdict if result else None
    return {
        "id": planned.id,
        "point": planned.point,
        "repeat": planned.repeat,
        "block": planned.block,
        "order": planned.order,
        "canary": planned.canary,
        **{name: planned.factors[name] for name in names},
        "state": row.state,
        "reason": row.reason,
        "limited_by": verdict.limited_by if verdict else None,
        "evidence": verdict.evidence if verdict else None,
        "also": ", ".join(suspect.limited_by for suspect in verdict.also) if verdict else None,
        "runtime": result.runtime if result else None,
        "load_kind": planned.trial.load.kind,
        "timeout_us": planned.trial.load.timeout.us,
        "started": result.started if result else None,
        "elapsed_s": result.elapsed_s if result else None,
        **row.values,
    }


def _point_record(point: Point, names: Iterable[str]) -> dict[str, Any]:
    record: dict[str, Any] = {"point": point.id, **{name: point.factors[name] for name in names}}
    record |= {"load_kind": point.rows[0].planned.trial.load.kind, "runs": len(point.counted)}
    record |= {state.replace(" ", "_"): point.states[state] for state in STATES}
    for metric in SUMMARY_METRICS:
        record |= _columns(metric, point.estimates[metric])
    return record | {"verdict": point.limited_by, "verdict_runs": point.limited_runs, "evidence": point.evidence}


def _columns(metric: str, found: Estimate | None) -> dict[str, float | None]:
    if found is None:
        return {metric: None, f"{metric}_low": None, f"{metric}_high": None}
    mean = math.inf if found.at_least else found.mean
    return {metric: mean, f"{metric}_low": found.low, f"{metric}_high": found.high}


def _type_factors(frame: "pd.DataFrame", names: Iterable[str]) -> None:
    """Plain numbers as numbers, everything else as text."""
    for name in names:
        levels = [numeric(label) for label in frame[name]]
        if all(level is not None and level.unit == "" for level in levels):
            values = [level.value for level in levels if level is not None]
            whole = all(value.is_integer() for value in values)
            frame[name] = [int(value) for value in values] if whole else values


def parquet_bytes(frame: "pd.DataFrame") -> bytes:
    """A frame as Parquet; the same frame gives the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(_typed(pa.Table.from_pandas(frame, preserve_index=False)), sink, compression="zstd")
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _typed(table: "pa.Table") -> "pa.Table":
    """A column without any value is text: otherwise its type would say which trials happened to fail."""
    import pyarrow as pa

    for at, field in enumerate(table.schema):
        if pa.types.is_null(field.type):
            table = table.set_column(at, pa.field(field.name, pa.string()), table.column(at).cast(pa.string()))
    return table


def csv_bytes(frame: "pd.DataFrame") -> bytes:
    """A frame as CSV with ten significant digits, line feeds, and `inf` for what lies beyond a timeout."""
    return frame.to_csv(index=False, float_format="%.10g", lineterminator="\n").encode()
