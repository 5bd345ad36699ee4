"""The full form of the suite and the short one."""

from dataclasses import dataclass

_SPARE_CONNECTIONS = 100


@dataclass(frozen=True)
class Scale:
    """How much of everything."""

    every: int  # a request is split at each so-many-th byte boundary
    connections: int  # opened and closed
    settling: int  # of them, before the baseline is taken
    idle: int  # connections held while one works
    examples: int  # of generated requests
    patient: bool  # whether checks that must wait for seconds are made


FULL = Scale(every=1, connections=10_000, settling=1_000, idle=1_000, examples=400, patient=True)
SHORT = Scale(every=9, connections=500, settling=100, idle=100, examples=40, patient=False)


def held_at_most(scale: Scale) -> int:
    """The most connections that any check holds at once."""
    return scale.idle + _SPARE_CONNECTIONS
