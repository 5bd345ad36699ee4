"""What stops the client before it can measure anything."""


class CannotRunError(Exception):
    """The client cannot do what its configuration asks; the message says why and what to do."""
