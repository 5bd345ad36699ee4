"""A search for capacity on a real server: deployed once, loaded step after step, until the interval is found.

Each step is an open load of its own, with a client and a probe of its own. An overload leaves a backlog: before the next
step the server has to answer a request of its own again, so that no step pays for the one before.
"""

import http.client
import math
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

from harness.capacity import Search, Step
from harness.deploy import Front, Reached
from harness.errors import MeasureError
from harness.judging.culprits import CLIENT_TOO_SLOW
from harness.measure import Job, Take
from harness.proof import ask
from harness.readings import throughput_rps
from harness.result import Capacity, SearchStep, Verdict
from harness.slo import Assessment, assess, fails_without_lag, requests_needed
from harness.spec.experiment import Trial
from harness.spec.quantities import Duration, Rate

START_RPS = 100.0
"""Where a search begins that is not told."""

GOLDEN = (math.sqrt(5) - 1) / 2
"""Steps of this size around a circle leave no gap for long."""

CLIENT_TRIES = 3
"""Steps in a row that the client has to limit before it is believed to have given out: one may have been disturbed."""

QUIET_S = 0.2
"""Between two steps, before and after the server has shown that it answers."""

RECOVERY_S = 30.0
"""Longest time from one step to the next, beside the load's own timeout."""

Observe = Callable[[Job, Take], None]
Judged = Callable[[Job, Take], Verdict | None]


def search_capacity(reached: Reached, job: Job, take: Take, observe: Observe, judged: Judged) -> None:
    """Search, and leave the last step's reports and the interval in `take`.

    Args:
        reached: the server, or what the load meets of several, proved right.
        job: the trial, of kind `capacity`.
        take: gets everything; what was found before something broke, too.
        observe: makes one load beside the server.
        judged: who gave out in it.

    Raises:
        MeasureError: a step broke down, or the server did not recover from one.
    """
    search, steps = search_of(job.trial, job.block), list[SearchStep]()
    while (step := search.next()) is not None:
        if steps:
            _recover(reached, job.trial, take)
        job.on_step(_in_words(step, search))
        one = _load(replace(job, name=f"{job.name}-s{len(steps) + 1}", trial=trial_at(job.trial, step)), take, observe)
        verdict = judged(one, take)
        assessment = _assessed(job.trial, take, verdict)
        steps.append(_record(step, assessment, take, verdict))
        void = [made for made in steps[-CLIENT_TRIES:] if made.met is None]
        if assessment.met is not None or len(void) == CLIENT_TRIES:
            search.tell(step, assessment)
        take.capacity = Capacity(
            low_rps=search.low_rps,
            high_rps=search.high_rps,
            ended=search.ended or "too many trials",
            steps=tuple(steps),
            life_ok=take.earlier_ok,
            life_unknown=take.earlier_unknown,
        )
    if take.capacity is not None and search.ended is not None:
        found = {"low_rps": search.low_rps, "high_rps": search.high_rps, "ended": search.ended}
        take.capacity = take.capacity.model_copy(update=found)


def search_doubt(capacity: Capacity) -> str | None:
    """What a search left open, for whoever reads its result; None where it found its interval, or its client ended it."""
    tried = len(capacity.steps)
    if capacity.ended == "none met":
        lowest = min(step.rate_rps for step in capacity.steps)
        return f"no rate met the SLO, the lowest that was tried is {lowest:,.3g}/s"
    if capacity.ended == "too many trials":
        ends = [f"{end:,.0f}/s" if end else "unknown" for end in (capacity.low_rps, capacity.high_rps)]
        return f"the search ended after {tried} trials without the width that was asked for: met {ends[0]}, not met {ends[1]}"
    return None


def search_of(trial: Trial, block: int | None = None) -> Search:
    """The search that a trial of kind `capacity` asks for.

    Args:
        trial: which.
        block: of an experiment's repeats; none: it begins exactly at its rate.
    """
    load, slo = trial.load, trial.slo
    needed = requests_needed(slo)
    start_rps = load.rate.per_s if load.rate else START_RPS
    return Search(
        start_rps=start_rps if block is None else _moved(start_rps, load.resolution.fraction, block),
        resolution=load.resolution.fraction,
        window_s=load.window.s,
        confirmation_s=load.confirmation.s,
        requests=needed + math.ceil(4 * math.sqrt(needed)),  # random arrivals may be fewer
        limit_s=max((limit.s for limit in slo.latencies.values()), default=0.0),
        guessed=load.rate is not None,
    )


