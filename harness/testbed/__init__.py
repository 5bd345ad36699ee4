"""Real SSH + Docker hosts on this machine: containers, each with sshd and a Docker engine of its own (docs/testbed.md).

`layout` decides what each host is for, pure; `image` builds what they run; `make` makes and removes them, `parts` knows
what of a testbed is on the engine, by label, and `ready` waits until each answers as a host of an inventory must.
"""
