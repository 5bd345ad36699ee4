"""Proactor: the kernel does the I/O, and says when it is done. One system call of ours is left, which waits for that.

An operation is started (accept, receive, send, close: queued, and handed over with all others of the same turn), the
kernel does it, its completion is handled, and handling it starts the next one. Where a reactor is told "now you may
read", and reads, here the data is there already.

Several processes: each has a ring of its own, and accepts in flight on the one listening socket that they share. The
kernel wakes one of them for each connection. A process that dies takes its own connections with it; those that still
wait to be accepted are taken by the others. (With a socket each, by SO_REUSEPORT, those in its queue would be reset.)

`loop.py` is the model; `accepting.py` and `backend_calls.py` are operations that follow one another, as it is itself;
`ring.py`, `operations.py` and `buffers.py` are io_uring.
"""

from collections.abc import Sequence
from functools import partial

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
    listener = service.listen(blocking=True)  # where accept would not wait, io_uring does not either
    if processes == 1:
        serve(service, listener, service.counts)
    else:
        family = Family(service, processes, 1, partial(work, service, listener))
        family.run()
        listener.close()
        family.end()
    service.finish()


def work(service: Service, listener: Listener, slots: Sequence[int]) -> None:
    """The whole life of one of several processes."""
    counts = service.scoreboard.counts(slots[0])
    service.become_worker(counts)
    serve(service, listener, counts)
    service.log.flush()


def serve(service: Service, listener: Listener, counts: Counts) -> None:
    """Serve on a ring of this process, until it is to stop."""
    proactor = Proactor(service, listener, counts)
    proactor.run()
    proactor.finish()


if __name__ == "__main__":
    main()
