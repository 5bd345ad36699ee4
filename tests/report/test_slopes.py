"""Memory per connection as a slope over several numbers held."""

import json
from pathlib import Path

import pytest

from harness.analysis.slopes import Slope, memory_slopes
from harness.analysis.study import make_study
from harness.report.slopes import slopes_section
from tests.tools.synthetic import Shape, make_run

EACH, ONCE = 4_096, 3_000_000


def slopes(tmp_path: Path, levels: tuple[str, ...], noise: int = 0) -> tuple[Slope, ...]:
    """Of a run whose servers take 3 MB once and 4 KiB for each connection."""
    run = make_run(tmp_path / "run", Shape({"model": ("reactor",), "load.connections": levels}))
    for number, path in enumerate(sorted(run.glob("trials/*/trial.json"))):
        record = json.loads(path.read_text())
        usage, held = record["usage"]["server"], record["trial"]["load"]["connections"]
        for name, connections in (("idle", 0), ("plateau", held)):
            look = usage[name] = dict(usage["plateau"] or usage["idle"])
            grown = (ONCE + EACH * connections + noise * (-1) ** number) if connections else 0
            look |= {"connections": connections, "pss_bytes": 50_000_000 + grown, "pss_file_bytes": 0}
            look |= {"page_table_bytes": 0, "kernel_stack_bytes": 16_384}
            look |= {"socket_queued_bytes": 0, "socket_structure_bytes": 0}
        path.write_text(json.dumps(record))
    return memory_slopes(make_study(run))


def test_what_is_paid_once_is_no_part_of_what_a_connection_costs(tmp_path: Path) -> None:
    (slope,) = slopes(tmp_path, ("64", "256", "1024"))
    assert slope.bytes_per_connection == pytest.approx(EACH)
    assert slope.first_bytes == pytest.approx(ONCE)
    assert (slope.from_connections, slope.to_connections, slope.runs) == (64, 1024, 9)


def test_noise_widens_the_interval_around_the_slope(tmp_path: Path) -> None:
    (slope,) = slopes(tmp_path, ("64", "256", "1024"), noise=40_000)
    assert slope.low < EACH < slope.high
    assert slope.high - slope.low > 10


def test_two_numbers_make_no_slope(tmp_path: Path) -> None:
    assert slopes(tmp_path, ("64", "1024")) == ()


def test_the_section_is_there_only_with_a_slope(tmp_path: Path) -> None:
    run = make_run(tmp_path / "other", Shape({"model": ("reactor",)}))
    assert slopes_section(make_study(run)) is None
