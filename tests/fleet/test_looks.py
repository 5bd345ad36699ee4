"""What is made of two looks at the hosts of a trial."""

import pytest

from harness.errors import DeployError, TrialError
from harness.fleet import Look, Site, clean_all, fleet_of, rebooted, with_clocks
from harness.hosts.connection import ClockOffset
from harness.placement import Machine
from tests.hosts.test_placement import PLENTY


class Runtime:
    """One that can only be cleaned."""

    name = "docker"

    def __init__(self, trouble: TrialError | None = None) -> None:
        self.cleaned = False
        self._trouble = trouble

    def clean(self) -> int:
        self.cleaned = True
        if self._trouble is not None:
            raise self._trouble
        return 0


def site(name: str, runtime: Runtime) -> Site:
    return Site(Machine(name, (0, 1), PLENTY), runtime)  # type: ignore[arg-type]


def test_a_host_in_another_boot_has_started_anew() -> None:
    before = {name: Look("boot/1", ClockOffset()) for name in ("a", "b", "c")}
    after = {"a": Look("boot/1", ClockOffset(5)), "b": Look("boot/2", ClockOffset())}
    assert rebooted(before, after) == ["b"]


def test_clocks_are_those_of_the_last_look() -> None:
    fleet = fleet_of([site("a", Runtime()), site("b", Runtime())])
    now = with_clocks(fleet, {"a": Look("boot/1", ClockOffset(7, 2))})
    assert (now["a"].clock, now["b"].clock) == (ClockOffset(7, 2), ClockOffset())


def test_a_host_that_cannot_be_cleaned_is_told_and_the_others_are_cleaned() -> None:
    bad, good = Runtime(DeployError("a: the engine is gone")), Runtime()
    assert clean_all(fleet_of([site("a", bad), site("b", good)])) == ["a: the engine is gone"]
    assert good.cleaned


@pytest.mark.parametrize("network", ["host", "bridge"])
def test_a_service_listens_where_the_others_reach_it(network: str) -> None:
    there = Site(Machine("a", (0,), PLENTY), Runtime(), address="10.0.0.7")  # type: ignore[arg-type]
    assert there.listening_address(network) == ("10.0.0.7" if network == "host" else "0.0.0.0")
