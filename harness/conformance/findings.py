"""What a check may end in beside success, with evidence that a person can read."""

EXCERPT_BYTES = 120


class Failed(Exception):  # noqa: N818 - the name says it
    """The server did not do what is asked of it: what was sent, what came back."""


class Gone(Failed):
    """The server closed or reset the connection where it should not have."""


class Silent(Failed):
    """Nothing came within the time allowed."""


class NotApplicable(Exception):  # noqa: N818 - the name says it
    """This cannot be asked of this server, and why."""


def excerpt(data: bytes) -> str:
    """Bytes as a person can read them: the beginning, and how many there are where it is not all."""
    if not data:
        return "nothing"
    shown = repr(data[:EXCERPT_BYTES])[1:]
    return shown if len(data) <= EXCERPT_BYTES else f"{shown}… ({len(data):,} bytes)"


def require(condition: bool, evidence: str) -> None:
    """Go on where the condition holds.

    Raises:
        Failed: it does not.
    """
    if not condition:
        raise Failed(evidence)
