"""What Locust runs: users of FastHttpUser that ask for `/` without a pause, and a line with what they did.

It is loaded by Locust in an environment of its own (requirements/bench.txt), not by the tests.
"""

import json
import time
from typing import Any

from locust import FastHttpUser, constant, events, task
from locust.env import Environment

_began: dict[str, float] = {}


class User(FastHttpUser):
    """One connection, one request at a time."""

    wait_time = constant(0)

    @task
    def ask(self) -> None:
        """Ask for `/`."""
        self.client.get("/")


@events.spawning_complete.add_listener
def begin(user_count: int, **_: Any) -> None:
    """All users are there: count from now on."""
    _began.update(at_s=time.monotonic(), cpu_s=time.process_time())


@events.test_start.add_listener
def remember(environment: Environment, **_: Any) -> None:
    """Have the counts start anew when all users are there."""
    environment.reset_stats = True


@events.test_stop.add_listener
def tell(environment: Environment, **_: Any) -> None:
    """Print what was done since."""
    total = environment.stats.total
    told = {
        "requests": total.num_requests,
        "failures": total.num_failures,
        "cpu_s": time.process_time() - _began["cpu_s"],
        "elapsed_s": time.monotonic() - _began["at_s"],
    }
    print("measured " + json.dumps(told), flush=True)  # noqa: T201
