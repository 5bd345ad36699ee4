"""Only what is surely dead is called dead: leftovers of others are removed on its word."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.runtime.base import make_owner, owner_is_dead

OWN = make_owner("run").labels()
INIT_STARTED = Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19]


@pytest.mark.parametrize(
    ("change", "dead"),
    [
        ({}, False),
        ({"ceiling.pid-started": "1"}, True),
        ({"ceiling.pid": "1", "ceiling.pid-started": INIT_STARTED}, False),
        ({"ceiling.pid": "4194305"}, True),
        ({"ceiling.boot": "another boot of this host"}, True),
        ({"ceiling.host": "another host", "ceiling.pid-started": "1"}, False),
        ({"ceiling.host": "another host", "ceiling.boot": "another boot"}, False),
        ({"ceiling.pid": "not a number"}, False),
        ({"ceiling.pid": "", "ceiling.pid-started": "1"}, False),
        ({"ceiling.pid-started": ""}, False),
        ({"ceiling.boot": ""}, False),
        ({"ceiling.host": ""}, False),
    ],
)
def test_an_owner_is_dead_when_this_host_knows_it(change: dict[str, str], dead: bool) -> None:
    assert owner_is_dead({**OWN, **change}) is dead


def test_no_labels_are_nobodys() -> None:
    assert not owner_is_dead({})


def test_a_killed_owner_is_dead_before_its_parent_has_taken_notice() -> None:
    script = (
        "import json; from harness.runtime.base import make_owner; print(json.dumps(make_owner('r').labels())); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": "."},
    ) as process:
        assert process.stdout is not None
        labels = __import__("json").loads(process.stdout.readline())
        assert not owner_is_dead(labels)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert owner_is_dead(labels)


def test_an_owner_may_remove_its_own_and_a_dead_ones_but_no_live_ones() -> None:
    owner = make_owner("run")
    assert owner.may_remove(owner.labels())
    assert owner.may_remove({**owner.labels(), "ceiling.pid-started": "1"})
    assert not owner.may_remove({**owner.labels(), "ceiling.run": "another run of a live process"})
