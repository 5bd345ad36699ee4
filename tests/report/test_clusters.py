"""One server and many: what makes a curve, how efficient it is, what was held out, and what the report says of it."""

import csv
import io
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.clusters import Curve, curves
from harness.analysis.prices import costs_of, hour_of, per_million
from harness.analysis.reading import Run
from harness.analysis.study import Study, make_study
from harness.hosts.room import Room
from harness.placement import Machine, place
from harness.report import make_report
from harness.report.advising import paying, sentences
from harness.report.answer import make_answer
from harness.report.scaling import scaling_chart, scaling_section
from harness.report.sections import Section, make_sections
from tests.tools.synthetic import Shape, make_run

SIZES = ("1", "2", "3", "4", "6", "8")
INVENTORY = """\
version: 1
title: three hosts
currency: EUR
hosts:
  host-1: {address: 10.0.0.1, price_per_hour: 0.10, labels: {zone: a}}
  host-2: {address: 10.0.0.2, price_per_hour: 0.20}
  host-3: {address: 10.0.0.3, price_per_hour: 0.30}
"""


def law(sigma: float = 0.02, kappa: float = 0.002, one: float = 200.0) -> Callable[[Mapping[str, str]], float]:
    """A server's capacity and how it grows."""

    def speed(factors: Mapping[str, str]) -> float:
        n = int(factors.get("servers", "1"))
        return one * n / (1 + sigma * (n - 1) + kappa * n * (n - 1))

    return speed


def cluster(**changes: Any) -> Shape:
    """Searches for capacity behind a balancer, by number of servers."""
    given: dict[str, Any] = {
        "factors": {"servers": SIZES},
        "kind": "capacity",
        "speed": law(),
        "spread": 0.01,
        "base": {"model": "prefork", "balancer": "haproxy-tcp"},
        "hosts": 3,
        "requests": 200,
    }
    return Shape(**{**given, **changes})


def only(study: Study) -> Curve:
    (curve,) = curves(study)
    return curve


def section(study: Study, name: str) -> Section | None:
    return next((found for found in make_sections(study) if found.id == name), None)


def texts(found: Section | None) -> list[list[str]]:
    assert found is not None
    assert found.table is not None
    return [[cell.text for cell in row] for row in found.table.rows]


def test_points_that_differ_in_the_number_of_servers_only_make_one_curve(study_of: Callable[[Shape], Study]) -> None:
    curve = only(study_of(cluster()))
    assert [size.servers for size in curve.sizes] == [1, 2, 3, 4, 6, 8]
    assert (curve.model, curve.metric, curve.name) == ("prefork", "capacity_rps", "")


def test_every_further_factor_makes_a_curve_of_its_own(study_of: Callable[[Shape], Study]) -> None:
    factors = {"balancer": ("haproxy-tcp", "haproxy-http"), "servers": ("1", "2", "4")}
    found = curves(study_of(cluster(factors=factors)))
    assert [curve.name for curve in found] == ["haproxy-tcp", "haproxy-http"]
    assert all(len(curve.sizes) == 3 for curve in found)


SETUPS: dict[str, dict[str, Any]] = {
    "one": {"servers": 1},
    "two": {"servers": 2},
    "two, other algorithm": {"servers": 2, "balancing": {"algorithm": "leastconn"}},
    "two, more connections": {"servers": 2, "load.connections": 512},
    "two, smaller": {"servers": 2, "options": {"workers": 4}},
    "two, from a higher rate": {"servers": 2, "load.rate": "900/s"},
    "two, by request": {"servers": 2, "balancer": "haproxy-http"},
    "one alone": {"servers": 1, "balancer": "none"},
    "four": {"servers": 4, "load.connections": 64},
}


