"""YAML text to nodes that know their lines.

PyYAML scans and parses; values are read as in YAML 1.2, so that `off`, `on`, `yes`, `no`, `12:30` and
`2024-01-01` are the text they look like. What would surprise in a spec is refused: duplicate keys, tags, merge
keys, several documents. No input makes it use more memory or stack than its limits allow.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import yaml

from harness.spec.experiment import Scalar
from harness.spec.node import Node
from harness.spec.problems import Problems, shown

MAX_DEPTH = 32
MAX_NODES = 100_000  # aliases counted as often as they are used

_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, Scalar] = dict.fromkeys(("", "~", "null", "Null", "NULL"))
_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
_LONGEST_NUMBER = 30  # characters; a longer one stays text, and is shown as it stands when it is refused

_REMEDIES = {  # part of PyYAML's message: what to do
    "mapping values are not allowed": "quote a text that holds `: `, and indent keys of one mapping alike",
    r"character '\t' that cannot start": "indent with spaces, not tabs",
    "cannot start any token": "quote a text that starts with a special character",
    "expected <block end>": "check the indentation: keys of one mapping start in the same column",
    "could not find expected ':'": "write `key: value`, with a space after the colon",
    "but got '?'": "quote the text: within brackets it may not hold `?`",
    "expected ',' or": "close the bracket or brace, with commas between the items",
    "unexpected end of stream": "close the quote",
    "undefined alias": "write the value out, or define the anchor above its use",
    "escape": "write a backslash in quotes twice, or use single quotes",
}


def compose(text: str, problems: Problems) -> Node | None:
    """The root of the one document in `text`; None where there is none.

    Duplicate keys, tags and merge keys are noted in `problems`.

    Raises:
        SpecError: it is not YAML, or it is beyond a limit.
    """
    composer = _Composer(problems)
    for event in _events(text, problems):
        composer.take(event)
    return composer.root


def _events(text: str, problems: Problems) -> Iterator[yaml.Event]:
    try:
        yield from yaml.parse(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(part for part in (error.context, error.problem) if part)
        fix = next((fix for part, fix in _REMEDIES.items() if part in what), "check this line and the one before it")
        problems.fail(mark.line + 1 if mark else 1, f"this is not YAML ({what})", fix)
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        problems.fail(line, f"the character U+{_code(error.character):04X} cannot stand in YAML", "remove it")
    except (ValueError, OverflowError) as error:  # an escape or a version number beyond what there is
        problems.fail(1, f"this is not YAML ({error})", "look for an escape such as \\U that names no character")


def _code(character: int | str) -> int:
    return character if isinstance(character, int) else ord(character)


@dataclass
class _Open:
    """A list or mapping whose end has not been seen."""

    line: int
    anchor: str | None
    items: list[Node] | dict[str, Node]
    nodes_before: int
    height: int = 1  # levels below it, itself included
    key: tuple[str, int] | None = field(default=None)  # a key that waits for its value, and its line


class _Composer:
    """Takes PyYAML's events one by one, without recursion."""

    def __init__(self, problems: Problems) -> None:
        self.root: Node | None = None
        self._problems = problems
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int, int]] = {}  # name: node, how many nodes in it, its height
        self._nodes = 0

    def take(self, event: yaml.Event) -> None:
        """Take the next event."""
        line: int = event.start_mark.line + 1  # type: ignore[union-attr]  # the parser marks every event
        if isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            self._problems.fail(line, "a second document starts here", "keep to one document per file")
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            self._check_tag(event, line)
        if isinstance(event, yaml.CollectionStartEvent):
            self._start(event, line)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._end()
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event, line)

    def _start(self, event: yaml.CollectionStartEvent, line: int) -> None:
        self._count(line, 1, 1)
        items: list[Node] | dict[str, Node] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._open.append(_Open(line, event.anchor, items, self._nodes - 1))

    def _end(self) -> None:
        ended = self._open.pop()
        node = Node(ended.items, ended.line)
        if ended.anchor:
            self._anchors[ended.anchor] = (node, self._nodes - ended.nodes_before, ended.height)
        self._place(node, ended.height)

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        self._count(line, 1, 0)
        if not event.value.isascii() and any("\ud800" <= character <= "\udfff" for character in event.value):
            self._problems.fail(line, "half a surrogate pair is no text", "write the character itself")
        node = Node(_value(event), line)
        if event.anchor:
            self._anchors[event.anchor] = (node, 1, 0)
        if self._awaits_key():
            self._take_key(event, line)
        else:
            self._place(node, 0)

    def _alias(self, event: yaml.AliasEvent, line: int) -> None:
        if event.anchor not in self._anchors:
            self._problems.fail(
                line, f"`*{event.anchor}` names no value above it", f"define it above with `&{event.anchor}`"
            )
        node, nodes, height = self._anchors[event.anchor]
        self._count(line, nodes, height)
        if self._awaits_key():
            self._problems.fail(line, f"`*{event.anchor}` stands as a key", "write the key out")
        self._place(node, height)

    def _awaits_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].items, dict) and self._open[-1].key is None

    def _take_key(self, event: yaml.ScalarEvent, line: int) -> None:
        mapping = self._open[-1]
        if event.value == "<<" and event.style is None:
            self._problems.add(line, "`<<` is a merge key", "write the keys out; YAML 1.2 has no merging")
        if not event.value:
            self._problems.add(line, "a key is missing before the colon", "write `key: value`")
        mapping.key = (event.value, line)

    def _place(self, node: Node, height: int) -> None:
        """Put a finished value where it belongs."""
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        parent.height = max(parent.height, height + 1)
        if isinstance(parent.items, list):
            parent.items.append(node)
        elif parent.key is None:
            self._problems.fail(
                node.line, "a list or mapping stands as a key", "write `key: value`, with one word as the key"
            )
        else:
            self._place_in_mapping(parent.items, parent.key, node)
            parent.key = None

    def _place_in_mapping(self, items: dict[str, Node], key: tuple[str, int], node: Node) -> None:
        name, line = key
        if name in items:
            first = items[name].place
            self._problems.add(line, f"{shown(name)} is given twice (first in line {first})", "keep one of them")
        elif name and name != "<<":
            items[name] = replace(node, key_line=line)

    def _check_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, line: int) -> None:
        if event.tag is not None:
            self._problems.add(
                line, f"the tag {shown(event.tag)} is not allowed", "remove it; quote a value to make it text"
            )

    def _count(self, line: int, nodes: int, height: int) -> None:
        """Hold the limits, before anything of that size is made."""
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            self._problems.fail(
                line, f"more than {MAX_NODES} values, aliases included", "write less; no spec needs that"
            )
        if len(self._open) + height > MAX_DEPTH:
            self._problems.fail(
                line, f"values are nested deeper than {MAX_DEPTH} levels", "flatten them; no spec needs that"
            )


def _value(event: yaml.ScalarEvent) -> Scalar:
    """A scalar as YAML 1.2's core schema reads it, without its infinities, octals and hexadecimals."""
    text: str = event.value
    if event.style is not None:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if len(text) <= _LONGEST_NUMBER and _INTEGER.fullmatch(text):
        return int(text)
    if len(text) <= _LONGEST_NUMBER and _FLOAT.fullmatch(text):
        return float(text)
    return text
