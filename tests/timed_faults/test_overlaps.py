"""Faults of several servers on one host that meet: one would undo the other, or keep it from being undone."""

from typing import Any

import pytest

from harness.timed_faults import FaultHost, overlaps, run_here
from tests.timed_faults.conftest import fault

HOSTS = [FaultHost(host=name, here=False, run=run_here) for name in ("a", "a", "b")]
DELAY = {"do": "delay", "delay": "5 ms"}
LOSS = {"do": "loss", "share": 0.1}


def told(*asked: dict[str, Any]) -> list[str]:
    return list(overlaps([fault(**each) for each in asked], HOSTS))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"do": "partition", "lasts": "2 s"}, {"do": "partition"}),
        ({"do": "partition"}, DELAY),
        ({**DELAY, "lasts": "2 s"}, LOSS),
        ({"do": "kill-host", "lasts": "2 s"}, {"do": "partition"}),
        ({"do": "freeze-host", "lasts": "2 s"}, {"do": "kill-worker"}),
        ({**LOSS, "lasts": "2 s"}, {"do": "freeze-host"}),
        ({"do": "freeze-server", "lasts": "2 s"}, {"do": "kill-host"}),
    ],
)
def test_what_meets_on_one_host_is_one_line_and_on_two_hosts_or_one_after_the_other_fine(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    first, second = {"at": "1 s", "server": 1, **first}, {"at": "2 s", "server": 2, **second}
    (line,) = told(first, second)
    assert line.startswith(
        f"faults: a: fault 2 of `faults`, `{second['do']}` of server 2, comes while fault 1, `{first['do']}` of server 1,"
    )
    assert "shorter `lasts`" in line
    assert told(second, first) != []  # their order in the spec does not matter
    assert told(first, {**second, "server": 3}) == []
    assert told({**first, "lasts": "1 s"}, second) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"do": "kill-server", "lasts": "2 s"}, {"do": "freeze-server"}),
        ({"do": "partition", "lasts": "2 s"}, {"do": "kill-server"}),
        ({"do": "freeze-server"}, DELAY),
        ({"do": "kill-worker"}, {"do": "kill-host"}),  # nothing of it is to be undone
    ],
)
def test_what_leaves_the_other_alone_may_meet(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert told({"at": "1 s", "server": 1, **first}, {"at": "2 s", "server": 2, **second}) == []
