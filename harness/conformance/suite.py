"""All checks in their order, and how one is made."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from harness.conformance.bench import Bench
from harness.conformance.checks import answering, arriving, ending, garbage, keeping, leaving, many, refusing
from harness.conformance.findings import Failed, NotApplicable
from harness.errors import DeployError

State = Literal["passed", "failed", "not applicable", "differs", "agrees after all"]
DEADLINE_S = 60.0
LONG_DEADLINE_S = 180.0


@dataclass(frozen=True)
class Check:
    """One question to a server.

    Attributes:
        name: part of the interface: in outputs, and in `differs` of a model.yaml.
        says: what is asked, a sentence.
        run: asks; returns what was seen, or raises what is wrong.
        deadline_s: for all its waits together, seconds.
    """

    name: str
    says: str
    run: Callable[[Bench], str]
    deadline_s: float


@dataclass(frozen=True)
class Outcome:
    """What came of a check."""

    check: Check
    state: State
    detail: str  # what was seen, the evidence, or why it is not applicable
    seconds: float


def _check(run: Callable[[Bench], str], deadline_s: float = DEADLINE_S) -> Check:
    says = (run.__doc__ or "").split("\n\n")[0]
    return Check(run.__name__.replace("_", "-"), says, run, deadline_s)


CHECKS = (
    _check(answering.answer),
    _check(answering.any_request),
    _check(answering.body),
    _check(answering.echo),
    _check(answering.head),
    _check(answering.expect_continue),
    _check(keeping.keep_alive),
    _check(keeping.close),
    _check(keeping.http_1_0),
    _check(keeping.half_close),
    _check(arriving.split),
    _check(arriving.coalesced),
    _check(arriving.pipelined),
    _check(arriving.slow_writer),
    _check(refusing.malformed),
    _check(refusing.large_head),
    _check(refusing.large_body),
    _check(refusing.not_understood),
    _check(garbage.generated, LONG_DEADLINE_S),
    _check(leaving.reset_in_request),
    _check(leaving.reset_in_response),
    _check(leaving.slow_reader),
    _check(many.idle, LONG_DEADLINE_S),
    _check(many.beyond_bound),
    _check(many.open_and_close, LONG_DEADLINE_S),
    _check(many.leak_descriptors),
    _check(many.leak_processes),
    _check(many.leak_threads),
    _check(many.leak_memory),
    _check(ending.stop_status),
    _check(ending.stop_whole),
    _check(ending.stop_received),
    _check(ending.stop_sending),
    _check(ending.stop_idle),
    _check(ending.stop_unread),
    _check(ending.exit_report),
    _check(ending.counts),
    _check(ending.marks),
    _check(ending.port_free),
)


def run_checks(bench: Bench, differs: Mapping[str, str]) -> Iterator[Outcome]:
    """Make every check, in order, and tell what came of it.

    Args:
        bench: the server under test.
        differs: by check's name, why this server is meant to differ in it.

    Raises:
        DeployError: the server does not start, or does not answer a plain request rightly.
    """
    bench.plain()
    try:
        for check in CHECKS:
            yield _outcome(check, bench, differs.get(check.name))
    finally:
        bench.discard()


def _outcome(check: Check, bench: Bench, reason: str | None) -> Outcome:
    begun_s = time.monotonic()
    state, detail = _made(check, bench, begun_s)
    if reason is not None and state == "failed":
        state, detail = "differs", f"{reason} ({detail})"
    elif reason is not None and state == "passed":
        state = "agrees after all"
    return Outcome(check, state, detail, time.monotonic() - begun_s)


def _made(check: Check, bench: Bench, begun_s: float) -> tuple[State, str]:
    bench.until_s = begun_s + check.deadline_s
    try:
        try:
            detail = check.run(bench)
        finally:
            bench.until_s = time.monotonic() + DEADLINE_S
        bench.settle()
    except NotApplicable as why:
        return "not applicable", str(why)
    except (Failed, DeployError) as failed:
        bench.discard()
        return "failed", str(failed)
    return "passed", detail
