"""Every gate, in the order of METHOD.md's table."""

from tests.bench.gates import capacity, held, known_delay, merge, peers, same, schedule, send_lag, stall
from tests.bench.gates.bench import Gate

GATES: tuple[Gate, ...] = (
    send_lag.GATE,
    schedule.GATE,
    known_delay.GATE,
    stall.GATE,
    peers.GATE,
    merge.GATE,
    held.GATE,
    capacity.GATE,
    same.GATE,
)
