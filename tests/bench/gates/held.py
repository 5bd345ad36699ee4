"""Gate: how many connections a client process holds, and how many several do, and what each costs."""

from harness.clients import OWN_FILES, plan_client
from harness.hosts.room import Room, room_of_this_host
from tests.bench.gates.bench import Bench, Gate, Measured
from tests.bench.gates.record import Row, at_least, not_run, published
from tests.bench.held_many import ASKED, Held, hold, trial_of, walls

SHARE = 0.95
PER_ADDRESS = 28_000

METHOD = f"""\
The client holds connections to a reactor whose loops run in processes of their own; each connection is opened with a first request, and a thin stream of requests goes through all of them meanwhile. Held is what was answered on and
was still open when the last request had ended. First one process takes as many as its open files (the hard limit, less {OWN_FILES} for itself) and the ports of one address allow; then several processes as many as the ports of one address allow; then
{ASKED:,} are asked, over as many processes and addresses as that takes. Where a limit of the machine allows no more, the row names it. Bytes per connection are the growth of the client processes' memory (PSS), over the connections."""


def measure(bench: Bench) -> Measured:
    """One process, one address, all that was asked for."""
    room = room_of_this_host()
    rows = [*_one_process(room), *_one_address(room), *_many(room, round(ASKED * min(bench.scale, 1.0)))]
    facts = {"open files of a process": room.open_files, "ports of an address": room.ports}
    return Measured(rows, facts=facts)


def _one_process(room: Room) -> list[Row]:
    files, ports = room.open_files or 1 << 20, room.ports or 28_000
    connections = min(files - OWN_FILES, ports)
    done = hold(connections, plan_client(trial_of(connections), room), room)
    row = at_least(
        "one process: held, over min(open files, ports × addresses)", "", _held(done) / min(files, ports), SHARE
    )
    processes = len(done.report.processes) or 1
    note = f"{_held(done):,} held" if processes == 1 else f"{processes} processes were planned"
    return [row.model_copy(update={"note": note}), *_cost("one process", done)]


def _one_address(room: Room) -> list[Row]:
    name = "several processes: held from one address"
    if room.ports is not None and room.ports < PER_ADDRESS:
        return [not_run(name, f"net.ipv4.ip_local_port_range leaves {room.ports:,} ports")]
    connections = min(room.ports or PER_ADDRESS, 28_200)
    plan = plan_client(trial_of(connections, addresses=1), room, at_least=2)
    addresses = max(len(plan.sources), 1)
    done = hold(connections, plan, room)
    return [at_least(name, "", _held(done) / addresses, PER_ADDRESS, note=f"{plan.processes} processes")]


def _many(room: Room, asked: int) -> list[Row]:
    knob, allowed = min(walls(room).items(), key=lambda wall: wall[1])
    connections = min(asked, allowed)
    plan = plan_client(trial_of(connections), room)
    done = hold(connections, plan, room)
    note = f"{plan.processes} processes, {max(len(plan.sources), 1)} addresses"
    if connections < asked:
        note += f"; {knob} allows {allowed:,}"
    return [
        at_least("held at once, of those asked for", "", _held(done), SHARE * connections, note=note),
        *_cost("all", done),
    ]


def _held(done: Held) -> int:
    return min(done.served, done.held)


def _cost(name: str, done: Held) -> list[Row]:
    each = [one.bytes_per_connection for one in done.report.processes if one.bytes_per_connection is not None]
    own = sum(each) / len(each) if each else None
    return [
        published(f"{name}: client memory per connection", "bytes", own),
        published(f"{name}: server memory per connection", "bytes", done.server_bytes),
    ]


GATE = Gate("held", "Connections held", METHOD, measure)
