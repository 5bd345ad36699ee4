"""Proactor: the kernel does the I/O, and says when it is done. One system call of ours is left, which waits for that.

An operation is started (accept, receive, send, close: queued, and handed over with all others of the same turn), the
kernel does it, its completion is handled, and handling it starts the next one. Where a reactor is told "now you may
read", and reads, here the data is there already.

Several processes: each has a ring, and a listening socket, of its own (SO_REUSEPORT). With one socket for all, whoever runs
already would accept what others are only being woken for, and keep it: rings with all connections beside rings with none.
The main process holds all these sockets. So connections that wait in the queue of a ring that dies are not reset, they
are accepted by its replacement; only those that it had accepted die with it.

`loop.py` is the model; `accepting.py` and `backend_calls.py` are operations that follow one another, as it is itself;
`ring.py`, `operations.py` and `buffers.py` are io_uring.
"""

from collections.abc import Sequence

from common.family import Family
from common.scoreboard import Counts
from common.service import Service
from common.sockets import Listener
from proactor.loop import Proactor
from proactor.ring import Ring, RingError


def main() -> None:
    """The main process's life."""
    service = Service.start()
    processes = service.option("processes", int)
    try:
        Ring().close()  # where none is to be had, this is where it is said
    except RingError as error:
        service.give_up(str(error))
    listeners = service.listen_apart(processes, blocking=True)  # where accept would not wait, io_uring does not either
    if processes == 1:
        serve(service, listeners[0], service.counts)
    else:
        serve_in_workers(service, listeners)
    service.finish()


def serve_in_workers(service: Service, listeners: Sequence[Listener]) -> None:
    """Have a process for each socket, always, and serve nothing here."""

    def life(slots: Sequence[int]) -> None:
        counts = service.scoreboard.counts(slots[0])
        service.become_worker(counts)
        own = listeners[service.scoreboard.workers.index(slots[0])]
        for listener in listeners:
            if listener is not own:
                listener.close()
        serve(service, own, counts)
        service.log.flush()

    family = Family(service, len(listeners), 1, life)
    family.run()
    for listener in listeners:
        listener.close()
    family.end()


def serve(service: Service, listener: Listener, counts: Counts) -> None:
    """Serve on a ring of this process, until it is to stop."""
    proactor = Proactor(service, listener, counts)
    proactor.run()
    proactor.finish()


if __name__ == "__main__":
    main()
