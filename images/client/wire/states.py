"""What a slot is doing. From `CONNECTING` on a request is under way, or its connection is being seen to."""

IDLE = 0  # can take a request
RESTING = 1  # after several failures in a row
CONNECTING = 2  # with the handshake of TLS and the greeting of the protocol
SETTLING = 3  # has its answer; its reads are handed to a transport
WAITING = 4  # for an answer
CLOSING = 5  # has its answer; the connection is given up, and its end waited for
