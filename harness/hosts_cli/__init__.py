"""`harness hosts …`: the verbs that look after the hosts of an inventory.

A verb of its own module registers itself on `app` (harness/hosts_cli/inventories.py) and is imported here.
"""

from harness.hosts_cli import prepare as _prepare  # noqa: F401 - registers prepare
from harness.hosts_cli import verbs as _verbs  # noqa: F401 - registers trust, check and facts
from harness.hosts_cli.inventories import app

__all__ = ["app"]
