"""The wire: one connection and what goes over it, from its opening to its end; whom it goes to."""
