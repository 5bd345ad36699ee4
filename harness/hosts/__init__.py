"""What a host is, and what it can carry."""
