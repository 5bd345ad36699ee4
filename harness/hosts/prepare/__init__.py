"""From a bare Debian or Ubuntu to a host that runs services: looked at, planned, applied, and taken back."""

from harness.hosts.prepare.hosts import prepare_hosts

__all__ = ["prepare_hosts"]
