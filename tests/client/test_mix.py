"""Several kinds of request: drawn by weight from the seed, and each held to what is expected of its kind alone."""

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from client.config import Kind
from client.protocols.http1 import HttpExchange, HttpSession
from client.wire.mix import Mix
from tests.client.running import checked, run
from tests.client.servers import Make, Serve, Server, requests_of, running

RUNS = [{}, {"kind": "open", "rate_per_s": 200}]
LIFETIMES: list[Any] = ["keep-alive", "per-request", 3]


def draws(mix: Mix, connection: int, count: int) -> list[int]:
    series = mix.series(connection)
    return [series.draw() for _ in range(count)]


@pytest.mark.parametrize("weights", [(1.0, 1.0), (5.0, 3.0, 2.0), (1e-3, 1e3, 1.0), (7.0,)])
def test_each_kind_comes_as_often_as_its_weight_says(weights: tuple[float, ...]) -> None:
    """A hundred connections' draws together, within five standard deviations of a binomial count."""
    mix = Mix(weights, seed=3)
    count = 100 * 1_000
    came = Counter(kind for connection in range(100) for kind in draws(mix, connection, 1_000))
    for kind, weight in enumerate(weights):
        share = weight / sum(weights)
        assert abs(came[kind] - count * share) <= 5 * math.sqrt(count * share * (1 - share)) + 1e-9


def test_the_same_seed_share_and_connection_draw_the_same_in_any_order_of_events() -> None:
    one, other = Mix((1.0, 2.0), seed=9, share=1), Mix((1.0, 2.0), seed=9, share=1)
    both = one.series(4), one.series(5)
    mingled = [series.draw() for _ in range(1_000) for series in both]
    assert mingled[::2] == draws(other, 4, 1_000)
    assert mingled[1::2] == draws(other, 5, 1_000)


def test_another_seed_share_or_connection_draws_otherwise() -> None:
    first = draws(Mix((1.0, 1.0), seed=9, share=1), 4, 600)
    others = [(8, 1, 4), (9, 0, 4), (9, 1, 5), (9, 1, 1 << 32)]
    for seed, share, connection in others:
        assert draws(Mix((1.0, 1.0), seed, share), connection, 600) != first


KINDS = (
    Kind(path="/a", expect_body_bytes=1),
    Kind(path="/b", expect_body_bytes=2),
    Kind(path="/h", method="HEAD", expect_body_bytes=0),
    Kind(path="/s", expect_status=404),
)


def of_length(length: int, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status, length) + b"x" * length


def known_after(kind: int, data: bytes) -> list[bool]:
    """Which kinds take these bytes for right at a glance, once one kind has had them for a right answer."""
    exchanges = [HttpExchange(each, "x") for each in KINDS]
    session = HttpSession(exchanges)
    session.encode(kind, last=False)
    session.parse(data)
    return [exchange.is_right(data) or exchange.last_answer == data for exchange in exchanges]


ALONE: dict[str, tuple[int, bytes]] = {
    "a length": (1, of_length(2)),
    "no body, as HEAD asks": (2, of_length(2)[:-2]),
    "a status": (3, of_length(2, b"404 No")),
}


@pytest.mark.parametrize("name", ALONE)
def test_what_is_right_for_one_kind_is_known_to_that_kind_alone(name: str) -> None:
    kind, data = ALONE[name]
    assert [number for number, known in enumerate(known_after(kind, data)) if known] == [kind]


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_what_is_wrong_for_a_kind_is_known_to_none(kind: int) -> None:
    assert not any(known_after(kind, of_length(3, b"500 No")[: -3 if kind == 2 else None]))


def by_path(answers: Mapping[bytes, bytes], seen: Counter[bytes] | None = None) -> Make:
    """Answer each path with its own bytes, and close when asked to."""

    def make(server: Server) -> Serve:
        def serve(connection: Any) -> None:
            for request in requests_of(connection):
                server.count()
                path = request.split(b" ", 2)[1]
                if seen is not None:
                    with server.lock:
                        seen[path] += 1
                connection.sendall(answers[path])
                if b"\r\nConnection: close\r\n" in request:
                    return

        return serve

    return make