def side_by_side(folder: Path, names: tuple[str, ...]) -> list[tuple[str, list[str]]]:
    """The curves of levels that set other keys beside `servers`: what each is called, and the levels on it."""
    run = make_run(folder / "run", cluster(factors={"setup": names}, speed=lambda factors: 300.0))
    plan = json.loads((run / "plan.json").read_text())
    for planned in plan["trials"]:
        given = dict(SETUPS[planned["factors"]["setup"]])
        load = {path.partition(".")[2]: given.pop(path) for path in list(given) if path.startswith("load.")}
        planned["trial"] |= given
        planned["trial"]["load"] |= load
    (run / "plan.json").write_text(json.dumps(plan))
    return [(curve.name, [size.point.factors["setup"] for size in curve.sizes]) for curve in curves(make_study(run))]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("one", "two", "four"), [("", ["one", "two", "four"])]),
        (
            ("one", "two", "two, other algorithm", "four"),
            [
                ("balancing.algorithm roundrobin", ["one", "two", "four"]),
                ("balancing.algorithm leastconn", ["two, other algorithm"]),
            ],
        ),
        (
            ("one", "two, smaller", "four"),
            [("no options.workers", ["one", "four"]), ("options.workers 4", ["two, smaller"])],
        ),
        (
            ("one", "two", "two, more connections"),
            [("load.connections 32", ["one", "two"]), ("load.connections 512", ["two, more connections"])],
        ),
        (
            ("one", "two", "two, from a higher rate"),
            [
                ("setup-one", ["one"]),
                ("setup-two", ["two"]),
                ("setup-two__from_a_higher_rate", ["two, from a higher rate"]),
            ],
        ),
        (
            ("one alone", "two", "two, by request"),
            [("haproxy-tcp", ["one alone", "two"]), ("haproxy-http", ["one alone", "two, by request"])],
        ),
        (("one alone", "two", "four"), [("", ["one alone", "two", "four"])]),
    ],
    ids=[
        "what may grow with the servers",
        "algorithm",
        "options",
        "connections of the same number of servers",
        "the same asked twice",
        "one without a balancer is before each",
        "one balancer",
    ],
)
def test_points_that_differ_in_more_than_servers_are_never_pooled(
    tmp_path: Path, names: tuple[str, ...], found: list[tuple[str, list[str]]]
) -> None:
    assert side_by_side(tmp_path, names) == found


def test_efficiency_is_per_server_against_the_fewest_and_holds_what_went_in(
    study_of: Callable[[Shape], Study],
) -> None:
    curve = only(study_of(cluster(resolution=0.02)))
    for size in curve.measured:
        found = size.efficiency
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        true = law()({"servers": f"{size.servers}"}) / size.servers / 200
        assert found.low <= true <= found.high or size.servers == 1


def test_the_largest_number_is_held_out_from_five_on_and_the_rest_foretells_it(
    study_of: Callable[[Shape], Study],
) -> None:
    curve = only(study_of(cluster()))
    assert curve.held_out is not None
    assert curve.held_out.servers == 8
    assert 8 not in curve.held_out.fit.sizes
    assert curve.held_out.inside is True
    assert curve.fit is not None
    assert 8 in curve.fit.sizes


def test_four_numbers_of_servers_hold_nothing_out(study_of: Callable[[Shape], Study]) -> None:
    curve = only(study_of(cluster(factors={"servers": ("1", "2", "3", "4")})))
    assert curve.fit is not None
    assert curve.held_out is None
    assert any("takes 5 numbers of servers" in sentence for sentence in sentences(curve))


def test_a_collapse_that_the_fit_did_not_foretell_is_called_a_failure_of_the_law(
    study_of: Callable[[Shape], Study],
) -> None:
    def collapsing(factors: Mapping[str, str]) -> float:
        return 200.0 * int(factors["servers"]) * (0.5 if factors["servers"] == "8" else 1.0)

    curve = only(study_of(cluster(speed=collapsing)))
    assert curve.held_out is not None
    assert curve.held_out.inside is False
    assert any("The law fails here" in sentence for sentence in sentences(curve))


def test_growth_beyond_linear_is_told_and_no_end_is_named(study_of: Callable[[Shape], Study]) -> None:
    curve = only(study_of(cluster(speed=lambda factors: 200.0 * int(factors["servers"]) ** 1.2)))
    assert curve.superlinear
    assert "faster than the number of servers" in paying(curve)


def test_a_closed_loop_shows_throughput_at_saturation(study_of: Callable[[Shape], Study]) -> None:
    curve = only(study_of(cluster(kind="closed")))
    assert curve.metric == "throughput_rps"
    assert "at saturation" in sentences(curve)[0]