def _moved(start_rps: float, resolution: float, block: int) -> float:
    """A first rate of its own for each block, within half a resolution of the one that was asked for.

    The rates that a search tries hang on its first. From the same one, all repeats would round the capacity in the same way, and
    their agreement would say nothing (L. G. Roberts, "Picture coding using pseudo-random noise", 1962: dither). Blocks go round
    the resolution by the golden ratio, which spreads any number of them evenly; where they begin hangs on the rate. So points with
    equal first rates try equal rates within a block, and are compared fairly.
    """
    around = zlib.crc32(f"{start_rps:.6g}".encode()) / 2**32 + block * GOLDEN
    return start_rps * math.pow(1 + resolution, around % 1 - 0.5)


def trial_at(trial: Trial, step: Step) -> Trial:
    """A step of a search, as the open load that it is."""
    load = trial.load.model_copy(
        update={
            "kind": "open",
            "rate": Rate(max(1, round(step.rate_rps * 1_000))),
            "window": Duration(round(step.window_s * 1e9)),
        }
    )
    return trial.model_copy(update={"load": load})


def _load(job: Job, take: Take, observe: Observe) -> Job:
    """Make a step's load; what the step before it counted becomes a part of the server's earlier life."""
    if take.client is not None:
        take.earlier_ok += take.client.life_ok
        take.earlier_unknown += take.client.life_unknown
    take.client, take.shares, take.probes, take.measured = None, [], {}, job.trial
    observe(job, take)
    if take.client is not None:
        take.steps.append(take.client)
    return job


def _assessed(trial: Trial, take: Take, verdict: Verdict | None) -> Assessment:
    """A step's outcome.

    What the client limited says nothing, but for two cases: the SLO was met in spite of it, as its delay is a part of every response
    time; or it would have been missed without that delay as well.
    """
    if take.client is None:
        raise MeasureError("the client of a step left no report")
    found = assess(trial.slo, take.client)
    if verdict is None or verdict.limited_by not in CLIENT_TOO_SLOW or found.met:
        return found
    if verdict.limited_by == "client lag" and fails_without_lag(trial.slo, take.client):
        return found
    return replace(found, met=None, why=f"the client gave out: {verdict.evidence}")


def _record(step: Step, assessment: Assessment, take: Take, verdict: Verdict | None) -> SearchStep:
    return SearchStep(
        rate_rps=step.rate_rps,
        window_s=step.window_s,
        purpose=step.purpose,
        met=assessment.met,
        why=assessment.why,
        throughput_rps=throughput_rps(take.steps[-1]),
        errors=assessment.errors,
        percentiles_us=dict(assessment.percentiles_us),
        limited_by=verdict.limited_by if verdict is not None else "unknown",
    )


def _recover(reached: Reached, trial: Trial, take: Take) -> None:
    """Wait until every server answers again, and what stands in front of them: a request behind a backlog is answered after it.

    Raises:
        MeasureError: one does not within `RECOVERY_S` and the load's timeout.
    """
    time.sleep(QUIET_S)
    behind = reached.servers if isinstance(reached, Front) else ()
    for one in {one.url: one for one in (*behind, reached)}.values():
        _answered_again(one, trial, take)
    time.sleep(QUIET_S)


def _answered_again(reached: Reached, trial: Trial, take: Take) -> None:
    """Ask until it answers.

    Raises:
        MeasureError: it does not within `RECOVERY_S` and the load's timeout.
    """
    parts = urlsplit(reached.url)
    deadline_s = time.monotonic() + RECOVERY_S + trial.load.timeout.s
    while True:
        try:
            origin, asked = f"{parts.scheme}://{parts.netloc}", trial.request.kinds[0]
            ask(origin, asked, trial.load.timeout.s, reached.trust, reached.dial)
            break
        except (OSError, http.client.HTTPException) as error:
            take.earlier_unknown += 1
            if time.monotonic() > deadline_s:
                raise MeasureError(
                    f"{reached.url}: the server did not answer within {RECOVERY_S + trial.load.timeout.s:.0f} s after a step of"
                    f" the search ({error}); it does not recover from an overload, so no further step can be made"
                ) from None
            time.sleep(QUIET_S)
    take.proved += 1


def _in_words(step: Step, search: Search) -> str:
    """`1,250/s (met up to 1,000/s, not at 2,000/s)`."""
    known = [
        f"met up to {search.low_rps:,.0f}/s" if search.low_rps else "",
        f"not at {search.high_rps:,.0f}/s" if search.high_rps else "",
    ]
    said = ", ".join(word for word in known if word)
    confirming = "confirming " if step.purpose == "confirm" else ""
    return f"{confirming}{step.rate_rps:,.0f}/s" + (f" ({said})" if said else "")
