"""The CPU work of a request: a number of iterations, the same instructions every time, no clock in them.

A spin until a deadline would do less work the more workers share a core. The loop is plain bytecode, so a thread
that runs it holds the GIL between switch intervals like any Python code, which is what the models are compared on.
"""


def work(iterations: int) -> int:
    """Do `iterations` rounds of the work and return its result (a linear congruential generator's state)."""
    state = 1
    for _ in range(iterations):
        state = (state * 1_103_515_245 + 12_345) & 0x7FFF_FFFF
    return state