MIX: list[dict[str, object]] = [
    {"weight": 4, "path": "/a", "expect_body_bytes": 1},
    {"weight": 3, "path": "/b", "method": "POST", "body_bytes": 20, "expect_body_bytes": 2},
    {"weight": 2, "path": "/h", "method": "HEAD", "expect_body_bytes": 0},
    {"weight": 1, "path": "/s", "headers": {"X-Kind": "s"}, "expect_status": 404},
]
RIGHT = {
    b"/a": of_length(1),
    b"/b": of_length(2),
    b"/h": of_length(2)[:-2],
    b"/s": of_length(2, b"404 No"),
}


@pytest.mark.slow
@pytest.mark.parametrize("settings", RUNS, ids=["closed", "open"])
@pytest.mark.parametrize("lifetime", LIFETIMES)
def test_every_kind_is_asked_and_counted_on_both_sides(
    tmp_path: Path, settings: dict[str, object], lifetime: object
) -> None:
    seen: Counter[bytes] = Counter()
    with running(by_path(RIGHT, seen)) as server:
        report = checked(run(tmp_path, url=server.url, mix=MIX, connections=4, lifetime=lifetime, **settings))
    assert report.errors == {}
    assert report.life_ok == server.requests == seen.total()
    assert set(seen) == set(RIGHT)
    assert [share.ok for share in report.mix] == [share.intended for share in report.mix]
    assert sum(share.ok for share in report.mix) == report.ok
    for path, share in zip((b"/a", b"/b", b"/h", b"/s"), report.mix, strict=True):
        assert 0 < share.ok <= seen[path]


@pytest.mark.slow
@pytest.mark.parametrize("settings", RUNS, ids=["closed", "open"])
def test_the_right_answer_to_another_kind_is_wrong(tmp_path: Path, settings: dict[str, object]) -> None:
    """Kind B is answered as A should be, byte for byte, and HEAD with A's status and another's head."""
    with running(by_path({**RIGHT, b"/b": RIGHT[b"/a"], b"/s": RIGHT[b"/b"]})) as server:
        report = checked(run(tmp_path, url=server.url, mix=MIX, connections=4, **settings))
    a, b, head, status = report.mix
    assert (a.errors, head.errors) == ({}, {})
    assert min(a.ok, head.ok) > 0
    assert (b.ok, set(b.errors)) == (0, {"wrong"})
    assert (status.ok, set(status.errors)) == (0, {"status"})


@pytest.mark.slow
def test_the_same_seed_asks_for_the_same_kinds_in_the_same_order(tmp_path: Path) -> None:
    orders: list[list[bytes]] = []
    for seed in (1, 1, 2):
        order: list[bytes] = []

        def make(server: Server, order: list[bytes] = order) -> Serve:
            def serve(connection: Any) -> None:
                for request in requests_of(connection):
                    order.append(request.split(b" ", 2)[1])
                    connection.sendall(RIGHT[order[-1]])

            return serve

        folder = tmp_path / str(len(orders))
        folder.mkdir()
        with running(make) as server:
            checked(run(folder, url=server.url, mix=MIX, connections=1, seed=seed, window_s=0.2))
        orders.append(order[:100])
    assert min(map(len, orders)) > 20
    first, again, other = (order[: min(map(len, orders))] for order in orders)
    assert first == again
    assert first != other


@pytest.mark.slow
def test_a_kind_that_fails_does_not_end_the_others(tmp_path: Path) -> None:
    with running(by_path({**RIGHT, b"/b": b"HTTP/1.1 nonsense\r\n\r\n"})) as server:
        report = checked(run(tmp_path, url=server.url, mix=MIX[:2], connections=4))
    good, bad = report.mix
    assert (good.errors, bad.ok, set(bad.errors)) == ({}, 0, {"malformed"})
    assert good.ok > 0
