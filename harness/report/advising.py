"""What a curve of one server and many allows to be said, in sentences: for the report and for `harness advise`."""

from collections.abc import Iterator

from harness.analysis.advice import Advice, Held, held_by, stops_paying
from harness.analysis.clusters import Curve, Efficiency, Size, curves
from harness.analysis.law import MOST_SERVERS, Span
from harness.analysis.objective import slo_in_words
from harness.analysis.scaling import SIZES_TO_HOLD_OUT
from harness.analysis.study import Study
from harness.report.text import amount, count, listed, number


def conditions(curve: Curve) -> str:
    """Under what a rate is held."""
    return f"at {slo_in_words(curve.slo)}" if curve.metric == "capacity_rps" else "at saturation"


def who(curve: Curve) -> str:
    """The side, as the start of a sentence."""
    return curve.name or curve.model


def one_server(curve: Curve) -> str:
    """What one server holds, or why that is not known."""
    one = held_by(curve, 1) if curve.measured else None
    if one is None:
        return f"{who(curve)}: what one server holds {conditions(curve)} is not known{_why_not(curve)}."
    told = "" if one.basis == "measured" else ", by the law: one server by itself was not measured"
    return f"{who(curve)}: one server holds {_rate(one)} {conditions(curve)}{told}."


def _why_not(curve: Curve) -> str:
    """Of one server by itself, else of all where none has a value."""
    lacking = [size for size in curve.left_out if size.servers == 1] or ([] if curve.measured else curve.left_out)
    return f": {listed([_lacks(curve, size) for size in lacking])}" if lacking else ""


def left_out(curve: Curve) -> str:
    """The numbers of servers that nothing rests on, as some of their runs have no value; empty where there are none."""
    said = [_lacks(curve, size) for size in curve.left_out]
    return (
        f"Left out, as the other runs would be the fortunate ones: {listed(said)}." if said and curve.measured else ""
    )


def _lacks(curve: Curve, size: Size) -> str:
    """`8 servers (in 2 of 3 runs no rate met it)`."""
    runs = f"in {size.without} of {count(len(size.rows), 'run')}"
    return f"{count(size.servers, 'server')} ({runs} {_no_value(curve, size)})"


def _no_value(curve: Curve, size: Size) -> str:
    if curve.metric != "capacity_rps":
        return "no request was answered"
    found = [row.result.capacity for row in size.rows if row.result is not None]
    ended = any(one is not None and one.ended == "client gave out" for one in found)
    return "no rate met it, or the load client gave out first" if ended else "no rate met it"


def many_servers(curve: Curve) -> str:
    """What the largest number measured holds, and how much of that many single servers it is; empty for one size."""
    if len(curve.measured) < 2:
        return ""
    last = curve.measured[-1]
    held = held_by(curve, last.servers)
    if held is None or last.efficiency is None:
        return ""
    return f"{last.servers} servers hold {_rate(held)}: efficiency {efficiency_in_words(last.efficiency)}."


def efficiency_in_words(found: Efficiency) -> str:
    """`0.97 [0.94–1.00]`."""
    inside = f" [{found.low:.2f}–{found.high:.2f}]" if found.low is not None and found.high is not None else ""
    return f"{found.value:.2f}{inside}"


def paying(curve: Curve) -> str:
    """Where one more server stops paying; empty where nothing was fitted."""
    if curve.fit is None or not curve.clustered:
        return ""
    if curve.superlinear:
        return (
            "Capacity grows faster than the number of servers, which the law does not know: its σ is at its bound, 0, and"
            " it foretells too little. Look for what one server by itself lacks, such as a queue that more servers share."
        )
    last, span = stops_paying(curve), curve.fit.pays_to()
    if last is not None:
        return f"Beyond {count(last, 'server')}{_servers_span(span)} adding more stops paying: one more brings less than half of one."
    on = (
        f": by the law that goes on to {span.low:.0f} servers at least"
        if span is not None and span.low > curve.most
        else ""
    )
    return f"Up to {curve.most} servers, as many as were measured, one more paid each time{on}."


def _servers_span(span: Span | None) -> str:
    if span is None or span.low == span.high:
        return ""
    high = "no end" if span.high > MOST_SERVERS else f"{span.high:.0f}"
    return f" [{span.low:.0f}–{high}]"


def peak(curve: Curve) -> str:
    """Whether capacity falls again from some number of servers on."""
    if curve.fit is None or not curve.clustered:
        return ""
    top = curve.fit.law.peak
    if curve.fit.kappa_known and top is not None:
        return f"By the law capacity falls again beyond {number(top)} servers (κ = {number(curve.fit.law.kappa, 2)})."
    return "Whether it ever falls again as servers are added cannot be told from these runs: κ cannot be told from 0."


