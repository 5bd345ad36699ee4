"""Hosts as they answered, and one that holds what it is told: for plans, which are pure."""

import base64
from dataclasses import replace
from pathlib import Path

from harness.hosts.connection import Done
from harness.hosts.prepare import record
from harness.hosts.prepare.look import HostState, Sysctl, state_of
from harness.hosts.prepare.record import Prepared
from harness.hosts.prepare.steps import Plan, Step

RECORDED = Path(__file__).parent / "recorded"


def recorded(name: str) -> HostState:
    """A host as the script saw it."""
    return state_of(name, Done(0, (RECORDED / f"{name}.txt").read_text(), ""))


def said(name: str, *further: str) -> HostState:
    """The same, with more that the script says."""
    text = (RECORDED / f"{name}.txt").read_text().removesuffix("looked yes\n")
    return state_of(name, Done(0, text + "".join(f"{line}\n" for line in (*further, "looked yes")), ""))


def file_line(path: str, content: str) -> str:
    """How the script tells of a file."""
    return f"file {path} {base64.b64encode(content.encode()).decode()}"


def after(host: HostState, plan: Plan) -> HostState:
    """The host once every step of a plan has been made, as far as a plan's own record tells."""
    files, sysctls, prepared = dict(host.files), dict(host.sysctls), host.prepared
    for step in plan.steps:
        if step.change is None:
            continue
        prepared = prepared.with_change(step.change)
        if step.change.kind == "file":
            files[step.change.path] = step.change.after
        elif step.change.kind == "sysctl":
            value = tuple(map(int, step.change.after.split()))
            sysctls[step.change.name] = Sysctl(value, writable=True)
    files[record.PATH] = prepared.to_json().decode()
    return replace(host, files=files, sysctls=sysctls)


def with_record(host: HostState, prepared: Prepared) -> HostState:
    """The host with this record on it."""
    return replace(host, files={**host.files, record.PATH: prepared.to_json().decode()})


def words(plan: Plan) -> list[str]:
    """What the steps of a plan do."""
    return [step.what for step in plan.steps]


def step(plan: Plan, begins: str) -> Step:
    """The one step that begins so."""
    (found,) = (entry for entry in plan.steps if entry.what.startswith(begins))
    return found
