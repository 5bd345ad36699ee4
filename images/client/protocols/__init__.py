"""What the client can speak. `base` is all that a connection asks of a protocol; each module beside it is one.

A further protocol is a module with a class that keeps `base.Wire`, and a line in `by_scheme`.
"""
