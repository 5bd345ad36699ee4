"""What carries our labels goes, unless a run may still need it: then the reason is said."""

from dataclasses import replace

import pytest

from harness.clean import chosen
from harness.runtime.base import Owner, make_owner
from harness.runtime.docker.cleaning import Ours, keeper

NOW_S = 1_800_000_000.0
ME = make_owner("r1")
AFAR = replace(ME, host="elsewhere")


def labels(owner: Owner, deadline: str = "1800000060") -> dict[str, str]:
    return owner.labels() | {"ceiling.deadline": deadline}


GO = {
    "of a process that is gone": labels(replace(ME, pid=2**22 + 1)),
    "of a process id that is another's now": labels(replace(ME, pid_started="1")),
    "of this machine before it was booted": labels(replace(ME, boot_id="5b1cf1a6-0000-4000-8000-000000000000")),
    "of another machine, past its lease": labels(AFAR, "1799999999"),
    "of nobody that is named in full, past its lease": labels(replace(ME, pid_started=""), "1799999999"),
}
STAY = {
    "of a live run": (labels(ME), f"run r1 is live (process {ME.pid} of this machine)"),
    "of a live run past its lease": (labels(ME, "1799999999"), f"run r1 is live (process {ME.pid} of this machine)"),
    "of another machine, with a lease": (labels(AFAR), "run r1 of elsewhere may be live: its lease lasts 60 s more"),
    "of another machine, without one": (AFAR.labels(), "run r1 of elsewhere may be live: it has no lease"),
    "of nobody that is named": ({}, "run ? of ? may be live: it has no lease"),
}


@pytest.mark.parametrize("case", GO)
def test_goes(case: str) -> None:
    assert keeper(GO[case], NOW_S) == ""


@pytest.mark.parametrize("case", STAY)
def test_stays_with_the_reason(case: str) -> None:
    given, reason = STAY[case]
    assert keeper(given, NOW_S) == reason


def test_everything_goes_where_that_is_asked_for() -> None:
    ours = [Ours("container", name, (name,), kept) for name, kept in (("dead", ""), ("live", "run r1 is live"))]
    assert chosen(ours, everything=False) == (ours[:1], ["container live: run r1 is live"])
    assert chosen(ours, everything=True) == (ours, [])
