"""Who runs where, decided before anything runs."""

import os
from collections.abc import Sequence
from typing import Any

import pytest

from harness.errors import HostError
from harness.hosts.cores import CoreMap, available_cores, divide_among, divide_cores, slices


@pytest.mark.parametrize(
    ("available", "server_cores", "expected"),
    [
        ((0, 1), 1, CoreMap(server=(1,), client=(0,), shared=False)),
        ((1, 0), 1, CoreMap(server=(1,), client=(0,), shared=False)),
        ((0, 1, 2, 3), 1, CoreMap(server=(3,), client=(0, 1, 2), shared=False)),
        ((0, 1, 2, 3), 3, CoreMap(server=(1, 2, 3), client=(0,), shared=False)),
        ((4, 6, 9), 2, CoreMap(server=(6, 9), client=(4,), shared=False)),
        ((5,), 1, CoreMap(server=(5,), client=(5,), shared=True)),
    ],
)
def test_the_server_has_its_own_cpus_where_the_host_has_them(
    available: tuple[int, ...], server_cores: int, expected: CoreMap
) -> None:
    assert divide_cores(available, server_cores) == expected


HYPER_THREADS = ((0, 4), (1, 5), (2, 6), (3, 7))


@pytest.mark.parametrize(
    ("available", "server_cores", "backend", "expected"),
    [
        (range(8), 1, False, CoreMap(server=(7,), client=(0, 1, 2, 4, 5, 6), shared=False)),
        (range(8), 3, False, CoreMap(server=(5, 6, 7), client=(0, 4), shared=False)),
        (range(8), 4, False, CoreMap(server=(2, 3, 6, 7), client=(0, 1, 4, 5), shared=False)),
        (range(8), 5, False, CoreMap(server=(2, 3, 5, 6, 7), client=(0, 4), shared=False)),
        (range(8), 7, False, CoreMap(server=(1, 2, 3, 4, 5, 6, 7), client=(0,), shared=False)),
        ((0, 4), 1, False, CoreMap(server=(4,), client=(0,), shared=False)),  # one core is all there is
        ((0, 1, 4, 5), 1, False, CoreMap(server=(5,), client=(0, 4), shared=False)),
        ((3, 4, 5, 6), 2, False, CoreMap(server=(5, 6), client=(3, 4), shared=False)),  # each on a core of its own
        (range(8), 1, True, CoreMap(server=(7,), client=(0, 1, 4, 5), shared=False, backend=(6,))),
        (range(8), 3, True, CoreMap(server=(5, 6, 7), client=(0,), shared=False, backend=(4,))),
    ],
)
def test_the_sides_share_no_physical_core_where_there_are_enough(
    available: Sequence[int], server_cores: int, backend: bool, expected: CoreMap
) -> None:
    assert divide_cores(available, server_cores, backend=backend, siblings=HYPER_THREADS) == expected


@pytest.mark.parametrize(("available", "server_cores"), [((0,), 2), ((0, 1), 2), ((0, 1, 2, 3), 4), ((0, 1), 64)])
def test_more_than_leaves_one_for_the_client_is_an_error_with_the_most_there_can_be(
    available: tuple[int, ...], server_cores: int
) -> None:
    with pytest.raises(
        HostError, match=rf"limits\.cores: {server_cores} asked .* ask for {max(1, len(available) - 1)} "
    ):
        divide_cores(available, server_cores)


def test_the_cpus_there_are_are_those_this_process_may_use() -> None:
    everything = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(everything)})
        assert available_cores() == (min(everything),)
    finally:
        os.sched_setaffinity(0, everything)
    assert available_cores() == tuple(sorted(everything))


@pytest.mark.parametrize(
    ("cpus", "asked", "expected"),
    [
        # Two CPUs: everything beside the servers runs together.
        ((0, 1), {"servers": 3, "server_cores": 1, "balancer_cores": 1}, CoreMap((1,), (0,), False, balancer=(0,))),
        (range(4), {"servers": 2, "server_cores": 1, "balancer_cores": 1}, CoreMap((2, 3), (0,), False, balancer=(1,))),
        (
            range(8),
            {"servers": 3, "server_cores": 2, "balancer_cores": 1},
            CoreMap((2, 3, 4, 5, 6, 7), (0,), False, balancer=(1,)),
        ),
        (range(8), {"servers": 9, "server_cores": 1}, CoreMap((1, 2, 3, 4, 5, 6, 7), (0,), False)),
        # A host of servers alone keeps a CPU for the probe, where it can.
        (range(4), {"servers": 2, "server_cores": 1, "client": False}, CoreMap((2, 3), (0, 1), False)),
        (range(4), {"servers": 4, "server_cores": 1, "client": False}, CoreMap((1, 2, 3), (0,), False)),
        ((3,), {"servers": 2, "server_cores": 1, "client": False}, CoreMap((3,), (3,), False)),
        (
            (3,),
            {"servers": 2, "server_cores": 1, "client": False, "backend": True},
            CoreMap((3,), (3,), False, backend=(3,)),
        ),
        # A host without servers.
        (range(4), {"servers": 0, "server_cores": 1}, CoreMap((), (0, 1, 2, 3), False)),
        (
            range(4),
            {"servers": 0, "server_cores": 1, "balancer_cores": 1},
            CoreMap((), (0, 1, 2), False, balancer=(3,)),
        ),
        ((0,), {"servers": 0, "server_cores": 1, "balancer_cores": 1}, CoreMap((), (0,), False, balancer=(0,))),
    ],
)
def test_a_host_is_divided_among_several_servers_and_a_balancer(
    cpus: Sequence[int], asked: dict[str, Any], expected: CoreMap
) -> None:
    divided = divide_among(cpus, **asked)
    assert divided == expected
    assert divided.balancer_apart == bool(expected.balancer and not set(expected.balancer) & {*expected.client})


def test_servers_of_one_host_have_cpus_of_their_own_where_there_are_enough() -> None:
    assert slices((4, 5, 6, 7), 2, 2) == [(4, 5), (6, 7)]
    assert slices((6, 7), 3, 1) == [(6, 7)] * 3


def test_a_server_that_asks_for_more_cpus_than_a_host_of_servers_has_is_refused() -> None:
    with pytest.raises(HostError, match="3 asked for the server, there are 2 CPUs"):
        divide_among((0, 1), servers=1, server_cores=3, client=False)
