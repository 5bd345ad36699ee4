"""Ports for services: free ones, and never one that somebody else has just been given."""

import socket
from concurrent.futures import ThreadPoolExecutor

from harness.ports import LOOPBACK, Ports


def test_no_two_threads_are_given_the_same_port() -> None:
    ports = Ports()
    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(lambda _: ports.next(), range(400)))
    assert len(set(given)) == len(given)


def test_a_port_of_this_machine_can_be_listened_on() -> None:
    with socket.socket() as listening:
        listening.bind((LOOPBACK, Ports().next()))
        listening.listen()


def test_ports_of_another_host_are_given_in_turn() -> None:
    ports = Ports([18_000, 18_001, 18_002])
    assert [ports.next() for _ in range(5)] == [18_000, 18_001, 18_002, 18_000, 18_001]
