"""What a plan asks of the host is put together from its trials and their models, and refused where it cannot be."""

from pathlib import Path
from typing import Any

import pytest

from harness.errors import HostError
from harness.hosts.audit import SOCKET_BYTES, TASK_BYTES
from harness.hosts.cores import CoreMap
from harness.hosts.settings import Limit, collect_settings
from harness.images import connect, ensure_images
from harness.runtime.base import make_owner
from harness.runtime.docker import DockerRuntime
from harness.runtime.process import ProcessRuntime
from harness.spec.experiment import Trial
from harness.spec.load import load_models
from harness.walls import Asked, engine_allows, need_of, refuse_walls
from tests.tools.regenerate import ROOT

MODELS = load_models(ROOT / "images")
CORES = CoreMap(server=(1,), client=(0,), shared=False)


def asked(model: str, cores: CoreMap = CORES, **load: Any) -> Asked:
    trial = Trial.model_validate({"model": model, "load": load})
    return trial, MODELS[model], cores


def processes(folder: Path) -> ProcessRuntime:
    return ProcessRuntime(make_owner("walls"), ROOT / "images", folder)


def test_a_plan_needs_what_its_largest_trial_needs() -> None:
    need = need_of([asked("reactor", connections=connections) for connections in (1, 1024, 32)])
    assert (need.connections, need.open_files, need.server_cores, need.cores) == (1024, 1280, 1, 2)


def test_connections_that_come_on_top_count() -> None:
    held: dict[str, Any] = {"kind": "hold", "connections": 100, "rate": "10/s", "growth": "50/s", "window": "4 s"}
    assert need_of([asked("reactor", **held)]).connections == 350  # of warm-up and window


@pytest.mark.parametrize(
    ("model", "tasks", "threads", "kind"),
    [("reactor", 0, 0, "nothing"), ("tpc", 5_000, 5_000, "thread"), ("ppc", 5_000, 0, "process")],
)
def test_only_models_that_make_a_task_for_each_connection_need_as_many(
    model: str, tasks: int, threads: int, kind: str
) -> None:
    need = need_of([asked(model, connections=5_000)])
    assert (need.tasks, need.threads) == (tasks, threads)
    assert need.memory_bytes == 5_000 * (SOCKET_BYTES + TASK_BYTES[kind])


@pytest.mark.parametrize(
    ("load", "per_s"),
    [
        ({}, 0.0),
        ({"lifetime": "per-request"}, None),
        ({"lifetime": "per-request", "kind": "open", "rate": "500/s"}, 500.0),
        ({"lifetime": 10, "kind": "open", "rate": "500/s"}, 50.0),
    ],
)
def test_connections_that_end_follow_from_rate_and_lifetime(load: dict[str, Any], per_s: float | None) -> None:
    assert need_of([asked("reactor", **load)]).closed_per_s == per_s


def test_every_wall_that_stops_a_trial_is_named_at_once(tmp_path: Path) -> None:
    limits = {name: Limit(soft=100, hard=100) for name in ("open_files", "processes")}
    host = collect_settings().model_copy(update={"limits": limits, "as_root": False})
    with pytest.raises(HostError, match=r"cannot run the plan:\nopen files .*\n(.*\n)*processes of a user") as caught:
        refuse_walls([asked("tpc", connections=1_000)], host, processes(tmp_path))
    assert "ulimit -Hn 1256" in str(caught.value)


@pytest.mark.docker
@pytest.mark.slow
def test_a_containers_open_files_are_the_engines_to_allow(tmp_path: Path) -> None:
    """What this shell may not, a container may: it is tried out; and what the engine refuses stays a wall."""
    limits = {name: Limit(soft=100, hard=100) for name in ("open_files", "processes")}
    host = collect_settings().model_copy(update={"limits": limits, "sysctls": {}})
    client = connect()
    engine = DockerRuntime(
        client, ensure_images(client, ROOT / "images", ["client"], tmp_path, print), make_owner("walls")
    )
    assert [wall for wall in refuse_walls([asked("reactor", connections=1_000)], host, engine) if wall.fatal] == []
    assert not engine_allows(engine, int(Path("/proc/sys/fs/nr_open").read_text()) + 1)
    client.close()


def test_cores_that_both_sides_share_are_told_once_for_all_trials_and_stop_none(tmp_path: Path) -> None:
    host = collect_settings().model_copy(
        update={"siblings": ((0, 1),), "clock_source": "tsc", "governors": (), "sysctls": {}}
    )
    found = refuse_walls([asked("reactor"), asked("reactor", connections=2)], host, processes(tmp_path))
    assert [wall.name for wall in found] == ["physical core of CPUs 0, 1"]
