"""Servers whose behaviour is known by construction: what the gates hold the client's numbers against."""
