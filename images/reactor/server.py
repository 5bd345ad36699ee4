"""Reactor: readiness multiplexing. Few threads hold many connections, because no thread ever waits for one of them.

The variants, and who does what in each:

| variant    | accepts      | reads and writes                        | parses, handles         | asks the backend      |
|------------|--------------|-----------------------------------------|-------------------------|-----------------------|
| `single`   | the one loop | the one loop                            | the one loop            | the loop, not waiting |
| `main-sub` | a main loop  | sub-loops (threads or processes)        | the sub-loop            | the loop, not waiting |
| `pool`     | the one loop | the one loop                            | worker threads          | the worker, waiting   |
| `uvloop`   | the one loop | libuv, under a `Protocol` of asyncio's  | the one loop            | a coroutine           |

`loop.py` is the reactor itself; `main_sub.py`, `pool.py` and `on_uvloop.py` are the variants, each read on its own.
"""

from common.service import Service
from reactor import main_sub, pool
from reactor.loop import Reactor
from reactor.parts import READ


def main() -> None:
    """The variant that the options name."""
    service = Service.start()
    variant = service.option("variant", str)
    if variant == "single":
        serve_in_one_loop(service)
    elif variant == "main-sub":
        main_sub.serve(service)
    elif variant == "pool":
        pool.serve(service)
    else:
        from reactor import on_uvloop  # asyncio is memory that the others do without

        on_uvloop.serve(service)


def serve_in_one_loop(service: Service) -> None:
    """The whole server, in one thread. A handler that waits or computes keeps all connections waiting."""
    reactor = Reactor(service, service.listen(), service.counts)
    reactor.epoll.register(service, READ)  # signals wake it
    reactor.run(service)
    reactor.finish()
    service.finish()


if __name__ == "__main__":
    main()
