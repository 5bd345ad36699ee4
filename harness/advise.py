"""`harness advise`: how many servers a demand takes, from stored results. Needs neither Docker nor hosts."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from harness.analysis.advice import Advice, Held, advise, stops_paying
from harness.analysis.clusters import Curve, curves
from harness.analysis.objective import is_laxer, reader_for, same, slo_in_words, unknown_limits
from harness.analysis.prices import Costs, costs_of
from harness.analysis.study import Study, make_study
from harness.errors import NothingMeasured, SpecError
from harness.report.advising import advice_lines, one_server, warnings
from harness.report.text import listed
from harness.spec.explain import as_options
from harness.spec.quantities import Rate, Share
from harness.spec.traffic import Slo
from harness.spec.words import limits_of
from harness.store import find_run, runs_of

MOST_HEADROOM = 10.0
Parsed = TypeVar("Parsed", Rate, Share)


@dataclass(frozen=True)
class Demand:
    """What is asked for."""

    rate_rps: float
    headroom: float  # share
    slo: Slo | None  # None: the one that was measured


@dataclass(frozen=True)
class Answer:
    """What a run says to a demand."""

    name: str
    run: str
    demand: Demand
    notes: tuple[str, ...]  # of the SLO
    given: tuple[tuple[Advice, Costs | None], ...]  # by curve
    unknown: tuple[Curve, ...] = ()  # of which no number of servers has a value

    @property
    def answered(self) -> bool:
        """Whether a number of servers could be named for any curve."""
        return any(advice.use is not None for advice, _ in self.given)

    def lines(self) -> Iterator[str]:
        """What the verb prints."""
        yield f"From run {self.run} of {self.name}."
        yield from self.notes
        for advice, costs in self.given:
            yield ""
            yield from advice_lines(advice, costs.currency if costs is not None else "")
        if self.unknown:
            yield ""
            yield from map(one_server, self.unknown)
        if self.given and all(costs is None for _, costs in self.given):
            yield ""
            yield "No prices: the run's inventory says none (`price_per_hour`), or it ran on this machine."

    def as_json(self) -> dict[str, Any]:
        """The same as data; rates in requests/s."""
        return {
            "name": self.name,
            "run": self.run,
            "rate_rps": self.demand.rate_rps,
            "headroom": self.demand.headroom,
            "notes": list(self.notes),
            "answers": [_as_json(advice, costs) for advice, costs in self.given],
            "unknown": [one_server(curve) for curve in self.unknown],
        }


def demand_of(rate: str, headroom: str, slo: str | None) -> Demand:
    """The demand that the command line's words ask for.

    Raises:
        SpecError: a word is wrong; every problem, a line each.
    """
    problems: list[str] = []
    asked = _parsed("rate", Rate, rate, problems) or Rate(1_000)
    share = _parsed("headroom", Share, headroom, problems) or Share(0)
    wanted = _slo(slo, problems) if slo is not None else None
    if not asked.amount:
        problems.append("--rate: 0/s needs no server; write the rate that is to be held, such as `1000/s`")
    if share.fraction > MOST_HEADROOM:
        problems.append(
            f"--headroom: more than {MOST_HEADROOM:.0%}; write the share to be held beyond the rate, such as `20 %`"
        )
    if problems:
        raise SpecError(problems)
    return Demand(asked.per_s, share.fraction, wanted)


def _parsed(option: str, kind: type[Parsed], word: str, problems: list[str]) -> Parsed | None:
    try:
        return kind.parse(word)
    except ValueError as error:
        problems.append(f"--{option}: {error}")
        return None


def _slo(words: str, problems: list[str]) -> Slo | None:
    before = len(problems)
    limits = limits_of(words, problems)
    try:
        slo = Slo.model_validate(limits)
    except ValidationError as error:
        problems += [f"--slo: {problem.partition(': ')[2]}" for problem in as_options(error.errors(), Slo)]
        return None
    if not slo.is_set and len(problems) == before:
        problems.append("--slo: it names no limit; write one, such as `p99<50ms`, or leave it out")
    return slo


def answer_demand(results: Path, name: str, run_id: str | None, demand: Demand) -> Answer:
    """What a run says to a demand.

    Args:
        results: the folder of all results.
        name: of the experiment.
        run_id: its run; None: the newest.
        demand: from `demand_of`.

    Raises:
        NothingMeasured: there is no run, it searched for no capacity, or it measured another SLO.
        ResultError: there is no such run, or it cannot be read.
    """
    if run_id is None and not runs_of(results, name):
        raise NothingMeasured(
            f"{results / name}: nothing was measured yet; run `make experiment NAME={name}` first, or name an experiment that has results"
        )
    study = make_study(find_run(results, name, run_id))
    searched = [curve for curve in curves(study) if curve.metric == "capacity_rps"]
    if not searched:
        raise NothingMeasured(
            f"{name}, run {study.run.id}: it searched for no capacity, so nothing says what a server holds;"
            " an experiment with `load.kind: capacity` and an `slo` does, such as experiments/cluster.yaml"
        )
    notes, found = _under(study, searched, demand.slo)
    given = [(curve, costs_of(study, curve)) for curve in found if curve.measured]
    if not given:
        raise NothingMeasured(
            f"{name}, run {study.run.id}: {_no_value(found)} {slo_in_words(found[0].slo)}, so nothing can be advised;"
            " start the search lower (`load.rate`), or ask for less"
        )
    advices = [(advise(curve, demand.rate_rps, demand.headroom, costs), costs) for curve, costs in given]
    unknown = tuple(curve for curve in found if not curve.measured)
    return Answer(name, study.run.id, demand, tuple(notes), tuple(advices), unknown)


def _no_value(found: list[Curve]) -> str:
    """What kept every number of servers from a value."""
    some = any(0 < size.without < len(size.rows) for curve in found for size in curve.sizes)
    return "of no number of servers did every run find a rate that meets" if some else "no run found a rate that meets"


def _under(study: Study, searched: list[Curve], asked: Slo | None) -> tuple[list[str], list[Curve]]:
    """The curves under the SLO that is asked for, and what has to be said of it."""
    measured = list({slo_in_words(curve.slo): curve.slo for curve in searched}.values())
    if asked is None or all(same(asked, slo) for slo in measured):
        return [], searched
    if len(measured) > 1:
        fitting = [curve for curve in searched if same(asked, curve.slo)]
        if fitting:
            return [], fitting
    slo = measured[0]
    if len(measured) > 1 or (lacking := unknown_limits(asked, slo)):
        said = " or ".join(slo_in_words(one) for one in measured)
        why = f"its steps hold no {listed(lacking)}" if len(measured) == 1 else "it measured several"
        raise NothingMeasured(
            f"run {study.run.id}: it measured {said}, and {slo_in_words(asked)} was asked for; {why}."
            " Ask for what was measured, or run the experiment with that `slo`"
        )
    note = f"Measured was {slo_in_words(slo)}; the steps of the searches were held against {slo_in_words(asked)}"
    note += " once more, so capacities are coarser."
    if is_laxer(asked, slo):
        note += " It allows more than was measured, so they are lower bounds."
    found = curves(study, reader_for(asked, slo))
    return [note], [replace(curve, slo=asked) for curve in found if curve.metric == "capacity_rps"]


def _as_json(advice: Advice, costs: Costs | None) -> dict[str, Any]:
    curve = advice.curve
    fit = curve.fit
    return {
        "side": curve.name or curve.model,
        "model": curve.model,
        "slo": slo_in_words(curve.slo),
        "one_server": _held(advice.one),
        "use": _held(advice.use),
        "surer": _held(advice.surer),
        "efficiency": asdict(advice.efficiency) if advice.efficiency else None,
        "stops_paying_beyond": stops_paying(curve),
        "most_measured": curve.most,
        "left_out": [
            {"servers": size.servers, "runs": len(size.rows), "without_value": size.without} for size in curve.left_out
        ],
        "law": None
        if fit is None
        else {
            "scale_rps": fit.law.scale,
            "sigma": fit.law.sigma,
            "kappa": fit.law.kappa,
            "kappa_known": fit.kappa_known,
        },
        "currency": costs.currency if costs is not None else None,
        "cost_per_hour": advice.price.per_hour if advice.price is not None else None,
        "more_hosts": advice.price.more_hosts if advice.price is not None else None,
        "cost_per_million": advice.cost_per_million,
        "warnings": warnings(advice),
    }


def _held(held: Held | None) -> dict[str, Any] | None:
    if held is None:
        return None
    return {
        "servers": held.servers,
        "rate_rps": held.rate_rps,
        "low_rps": held.interval.low if held.interval is not None else None,
        "high_rps": held.interval.high if held.interval is not None else None,
        "basis": held.basis,
    }
