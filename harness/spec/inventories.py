"""From a file to a checked inventory, with every mistake at its line; and from a word to that file."""

import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from harness.errors import SpecError
from harness.spec.document import read_document
from harness.spec.explain import explain
from harness.spec.host_rules import ListedHost, check_hosts, is_host_name
from harness.spec.inventory import Inventory, InventoryHost
from harness.spec.node import Node
from harness.spec.problems import Problems, did_you_mean, listed, shown

_STAND_IN = "unread"
"""For an address that cannot be read, so that the rest of its host can."""


def load_inventory(path: Path) -> Inventory:
    """The hosts that a YAML file lists.

    Raises:
        SpecError: it is wrong; all problems at once, each `file:line: what; what to do`.
    """
    problems = Problems(str(path))
    root = read_document(path, problems, "an inventory")
    inventory = _read(root, problems)
    _refuse_nul(root, problems)
    check_hosts(dict(_hosts(root)), root.reach(("hosts",))[0].place, path.parent, problems)
    problems.raise_if_any()
    assert inventory is not None  # noqa: S101 - what is not read is a problem
    return inventory


def find_inventory(word: str, experiments: Path) -> Path:
    """The file that a person means by the name of an inventory, or by a path.

    Args:
        word: `NAME` for hosts/NAME.yaml of that folder; a path where it has a slash, or ends in `.yaml`.
        experiments: the folder of the specs.

    Raises:
        SpecError: there is no such inventory; the line lists those there are.
    """
    folder = experiments / "hosts"
    if "/" in word or word.endswith((".yaml", ".yml")):
        path = Path(word).expanduser()
        if path.is_file():
            return path
        raise SpecError([f"{word}: there is no such inventory; write a path, or a name: {_names(folder)}"])
    path = folder / f"{word}.yaml"
    if is_host_name(word.lower()) and path.is_file():
        return path
    there = _names(folder)
    fix = did_you_mean(word, there, f"there are: {listed(there)}" if there else "write one: docs/hosts.md")
    raise SpecError([f"there is no inventory {shown(word)} in {folder.name}/ of the experiments; {fix}"])


def inventory_name(path: Path, experiments: Path) -> str:
    """How a person names an inventory in a command: by its name where that is enough, else by its path."""
    return path.stem if path.resolve().parent == (experiments / "hosts").resolve() else str(path)


def _names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.yaml"))


def _read(root: Node, problems: Problems) -> Inventory | None:
    try:
        return Inventory.model_validate_json(json.dumps(root.plain()))
    except ValidationError as error:
        explain(error.errors(), Inventory, root, problems)
    return None


def _hosts(root: Node) -> Iterator[tuple[str, ListedHost]]:
    """Every host that is written, as far as it can be read: the rest of it is checked all the same."""
    hosts = root.child("hosts")
    for name, node in hosts.value.items() if hosts is not None and isinstance(hosts.value, dict) else ():
        yield name, _as_far_as_readable(node)


def _as_far_as_readable(node: Node) -> ListedHost:
    written = node.plain()
    try:
        return ListedHost(node, InventoryHost.model_validate_json(json.dumps(written)), frozenset())
    except ValidationError as error:
        broken = frozenset(str(one["loc"][0]) for one in error.errors() if one["loc"])
    if not isinstance(written, dict) or not broken:
        return ListedHost(node, InventoryHost(address=_STAND_IN), frozenset(InventoryHost.model_fields))
    rest = {key: value for key, value in written.items() if key not in broken}
    return ListedHost(node, InventoryHost.model_validate_json(json.dumps({"address": _STAND_IN, **rest})), broken)


def _refuse_nul(node: Node, problems: Problems) -> None:
    """Neither a command nor a file's name can have one, and Python has no word for it but a traceback."""
    if isinstance(node.value, dict):
        for key, below in node.value.items():
            if "\0" in key:
                problems.add(below.place, f"the key {shown(key)} has a NUL character in it", "remove it")
            _refuse_nul(below, problems)
    elif isinstance(node.value, list):
        for below in node.value:
            _refuse_nul(below, problems)
    elif isinstance(node.value, str) and "\0" in node.value:
        problems.add(node.place, f"the text {shown(node.value)} has a NUL character in it", "remove it")
