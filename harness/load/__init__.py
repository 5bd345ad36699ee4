"""`harness load`: the load client alone, against any server that speaks HTTP or STOMP."""

from harness.load.command import load_server
from harness.load.words import trial_of

__all__ = ["load_server", "trial_of"]
