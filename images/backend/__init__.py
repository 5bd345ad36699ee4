"""The backend: a server behind the server, which answers every request a known time after it was received.

It is no model and is not measured: it stands for a database or another service, with a delay that is asked for and
one that is recorded. Everything happens on one thread, on one epoll loop, however many calls wait at once.
"""
