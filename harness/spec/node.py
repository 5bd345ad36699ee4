"""Values of a file with their lines."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.spec.experiment import Scalar


@dataclass(frozen=True, slots=True)
class Node:
    """A value with its place."""

    value: "Scalar | list[Node] | dict[str, Node]"
    line: int  # of the value, from 1
    key_line: int | None = None  # of its key, in a mapping

    @property
    def place(self) -> int:
        """Where a reader looks for it: the line of its key, else its own."""
        return self.key_line or self.line

    def child(self, part: object) -> "Node | None":
        """The value under a key, or an index (of a dotted path, in digits); None where there is none."""
        if isinstance(self.value, dict):
            return self.value.get(part) if isinstance(part, str) else None
        if isinstance(self.value, list) and (isinstance(part, int) or (isinstance(part, str) and part.isdecimal())):
            return self.value[int(part)] if int(part) < len(self.value) else None
        return None

    def reach(self, path: Sequence[object]) -> "tuple[Node, tuple[object, ...]]":
        """Go down `path` as far as it exists: the last node, and the part of the path that led to it."""
        node: Node = self
        for depth, part in enumerate(path):
            below = node.child(part)
            if below is None:
                return node, tuple(path[:depth])
            node = below
        return node, tuple(path)

    def under(self, path: Sequence[str]) -> "Node":
        """A mapping that holds this value at `path`, for what is written as one dotted key."""
        node = replace(self, key_line=self.place)
        for part in reversed(path):
            node = Node({part: node}, self.place, self.place)
        return node

    def plain(self) -> object:
        """As dicts, lists and scalars, without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value
