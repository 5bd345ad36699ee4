"""The tables of clusters for other tools: a row per server of a trial, a row per fitted law."""

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from harness.analysis.breakdown import ServerPart, parts_of
from harness.analysis.clusters import Curve, curves
from harness.analysis.law import Span
from harness.analysis.study import Study

if TYPE_CHECKING:
    import pandas as pd


def servers_frame(study: Study) -> "pd.DataFrame":
    """A row per trial and server, where a trial had several.

    Columns: id, point, repeat; the factors; state, server, host, rate_rps, share, connections_per_s, cpu, queue_most, errors,
    times_down, down_s.
    """
    import pandas as pd

    names = list(study.run.plan.factors)
    rows = [
        {
            "id": row.planned.id,
            "point": row.planned.point,
            "repeat": row.planned.repeat,
            **{name: row.planned.factors[name] for name in names},
            "state": row.state,
            **{"server" if key == "name" else key: value for key, value in asdict(part).items()},
        }
        for row in study.rows
        if row.result is not None
        for part in parts_of(row.result)
    ]
    measured = [field.name for field in fields(ServerPart) if field.name not in ("name", "host")]
    frame = pd.DataFrame(rows)
    return frame.astype(dict.fromkeys(measured, "float64")) if rows else frame


def scaling_frame(study: Study) -> "pd.DataFrame":
    """A row per curve that a law was fitted to.

    Columns: side, model, metric, runs, sizes; lambda, sigma, kappa, each with `_low` and `_high`; spread (of a run around the law,
    standard deviation of the logarithm); peak (empty where κ cannot be told from 0), pays_to with `_low` and `_high`; superlinear;
    held_out, foretold_low, foretold_high, measured, inside.
    """
    import pandas as pd

    return pd.DataFrame(_record(curve) for curve in curves(study) if curve.fit is not None and curve.clustered)


def _record(curve: Curve) -> dict[str, Any]:
    fit, held = curve.fit, curve.held_out
    if fit is None:
        return {}
    law = fit.law
    prediction = held.prediction if held is not None else None
    return {
        "side": curve.name or curve.model,
        "model": curve.model,
        "metric": curve.metric,
        "runs": fit.runs,
        "sizes": " ".join(f"{size}" for size in fit.sizes),
        **_ends("lambda", law.scale, fit.scale),
        **_ends("sigma", law.sigma, fit.sigma),
        **_ends("kappa", law.kappa, fit.kappa),
        "spread": fit.spread,
        "peak": law.peak if fit.kappa_known else None,
        **_ends("pays_to", law.pays_to, fit.pays_to()),
        "superlinear": curve.superlinear,
        "held_out": held.servers if held is not None else None,
        "foretold_low": prediction.low if prediction is not None else None,
        "foretold_high": prediction.high if prediction is not None else None,
        "measured": held.value if held is not None else None,
        "inside": held.inside if held is not None else None,
    }


def _ends(name: str, value: float | None, span: Span | None) -> dict[str, float | None]:
    return {name: value, f"{name}_low": span.low if span else None, f"{name}_high": span.high if span else None}
