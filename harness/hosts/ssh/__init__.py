"""Reaching a host by SSH, through one connection that comes back by itself: the only place that knows Fabric and paramiko."""

import logging

from harness.hosts.ssh.connection import SshConnection, connect_all

__all__ = ["SshConnection", "connect_all"]

# What goes wrong is raised, in a line; paramiko would print its traceback beside it where nobody has set up logging.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
