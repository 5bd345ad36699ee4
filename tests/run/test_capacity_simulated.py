"""Searches for capacity on a simulated clock: how often the interval covers a capacity that is known without any search."""

import pytest

from tests.bench.truth.simulated_capacity import QUEUES, Queue, searches, truth

COVERED = 0.93
"""METHOD's gate, for 1,000 searches a queue (`make bench`); here it is as many as time allows."""


def test_the_interval_covers_the_capacity_of_a_deterministic_server() -> None:
    queue = QUEUES[0]
    found = list(searches(queue, 20))
    assert all(one.ended == "found" for one in found)
    assert sum(one.covers(queue.per_s) for one in found) >= COVERED * len(found) - 1


@pytest.mark.slow
@pytest.mark.parametrize("queue", QUEUES[1:4], ids=lambda queue: queue.name)
def test_the_interval_covers_the_capacity_of_a_random_server(queue: Queue) -> None:
    capacity_rps = truth(queue)
    found = list(searches(queue, 40))
    assert sum(one.covers(capacity_rps) for one in found) >= COVERED * len(found) - 2
