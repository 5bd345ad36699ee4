"""What was changed on a host, and what was there before: `/var/lib/ceiling/prepared.json`, kept on the host itself."""

from typing import Annotated, Literal

from pydantic import Field, ValidationError

from harness.errors import HostError
from harness.spec.record import Record

PATH = "/var/lib/ceiling/prepared.json"


class FileChange(Record):
    """A file that was written."""

    kind: Literal["file"] = "file"
    path: str
    before: str | None = None  # none: there was no such file
    after: str

    @property
    def key(self) -> str:
        """What is changed: one entry each."""
        return f"file {self.path}"


class SysctlChange(Record):
    """A setting of the running kernel that was raised."""

    kind: Literal["sysctl"] = "sysctl"
    name: str
    before: str
    after: str

    @property
    def key(self) -> str:
        """What is changed: one entry each."""
        return f"sysctl {self.name}"


class PackagesChange(Record):
    """Packages that were installed."""

    kind: Literal["packages"] = "packages"
    names: tuple[str, ...]

    @property
    def key(self) -> str:
        """What is changed: one entry each."""
        return f"packages {' '.join(self.names)}"


class GroupChange(Record):
    """A user who was made a member of a group."""

    kind: Literal["group"] = "group"
    user: str
    group: str

    @property
    def key(self) -> str:
        """What is changed: one entry each."""
        return f"group {self.group} {self.user}"


class EngineChange(Record):
    """An engine that was there, and was started and enabled."""

    kind: Literal["engine"] = "engine"
    stop: str  # the command that takes it back

    @property
    def key(self) -> str:
        """What is changed: one entry each."""
        return "engine"


Change = FileChange | SysctlChange | PackagesChange | GroupChange | EngineChange


class Prepared(Record):
    """Everything that was changed on a host, in its order."""

    format: Literal[1] = 1
    changes: tuple[Annotated[Change, Field(discriminator="kind")], ...] = ()

    def with_change(self, change: Change) -> "Prepared":
        """One more; what was there before the first change of a thing stays what there was before."""
        known = {entry.key: entry for entry in self.changes}
        first = known.get(change.key)
        if isinstance(change, FileChange | SysctlChange) and isinstance(first, FileChange | SysctlChange):
            change = change.model_copy(update={"before": first.before})
        return Prepared(changes=tuple((known | {change.key: change}).values()))

    def without(self, change: Change) -> "Prepared":
        """All but this one."""
        return Prepared(changes=tuple(entry for entry in self.changes if entry.key != change.key))

    def to_json(self) -> bytes:
        """As it lies on the host."""
        return self.model_dump_json(indent=1).encode() + b"\n"


def read_record(host: str, text: str | None) -> Prepared:
    """The record of a host; an empty one where there is none.

    Raises:
        HostError: it cannot be read.
    """
    if text is None:
        return Prepared()
    try:
        return Prepared.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise HostError(
            f"{host}: {PATH} is not a record that this version wrote ({where}: {first['msg']});"
            " move it away to prepare the host without a way back"
        ) from None
