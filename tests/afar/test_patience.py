"""Patience with an engine that is out of reach: one for all that is asked of it."""

from typing import Any

import pytest
from docker.errors import NotFound

from harness.runtime.docker import patience
from harness.runtime.docker.patience import Reach, WayLost


class Asked:
    """A question to an engine, which counts how often it is asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.times = 0

    def __call__(self) -> Any:
        self.times += 1
        answer = self.answers.pop(0) if self.answers else WayLost("host-1: away")
        if isinstance(answer, Exception):
            raise answer
        return answer


class Clock:
    """Time that passes by sleeping only."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(patience, "time", made)
    return made


@pytest.fixture
def reach(clock: Clock) -> Reach:
    """With an engine that was away until patience was over."""
    made, first = Reach("host-1", patience_s=30.0), Asked()
    with pytest.raises(WayLost):
        made.again(first)
    assert first.times > 2
    assert clock.now_s == 1030.0
    return made


def test_an_engine_that_is_known_to_be_away_is_asked_once(reach: Reach) -> None:
    for _ in range(3):
        asked = Asked()
        with pytest.raises(WayLost):
            reach.again(asked)
        assert asked.times == 1


@pytest.mark.parametrize("answer", ["well", NotFound("no such container")])
def test_one_that_has_answered_is_waited_for_anew(reach: Reach, answer: Any) -> None:
    if isinstance(answer, Exception):
        with pytest.raises(NotFound):
            reach.again(Asked(answer))
    else:
        assert reach.again(Asked(answer)) == "well"
    assert reach.again(Asked(WayLost("again"), "well")) == "well"


def test_an_absence_of_long_ago_is_another(reach: Reach, clock: Clock) -> None:
    clock.sleep(31.0)
    assert reach.again(Asked(WayLost("again"), "well")) == "well"
