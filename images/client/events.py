"""The client's side of the conversation: one line of JSON per event on standard output."""

import json
import sys


def emit(event: str, **fields: object) -> None:
    """Tell whoever started the client what has just happened."""
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()
