"""YAML files read strictly, with the line of every key and value kept."""

from pathlib import Path

import yaml

from harness.spec.compose import compose
from harness.spec.node import Node
from harness.spec.problems import Problems, nearest

MAX_BYTES = 256 * 1024


def read_document(path: Path, problems: Problems, what: str) -> Node:
    """Read the one mapping that a YAML file holds.

    Args:
        path: the file.
        problems: takes what is wrong but does not hinder further checks, such as duplicate keys.
        what: what the file is to be, for messages: "an experiment".

    Raises:
        SpecError: the file cannot be read, is not YAML, or holds no mapping.
    """
    root = compose(_text(path, problems, what), problems)
    if root is None or root.value is None:
        problems.fail(1, "the file is empty", f"write {what} into it, or copy one to start from")
    if not isinstance(root.value, dict):
        problems.fail(root.line, f"{what} is a mapping of keys to values", "start with `key: value` lines")
    return root


def _text(path: Path, problems: Problems, what: str) -> str:
    if path.is_dir():
        problems.fail(None, "this is a folder", f"name {what}, a YAML file")
    if not path.exists():
        siblings = [sibling.name for sibling in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
        near = nearest(path.name, siblings)
        problems.fail(
            None, "there is no such file", f"did you mean `{path.parent / near}`?" if near else "check the path"
        )
    if not path.is_file():
        problems.fail(None, "this is not a regular file", f"name {what}, a YAML file")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        problems.fail(None, f"it cannot be read ({error.strerror})", "check its owner and mode")
    if len(data) > MAX_BYTES:
        problems.fail(1, f"the file is larger than {MAX_BYTES // 1024} KiB", "a spec is short; is it the right file?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        problems.fail(line, f"byte {error.start + 1} is not UTF-8", "save the file as UTF-8; is it the right file?")


def as_yaml(content: object) -> str:
    """Plain content as YAML, keys in their order."""
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    return text
