"""What all Python models share, so that they differ in concurrency only. Standard library only.

From the socket up: `sockets` (listening, accepting), `parser` (bytes to requests), `handler` (requests to
answers), `session` (one connection's parser and handler, without any I/O), `blocking` (a session on a blocking
socket), `scoreboard` (counters), `service` (configuration, signals, marks, exit report).
"""
