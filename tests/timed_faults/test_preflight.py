"""What cannot be broken where the plan wants it, each in one line, before anything runs. Outputs are recorded ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from harness.errors import HostError
from harness.hosts.connection import Done
from harness.spec.inventory import Power
from harness.timed_faults import FaultHost, preflight, run_here
from tests.timed_faults.conftest import fault

FINE = Done(0, "", "")
NO_NETEM = Done(2, "", "Error: Specified qdisc kind is unknown.\n")
NO_TC = Done(127, "", "unshare: failed to execute tc: No such file or directory\n")
NO_IPTABLES = Done(127, "", "unshare: failed to execute iptables-restore: No such file or directory\n")
NO_UNSHARE = Done(127, "", "sh: 1: exec: unshare: not found\n")
NOT_ROOT = Done(1, "", "unshare: unshare failed: Operation not permitted\n")
NO_SUDO_RIGHTS = Done(1, "", "sudo: a password is required\n")
NO_COMMENTS = Done(2, "", "iptables-restore v1.8.9: Couldn't load match `comment'\n\nError occurred at line: 2\n")
NO_CHILDREN = Done(1, "", "cat: /proc/12/task/12/children: No such file or directory\n")
POWER = Power(kill=("true",), start=("true",), freeze=("true",), thaw=("true",))


@dataclass(frozen=True)
class Said:
    """A host on which every command ends like this one; who is logged in, and from where, apart."""

    done: Done
    controller: str = "10.0.0.1"

    def __call__(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"", as_root: bool = False) -> Done:
        return Done(0, f"{self.controller} 50000 22\n", "") if "SSH_CONNECTION" in argv[-1] else self.done


def host(done: Done = FINE, name: str = "a", **other: Any) -> FaultHost:
    return FaultHost(
        **{"host": name, "here": False, "run": Said(done), "power": POWER, "peers": ("10.0.0.7",), **other}
    )


DELAY = {"do": "delay", "delay": "10 ms"}
LOSS = {"do": "loss", "share": 0.1}


@pytest.mark.parametrize(
    ("asked", "where", "says"),
    [
        ({"do": "kill-host"}, {"here": True}, "it would act on this machine itself; name other hosts in an inventory"),
        ({"do": "partition"}, {"here": True}, "it would act on this machine itself"),
        (DELAY, {"here": True}, "it would act on this machine itself"),
        ({"do": "kill-host"}, {"power": Power(start=("true",))}, "no command for it; give `power: {kill: […]}`"),
        ({"do": "kill-host"}, {"power": Power(kill=("true",))}, "no command for it; give `power: {start: […]}`"),
        ({"do": "kill-host"}, {"also": ("the balancer", "a load client")}, "the balancer and a load client would go with it; give these a host of their own"),
        ({"do": "freeze-host"}, {"power": Power(freeze=("true",))}, "give `power: {thaw: […]}`"),
        ({"do": "kill-host"}, {"power": Power(kill=("no-such-cli",), start=("true",))}, "there is no command `no-such-cli` on this machine"),
        ({"do": "partition"}, {"peers": ()}, "nobody on another host sends to the servers there"),
        (DELAY, {"peers": ()}, "nobody on another host sends to the servers there"),
        ({"do": "partition"}, {"peers": ("10.0.0.1",)}, "the controller's own SSH comes from 10.0.0.1"),
        ({"do": "partition"}, {"done": NO_IPTABLES}, "there is no `iptables-restore` there; `apt-get install iptables`"),
        ({"do": "partition"}, {"done": NO_UNSHARE}, "there is no `unshare` there; `apt-get install util-linux`"),
        ({"do": "partition"}, {"done": NOT_ROOT}, "it takes root there (unshare: unshare failed: Operation not permitted)"),
        ({"do": "partition"}, {"done": NO_SUDO_RIGHTS}, "it takes root there (sudo: a password is required)"),
        ({"do": "partition"}, {"done": NO_COMMENTS}, "iptables does not work there: Error occurred at line: 2"),
        (DELAY, {"done": NO_TC}, "there is no `tc` there; `apt-get install iproute2`"),
        (DELAY, {"done": NO_NETEM}, "its kernel has no netem (Error: Specified qdisc kind is unknown.); `modprobe sch_netem`"),
        (LOSS, {"done": NO_NETEM}, "its kernel has no netem"),
        (LOSS, {"done": NOT_ROOT}, "it takes root there"),
        ({"do": "kill-worker"}, {"done": NO_CHILDREN}, "its kernel does not tell a process's children"),
        ({"do": "freeze-worker"}, {"done": NO_SUDO_RIGHTS}, "it takes root there"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_line_that_names_host_fault_and_remedy(
    asked: dict[str, Any], where: dict[str, Any], says: str
) -> None:
    with pytest.raises(HostError) as caught:
        preflight([(fault(at="1 s", **asked), host(**where))])
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"faults: a: `{asked['do']}`: ")
    assert says in line


@pytest.mark.parametrize(
    "asked",
    [
        {"do": "kill-server"},
        {"do": "freeze-server"},
        {"do": "crash-handler"},
        {"do": "kill-worker"},
        {"do": "kill-host"},
        {"do": "freeze-host"},
        {"do": "partition"},
        DELAY,
        LOSS,
    ],
)
def test_what_can_be_done_is_said_nothing_of(asked: dict[str, Any]) -> None:
    preflight([(fault(at="1 s", **asked), host())])


@pytest.mark.parametrize("do", ["kill-server", "freeze-server", "crash-handler", "kill-worker", "freeze-worker"])
def test_servers_and_workers_of_this_machine_may_be_broken(do: str) -> None:
    preflight([(fault(do), FaultHost(host="local", here=True, run=run_here, as_root=False))])


def test_all_that_cannot_be_done_is_told_each_kind_once_a_host() -> None:
    asked = [(fault("partition", at), host(NO_IPTABLES, name)) for at in ("1 s", "2 s") for name in ("a", "b")]
    asked.append((fault("kill-host"), host(power=Power())))
    with pytest.raises(HostError) as caught:
        preflight(asked)
    told = [line.split(": ")[1:3] for line in str(caught.value).splitlines()]
    assert told == [["a", "`partition`"], ["b", "`partition`"], ["a", "`kill-host`"]]


def test_a_host_that_cannot_be_asked_is_told_in_the_same_way() -> None:
    def lost(argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"", as_root: bool = False) -> Done:
        raise HostError("a: no route to host")

    with pytest.raises(HostError, match=r"^faults: a: `kill-worker`: a: no route to host$"):
        preflight([(fault("kill-worker"), host(run=lost))])


def test_a_kernel_without_the_filters_is_told_apart_from_one_without_netem() -> None:
    def run(argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"", as_root: bool = False) -> Done:
        if b"u32 match ip dst 10.0.0.7" in stdin:
            return Done(1, "", "Error: Failed to load TC action module.\nCommand failed -:3\n")
        return Done(0, "10.0.0.1 50000 22\n", "")

    with pytest.raises(
        HostError, match=r"^faults: a: `delay`: its kernel does not choose packets .*Failed to load.*`modprobe cls_u32`"
    ):
        preflight([(fault(at="1 s", **DELAY), host(run=run))])
