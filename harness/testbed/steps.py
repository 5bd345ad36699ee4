"""Steps with a tick and a time, as a person sees them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Say = Callable[[str], None]


@contextmanager
def step(say: Say, name: str) -> Iterator[None]:
    """One step: a line when it is done, or when it was not."""
    begun = time.monotonic()
    try:
        yield
    except BaseException:
        say(f"✗ {name}")
        raise
    say(f"✓ {name:<48} {time.monotonic() - begun:5.1f} s")