@pytest.mark.parametrize("kind", ["open"])
def test_an_open_load_makes_no_curve_as_it_shows_what_was_offered(
    study_of: Callable[[Shape], Study], kind: str
) -> None:
    study = study_of(cluster(kind=kind))
    assert curves(study) == ()
    assert section(study, "scaling") is None


def test_broken_runs_make_no_curve(study_of: Callable[[Shape], Study]) -> None:
    faults = {"faults": ({"at": "1 s", "do": "kill-server", "server": 1},)}
    assert curves(study_of(cluster(base={"model": "prefork", "balancer": "haproxy-tcp", **faults}))) == ()


def test_without_any_run_that_counts_nothing_is_fitted_or_drawn(study_of: Callable[[Shape], Study]) -> None:
    states = {f"servers-{n}.r{r}": "failed" for n in SIZES for r in (1, 2, 3)}
    study = study_of(cluster(states=states))
    assert only(study).measured == ()
    assert scaling_section(study) is None
    assert scaling_chart(study) is None


def test_a_size_of_which_a_run_found_nothing_is_left_out_and_told(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", cluster(factors={"servers": ("1", "2")}))
    for trial in ("servers-2.r1", "servers-2.r2"):
        path = run / "trials" / trial / "trial.json"
        record = json.loads(path.read_text())
        record["capacity"] |= {"ended": "none met", "low_rps": None}
        path.write_text(json.dumps(record))
    found = section(make_study(run), "scaling")
    assert found is not None
    assert (
        "Left out, as the other runs would be the fortunate ones: 2 servers (in 2 of 3 runs no rate met it)."
        in found.notes[0]
    )
    assert [row[1] for row in texts(found)][1] == "–"


def test_one_server_only_is_no_cluster(study_of: Callable[[Shape], Study]) -> None:
    study = study_of(cluster(factors={"model": ("ppc", "tpc")}, base={}, speed=lambda factors: 500.0, hosts=0))
    assert section(study, "scaling") is None
    assert [row[:1] + row[2:4] for row in texts(section(study, "limits"))] == [
        ["ppc", "p99 ≤ 100 ms and errors ≤ 0.1 %", "worker pool"],
        ["tpc", "p99 ≤ 100 ms and errors ≤ 0.1 %", "worker pool"],
    ]


def test_the_report_opens_with_what_one_and_many_servers_hold(study_of: Callable[[Shape], Study]) -> None:
    answer = make_answer(study_of(cluster()))
    assert answer.headline.startswith("prefork: one server holds 20")
    assert "8 servers hold" in answer.headline
    assert "efficiency" in answer.headline
    assert "Checked: 8 servers were left out of the fit" in answer.more


def test_the_chart_has_the_law_its_band_and_a_ring_round_the_point_held_out(
    study_of: Callable[[Shape], Study],
) -> None:
    chart = scaling_chart(study_of(cluster()))
    assert chart is not None
    (panel,) = chart.panels
    assert [dot["x"] for dot in panel.held_out] == [8]
    assert len(panel.means) == 6
    assert len(panel.runs) == 18
    assert all(at["low"] <= at["y"] <= at["high"] and at["y"] <= at["linear"] * (1 + 1e-9) for at in panel.law)


def test_servers_are_told_one_by_one_with_their_share_and_what_the_balancer_saw(
    study_of: Callable[[Shape], Study],
) -> None:
    study = study_of(cluster(factors={"servers": ("1", "2")}, crooked=1.0))
    rows = texts(section(study, "servers"))
    assert [row[1] for row in rows] == ["server-1", "server-2"]
    assert [row[3] for row in rows] == ["66.7 %", "33.3 %"]
    assert [row[8] for row in rows] == ["0", "1 ×"]


def test_a_balancer_is_priced_against_none_in_the_same_blocks(study_of: Callable[[Shape], Study]) -> None:
    speeds = {"direct": 4_000.0, "haproxy-tcp": 3_000.0}
    shape = cluster(
        factors={"balancer": tuple(speeds)},
        kind="closed",
        base={"servers": 3},
        speed=lambda factors: speeds[factors["balancer"]],
        repeats=5,
    )
    rows = texts(section(study_of(shape), "balancers"))
    assert rows[0][1:3] + rows[0][4:] == ["direct", "Throughput", "1", ""]
    assert rows[1][1:3] + rows[1][4:] == ["haproxy-tcp", "Throughput", "0.75", "differs"]


def test_without_one_that_has_no_balancer_nothing_is_priced(study_of: Callable[[Shape], Study]) -> None:
    shape = cluster(factors={"balancer": ("haproxy-tcp", "haproxy-http")}, kind="closed", base={"servers": 3})
    assert section(study_of(shape), "balancers") is None


def test_hosts_are_told_with_their_clocks_and_only_where_there_are_any(study_of: Callable[[Shape], Study]) -> None:
    rows = texts(section(study_of(cluster()), "hosts"))
    assert [row[0] for row in rows] == ["host-1", "host-2", "host-3"]
    assert rows[0][1] == "balancer, server, server-1, server-4, server-7"
    assert rows[0][2:6] == ["00000001", "1.5 ms", "90 µs", "1.2 µs"]
    assert section(study_of(Shape()), "hosts") is None


def starting(late_ns: list[int | None]) -> dict[str, Any]:
    """What a record says of two load clients, on the first host and the second."""
    part = {"processes": 1, "connections": 4, "intended": 9, "ok": 9, "errors": 0, "percentiles_us": {}}
    return {
        "client_shares": [
            {**part, "host": f"host-{number}", "start_late_ns": late} for number, late in enumerate(late_ns, 1)
        ]
    }


@pytest.mark.parametrize(
    ("late_ns", "says"),
    [
        ([250_000, 1_000_000], "0.93 ms apart"),  # 0.75 ms, and the errors of both clocks
        ([1_000_000, 250_000], "0.93 ms apart"),
        ([None, 250_000], None),
        ([250_000], None),
    ],
)
def test_how_far_apart_load_clients_began_is_told_with_the_clocks_errors(
    tmp_path: Path, late_ns: list[int | None], says: str | None
) -> None:
    run = make_run(tmp_path / "run", cluster(factors={"servers": ("1",)}, repeats=2))
    for path in run.glob("trials/*/trial.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), **starting(late_ns)}))
    found = section(make_study(run), "hosts")
    assert found is not None
    said = " ".join(found.notes[1:])
    assert (says is None) == (not said)
    assert says is None or f"Load clients that made a load together began it {says} (median of " in said


def priced(folder: Path, inventory: str = INVENTORY, **changes: Any) -> Study:
    run = make_run(folder / "run", cluster(**changes))
    (run / "inventory.yaml").write_text(inventory)
    return make_study(run)


def test_a_million_requests_cost_what_the_hosts_of_servers_and_balancer_do(tmp_path: Path) -> None:
    study = priced(tmp_path)
    curve = only(study)
    two, eight = curve.sizes[1], curve.sizes[-1]
    assert hour_of(study, two) == pytest.approx(0.30)  # servers on host-1 and host-2; the client's host is not paid for
    assert hour_of(study, eight) == pytest.approx(0.60)
    assert per_million(0.36, 100.0) == pytest.approx(1.0)
    found = scaling_section(study)
    assert found is not None
    assert found.table is not None
    assert "Cost / million" in {column.title for column in found.table.columns}


def test_the_stored_inventory_of_a_run_is_read_with_its_roles_and_power(tmp_path: Path) -> None:
    more = "0.10, roles: [server, balancer], power: {kill: [cloud, stop, one]}"
    inventory = priced(tmp_path, INVENTORY.replace("0.10", more)).run.inventory
    assert inventory is not None
    assert inventory.hosts["host-1"].roles == ("server", "balancer")


def test_advice_costs_what_the_report_says_of_a_size_that_was_measured(tmp_path: Path) -> None:
    study = priced(tmp_path)
    curve = only(study)
    costs = costs_of(study, curve)
    assert costs is not None
    prices = [costs.of(size.servers) for size in curve.sizes]
    assert [price.per_hour for price in prices if price] == [hour_of(study, size) for size in curve.sizes]


@pytest.mark.parametrize(("balancer", "on"), [("haproxy-tcp", "host-1"), ("direct", None)])
@pytest.mark.parametrize("servers", [2, 3, 5, 7, 9])
def test_a_size_that_was_not_measured_costs_what_the_hosts_do_on_which_it_would_be_placed(
    tmp_path: Path, servers: int, balancer: str, on: str | None
) -> None:
    inventory = INVENTORY.replace("0.10", "0.10, roles: [client, balancer]").replace("0.20", "0.20, roles: [server]")
    study = priced(
        tmp_path, inventory, base={"model": "prefork", "balancer": balancer}, factors={"servers": ("4", "8")}
    )
    costs = costs_of(study, only(study))
    assert costs is not None
    assert study.run.inventory is not None
    machines = [
        Machine(name, tuple(range(16)), Room(None, None, None), host.roles)
        for name, host in study.run.inventory.hosts.items()
    ]
    trial = study.points[0].rows[0].planned.trial.model_copy(update={"servers": servers})
    placed = place(trial, machines)
    hosts = {server.host for server in placed.servers} | ({placed.balancer.host} if placed.balancer else set())
    assert (on in hosts) == (on is not None)
    price = costs.of(servers)
    assert price is not None
    by_name = {name: host.price_per_hour or 0.0 for name, host in study.run.inventory.hosts.items()}
    assert price.more_hosts == max(0, math.ceil((servers - 6) / 3))
    more = price.more_hosts * (by_name["host-2"] + by_name["host-3"]) / 2
    assert price.per_hour == pytest.approx(sum(by_name[name] for name in hosts) + more)


@pytest.mark.parametrize(
    "inventory",
    [INVENTORY.replace("price_per_hour: 0.10, ", ""), "version: 2\n", "no: [yaml", ""],
    ids=["one without a price", "another version", "damaged", "empty"],
)
def test_prices_that_are_not_all_known_are_none(tmp_path: Path, inventory: str) -> None:
    study = priced(tmp_path, inventory)
    assert costs_of(study, only(study)) is None
    assert scaling_section(study) is not None


def test_the_files_beside_the_report_hold_servers_and_law_and_are_the_same_bytes_again(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", cluster(factors={"servers": ("1", "2", "3")}))
    first = {path.name: path.read_bytes() for path in make_report(run).index.parent.rglob("*") if path.is_file()}
    again = {path.name: path.read_bytes() for path in make_report(run).index.parent.rglob("*") if path.is_file()}
    assert first == again
    servers = list(csv.DictReader(io.StringIO(first["servers.csv"].decode())))
    assert len(servers) == 3 * (2 + 3)
    (fitted,) = csv.DictReader(io.StringIO(first["scaling.csv"].decode()))
    assert 190 < float(fitted["lambda"]) < 210
    assert "scaling.svg" in first


def test_a_run_on_this_machine_has_no_inventory(study_of: Callable[[Shape], Study]) -> None:
    run: Run = study_of(Shape()).run
    assert run.inventory is None


def test_a_late_client_does_not_hide_what_gave_out_above_the_capacity(tmp_path: Path) -> None:
    shape = cluster(factors={"model": ("ppc", "tpc")}, base={}, speed=lambda factors: 500.0, hosts=0, repeats=1)
    run = make_run(tmp_path / "run", shape)
    path = run / "trials" / "model-ppc.r1" / "trial.json"
    path.write_text(path.read_text().replace('"limited_by": "worker pool"', '"limited_by": "client lag"', 2))
    rows = section(make_study(run), "limits")
    assert rows is not None
    assert rows.table is not None
    late, clear = (row[3] for row in rows.table.rows)
    assert (late.text, late.small) == ("worker pool", "in 1 of 2 steps; client lag in 1")
    assert (clear.text, clear.small) == ("worker pool", "")


@pytest.mark.parametrize(("crooked", "shown"), [(1.0, "1.33"), (0.0, "1")])
def test_imbalance_is_the_busiest_servers_requests_over_the_mean(
    study_of: Callable[[Shape], Study], crooked: float, shown: str
) -> None:
    """With `crooked` 1 the first of two servers has twice the requests of the second: 2/3 of all, and the mean is 1/2."""
    study = study_of(cluster(factors={"servers": ("1", "2")}, crooked=crooked))
    table = section(study, "scaling")
    assert table is not None
    assert table.table is not None
    at = [column.title for column in table.table.columns].index("Imbalance")
    assert [row[at] for row in texts(table)] == ["–", shown]
