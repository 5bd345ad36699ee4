"""The vocabulary of an inventory: which hosts there are, how they are reached, and what each is for.

An inventory lies in a file of its own (`experiments/hosts/NAME.yaml`), apart from the specs: the same question is asked on
one machine, on a testbed and in a cloud.
"""

from typing import Literal

from pydantic import Field

from harness.spec.record import Record

HostRole = Literal["server", "client", "balancer"]
ALL_ROLES: tuple[HostRole, ...] = ("server", "client", "balancer")


class Power(Record):
    """Commands of the controller that act on a whole host, as lists of words; no shell reads them."""

    kill: tuple[str, ...] = Field((), description="Ends it at once, as a crash or a lost supply does.")
    start: tuple[str, ...] = Field((), description="Starts it again.")
    freeze: tuple[str, ...] = Field((), description="Stops it where it stands.")
    thaw: tuple[str, ...] = Field((), description="Lets it go on.")


class InventoryHost(Record):
    """One host."""

    address: str = Field(
        min_length=1,
        max_length=253,
        description="Where SSH reaches it: a name, an IP address, or a `Host` of `~/.ssh/config`.",
    )
    data: str | None = Field(
        None,
        description="IP address at which the other hosts reach its services; none: the one that `address` stands for.",
    )
    roles: tuple[HostRole, ...] = Field(ALL_ROLES, min_length=1, description="What it is for.")
    user: str | None = Field(None, description="Of SSH; none: as `~/.ssh/config` says, else root.")
    port: int | None = Field(None, ge=1, le=65535, description="Of SSH; none: as `~/.ssh/config` says, else 22.")
    key: str | None = Field(
        None, description="Private key file, relative to the inventory; none: the agent's and `~/.ssh/config`'s."
    )
    jump: str | None = Field(
        None, description="`[user@]host[:port]` through which it is reached; its key is checked too."
    )
    cores: str | None = Field(None, description="CPUs that may be used, as `2-7,10`; none: all.")
    machine: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="Name of the machine whose CPUs it has in common with other hosts of the same `machine`, as containers of one have; none: its own.",
    )
    labels: dict[str, str] = Field({}, description="For people: instance type, zone, …; shown in reports.")
    price_per_hour: float | None = Field(None, ge=0, description="What it costs, in the inventory's currency.")
    power: Power = Field(
        Power(), description="How the controller kills, starts, freezes and thaws it, for faults of a whole host."
    )


class Inventory(Record):
    """The hosts that a run may use."""

    version: Literal[1] = Field(description="Version of this vocabulary.")
    title: str = Field(min_length=1, max_length=200, description="What these hosts are.")
    known_hosts: str = Field(
        "known_hosts",
        description="File of the host keys that are trusted, relative to the inventory; `harness hosts trust` writes it.",
    )
    currency: str = Field("USD", min_length=1, max_length=8, description="Of the prices.")
    hosts: dict[str, InventoryHost] = Field(min_length=1, max_length=64, description="By name.")
