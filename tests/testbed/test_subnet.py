"""Addresses that nothing here uses."""

import ipaddress
from pathlib import Path

import pytest

from harness.errors import HostError
from harness.testbed.subnet import RANGES, free_ranges, routed


def network(text: str) -> ipaddress.IPv4Network:
    return ipaddress.IPv4Network(text)


def test_the_first_range_of_a_name_is_always_the_same() -> None:
    assert next(free_ranges("ceiling-testbed", [])) == next(free_ranges("ceiling-testbed", []))


def test_a_range_that_is_used_or_lies_in_one_is_passed_over() -> None:
    first = next(free_ranges("a", []))
    inside = network(f"{first[64]}/26")
    assert first not in list(free_ranges("a", [inside]))


def test_no_range_left_is_told_with_what_to_do() -> None:
    with pytest.raises(HostError, match="remove Docker networks that nobody needs"):
        next(free_ranges("a", [network("10.0.0.0/8")]))


def test_every_other_range_is_still_there() -> None:
    assert len(list(free_ranges("a", [RANGES[0]]))) == len(RANGES) - 1


def test_the_kernels_routes_are_used_ranges_but_not_the_default_one(tmp_path: Path) -> None:
    table = tmp_path / "route"
    # As the kernel prints it on a little-endian machine; the default route, a network and a VPN's host route.
    table.write_text(
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "docker0\t0007D50A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
        "tun0\t0102D50A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n"
    )
    assert routed(table) == [network("10.213.7.0/24"), network("10.213.2.1/32")]