def foretold(curve: Curve) -> str:
    """Whether the point that was held out of the fit lies where the fit to the others said."""
    held = curve.held_out
    if held is None:
        if curve.fit is None or not curve.clustered:
            return ""
        return f"No point was held out of the fit: that takes {SIZES_TO_HOLD_OUT} numbers of servers."
    if held.inside is None or held.prediction is None:
        return "Whether the law foretells a point held out of the fit takes 3 repeats."
    where = f"{number(held.prediction.low)}–{number(held.prediction.high)}/s"
    found = f"{held.servers} servers were left out of the fit, which then foretold {where} (95 %); measured were {number(held.value)}/s"
    if held.inside:
        return f"Checked: {found}, within it."
    return f"The law fails here: {found}, outside of it. What it says beyond the measured is not to be trusted."


def advice_lines(advice: Advice, currency: str = "") -> Iterator[str]:
    """The answer for a demand: sentences, then warnings."""
    curve = advice.curve
    yield one_server(curve)
    yield _use(advice)
    if paid := paying(curve):
        yield paid
    if lacking := left_out(curve):
        yield lacking
    if currency and advice.use is not None:
        yield _cost(advice, currency)
    yield from (f"Warning: {warning}" for warning in warnings(advice))


def _cost(advice: Advice, currency: str) -> str:
    price, million = advice.price, advice.cost_per_million
    if price is None or million is None:
        return "Cost: not known, as a host that it takes has no price (`price_per_hour`)."
    more = (
        f" (with {count(price.more_hosts, 'more host')} at the mean price of those for servers)"
        if price.more_hosts
        else ""
    )
    return (
        f"Cost: {number(price.per_hour)} {currency} per hour{more}, {number(million)} {currency} per million"
        f" requests at {amount(advice.rate_rps, 'requests/s')}."
    )


def _use(advice: Advice) -> str:
    demand = amount(advice.rate_rps, "requests/s")
    if advice.needed_rps > advice.rate_rps:
        demand += f" with headroom ({amount(advice.needed_rps, 'requests/s')})"
    if advice.use is None:
        return f"For {demand} no number of servers can be named: {_unreached(advice.curve)}."
    use = advice.use
    efficiency = f", efficiency {efficiency_in_words(advice.efficiency)}" if advice.efficiency else ""
    basis = {"measured": "measured", "between": "by the law", "beyond": "by the law, beyond what was measured"}
    return f"For {demand} use {count(use.servers, 'server')}: {_rate(use)} ({basis[use.basis]}){efficiency}."


def _unreached(curve: Curve) -> str:
    most = held_by(curve, curve.most)
    held = f"{count(curve.most, 'server')} hold{'s' if curve.most == 1 else ''} {_rate(most)}" if most else ""
    if curve.fit is None:
        return f"{held}, and beyond that nothing was measured; a law takes 3 numbers of servers"
    top = curve.fit.law.peak
    ceiling = f", at most {number(curve.fit.law.at(top))}/s with {number(top)} servers" if top else ""
    return f"{held}, and by the law no number holds as much{ceiling}"


def warnings(advice: Advice) -> list[str]:
    """What a reader must not miss."""
    curve, use, found = advice.curve, advice.use, list[str]()
    if use is not None and use.basis == "beyond":
        found.append(
            f"this is beyond what was measured ({count(curve.most, 'server')}): the fitted law is extrapolated; measure it before you build it."
        )
        if curve.held_out is not None and curve.held_out.inside is False:
            found.append("the law did not foretell the largest number that was measured.")
    if advice.surer is not None and use is not None and use.interval is not None:
        found.append(
            f"the lower end of that interval is below what is needed; {count(advice.surer.servers, 'server')} hold it with theirs, too."
        )
    if use is not None and use.interval is None:
        found.append("fewer than 3 repeats: no interval.")
    last = stops_paying(curve)
    if use is not None and last is not None and use.servers > last:
        found.append(f"that is more than the {count(last, 'server')} beyond which one more stops paying.")
    if curve.superlinear:
        found.append("capacity grew faster than the number of servers; the law foretells too little.")
    if use is not None and use.basis != "measured" and curve.fit is not None and not curve.fit.kappa_known:
        found.append("κ cannot be told from 0, so whether capacity falls again further out is not known.")
    return found


def _rate(held: Held) -> str:
    inside = f" [{number(held.interval.low)}–{number(held.interval.high)}]" if held.interval is not None else ""
    return f"{number(held.rate_rps)} requests/s{inside}"


def sentences(curve: Curve) -> tuple[str, ...]:
    """All that can be said without a demand, one curve."""
    said = (one_server(curve), many_servers(curve), paying(curve), peak(curve), foretold(curve), left_out(curve))
    return tuple(sentence for sentence in said if sentence)


def headline(study: Study) -> tuple[str, str] | None:
    """What the report of a cluster opens with, and goes on with; None where no side has a law, and for several sides."""
    fitted = [curve for curve in curves(study) if curve.clustered and curve.fit is not None]
    if len(fitted) != 1:
        return None
    curve = fitted[0]
    first = (one_server(curve), many_servers(curve), paying(curve))
    return " ".join(filter(None, first)), " ".join(filter(None, (peak(curve), foretold(curve), left_out(curve))))
