"""Between two steps of a search every server has to answer again, not only the one that the load meets first."""

from typing import Any, cast

import pytest

from harness import search
from harness.deploy import Deployed, Front, Reached
from harness.measure import Take
from harness.spec.experiment import Trial


def deployed(number: int) -> Deployed:
    url = f"http://127.0.0.1:{8_000 + number}/"
    return Deployed(url=url, proving_requests=1, expected=(), service=cast("Any", None), name=f"server-{number}")


def asked(reached: Reached, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], Take]:
    """Whom a search asked between two steps; server 2 refuses once, as it does behind a backlog."""
    origins: list[str] = []

    def ask(origin: str, *_: object) -> None:
        origins.append(origin)
        if origin.endswith("8002") and origins.count(origin) == 1:
            raise ConnectionRefusedError

    monkeypatch.setattr(search, "ask", ask)
    monkeypatch.setattr(search, "QUIET_S", 0.0)
    take = Take()
    search._recover(reached, Trial.model_validate({"model": "reactor"}), take)
    return origins, take


def test_every_server_is_waited_for_and_what_stands_before_them(monkeypatch: pytest.MonkeyPatch) -> None:
    servers = [deployed(1), deployed(2)]
    balanced = Front(url="http://127.0.0.1:9000/", proving_requests=0, expected=(), servers=tuple(servers))
    origins, take = asked(balanced, monkeypatch)
    assert [origin[-4:] for origin in origins] == ["8001", "8002", "8002", "9000"]
    assert (take.proved, take.earlier_unknown) == (3, 1)


def test_of_servers_without_a_balancer_none_is_asked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    origins, take = asked(Front.of([deployed(1), deployed(3)], direct=True), monkeypatch)
    assert [origin[-4:] for origin in origins] == ["8001", "8003"]
    assert take.proved == 2
