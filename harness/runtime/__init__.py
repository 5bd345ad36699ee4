"""How a service runs on a host."""
