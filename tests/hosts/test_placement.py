"""Where every service of a trial runs, on one machine and on many."""

from typing import Any

import pytest

from harness.errors import HostError
from harness.fleet import Site, fleet_of
from harness.hosts.room import Room
from harness.hosts.settings import collect_settings
from harness.placement import Machine, place
from harness.spec.experiment import Trial
from harness.spec.inventory import ALL_ROLES, HostRole
from harness.spec.model import Model
from harness.stage import Stage

PLENTY = Room(open_files=20_000, ports=28_000, memory_bytes=1 << 40)


def machine(name: str, cpus: int = 4, roles: tuple[HostRole, ...] = ALL_ROLES, room: Room = PLENTY) -> Machine:
    return Machine(name, tuple(range(cpus)), room, roles)


def trial(**changes: Any) -> Trial:
    return Trial.model_validate({"load": {"connections": 10}, **changes})


BALANCED = {"servers": 3, "balancer": "haproxy-tcp"}
IMAGE = {"image": "acme/api:1", "port": 80}
THREE = [machine("c", roles=("client", "balancer")), machine("s1", roles=("server",)), machine("s2", roles=("server",))]


def test_one_machine_is_everything() -> None:
    placement = place(trial(), [machine("here")])
    assert [(one.name, one.host, one.cores) for one in placement.servers] == [("server", "here", (3,))]
    assert [(one.name, one.cores, one.connections) for one in placement.clients] == [("client", (0, 1, 2), 10)]
    assert (placement.balancer, placement.backends, placement.hosts) == (None, {}, ("here",))


def test_servers_go_to_their_hosts_in_turn_each_with_cpus_of_its_own() -> None:
    placement = place(trial(**BALANCED), THREE)
    assert [(one.name, one.host, one.cores) for one in placement.servers] == [
        ("server-1", "s1", (2,)),
        ("server-2", "s2", (3,)),
        ("server-3", "s1", (3,)),
    ]
    assert placement.balancer is not None
    assert (placement.balancer.host, placement.balancer.cores) == ("c", (3,))
    assert placement.clients[0].cores == (0, 1, 2)


def test_every_host_with_a_server_has_a_backend() -> None:
    placement = place(trial(**BALANCED, handler={"backend": {"delay": "1 ms"}}), THREE)
    assert {host: one.name for host, one in placement.backends.items()} == {"s1": "backend-s1", "s2": "backend-s2"}
    one = place(trial(handler={"backend": {"delay": "1 ms"}}), [machine("here")])
    assert [backend.name for backend in one.backends.values()] == ["backend"]


def test_a_host_that_nothing_runs_on_takes_no_part() -> None:
    assert place(trial(), THREE).hosts == ("c", "s1")
    assert place(trial(), THREE, watched=False).hosts == ("c",)


def test_client_processes_and_connections_are_dealt_out_and_numbered_through() -> None:
    hosts = [machine("c1", roles=("client",)), machine("c2", roles=("client",)), machine("s", roles=("server",))]
    placement = place(trial(clients=3, load={"connections": 11}), hosts)
    assert [
        (one.name, one.host, one.plan.processes, one.first_process, one.connections, one.first_connection)
        for one in placement.clients
    ] == [
        ("client-1", "c1", 2, 0, 6, 0),
        ("client-2", "c2", 1, 2, 5, 6),
    ]
    assert placement.processes == 3


def test_one_client_process_is_on_one_host() -> None:
    hosts = [machine("c1", roles=("client",)), machine("c2", roles=("client",)), machine("s", roles=("server",))]
    assert [one.host for one in place(trial(), hosts).clients] == ["c1"]
    assert [one.host for one in place(trial(), hosts, at_least=2).clients] == ["c1", "c2"]


def test_a_load_that_grows_stays_one_clients() -> None:
    hosts = [machine("c1", roles=("client",)), machine("c2", roles=("client",)), machine("s", roles=("server",))]
    load = {"kind": "hold", "connections": 10, "rate": "10/s", "growth": "5/s"}
    assert [one.host for one in place(trial(clients=2, load=load), hosts).clients] == ["c1"]


def test_a_host_that_allows_few_files_has_more_processes_and_the_next_is_numbered_after_them() -> None:
    small = Room(open_files=300, ports=28_000, memory_bytes=1 << 40)
    hosts = [
        machine("c1", roles=("client",), room=small),
        machine("c2", roles=("client",)),
        machine("s", roles=("server",)),
    ]
    placement = place(trial(clients=2, load={"connections": 200}), hosts)
    assert [(one.plan.processes, one.first_process) for one in placement.clients] == [(3, 0), (1, 3)]


def test_loopback_addresses_are_for_a_machine_that_is_alone() -> None:
    many = trial(load={"connections": 15_000})
    assert len(place(many, [machine("here")]).clients[0].plan.sources) > 1
    assert place(many, THREE).clients[0].plan.sources == ()


@pytest.mark.parametrize(
    ("asked", "hosts", "words"),
    [
        ({}, [machine("c", roles=("client",))], "has the role `server`"),
        ({}, [machine("s", roles=("server",))], "has the role `client`"),
        (BALANCED, [machine("c", roles=("client",)), machine("s", roles=("server",))], "has the role `balancer`"),
        ({"limits": {"cores": 9}}, THREE, "s1: limits.cores: 9"),
        ({**BALANCED, "model": IMAGE}, THREE, "s1: 2 servers of the image .* would share its port 80"),
    ],
)
def test_what_the_hosts_lack_is_told(asked: dict[str, Any], hosts: list[Machine], words: str) -> None:
    with pytest.raises(HostError, match=words):
        place(trial(**asked), hosts)


def test_a_folders_server_that_cannot_be_told_a_port_is_one_to_a_host() -> None:
    with pytest.raises(
        HostError, match=r"s1: 2 servers of the model mine would share its port 8080, .* `network: bridge`"
    ):
        place(trial(**BALANCED, model="mine"), THREE, own_port=8080)
    assert len(place(trial(**BALANCED, model="mine", network="bridge"), THREE, own_port=8080).servers) == 3
    assert len(place(trial(**{**BALANCED, "servers": 2}, model="mine"), THREE, own_port=8080).servers) == 2


def test_a_stage_knows_by_the_folders_description_which_server_has_a_port_of_its_own() -> None:
    described = {"title": "T", "axes": {"connections": "c", "requests": "r"}, "counts": "none", "port": 9000}
    models = {kind: Model.model_validate({**described, "contract": kind}, strict=False) for kind in ("full", "port")}
    nothing_runs: Any = None
    stage = Stage(fleet_of([Site(machine("here"), nothing_runs)]), "", models, {}, collect_settings(), [])
    several = {"servers": 2, "balancer": "direct"}
    assert len(stage.place(trial(**several, model="full")).servers) == 2
    with pytest.raises(HostError, match="here: 2 servers of the model port would share its port 9000"):
        stage.place(trial(**several, model="port"))


@pytest.mark.parametrize("changes", [{"servers": 2}, {"network": "bridge"}], ids=["a host each", "a network each"])
def test_servers_of_a_ready_image_that_share_no_port_are_placed(changes: dict[str, Any]) -> None:
    placement = place(trial(**{**BALANCED, "model": IMAGE, **changes}), THREE)
    assert len(placement.servers) == changes.get("servers", 3)
