"""The histograms as another tool reads them: HdrHistogram's own library."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.histogram import bounds_of, index_of, percentile
from harness.load.hdr import write_hdr
from harness.raw import ClientReport
from tests.run.records import client_report

hdrh = pytest.importorskip("hdrh.histogram", reason="hdrhistogram has no wheel for this architecture")
VALUES = [1, 900, 1_500, 2_047, 2_048, 4_097, 123_456, 1_000_000, 5_000_000_000] * 40 + [987_654_321]


def report() -> ClientReport:
    counts: dict[int, int] = {}
    for value in VALUES:
        counts[index_of(value)] = counts.get(index_of(value), 0) + 1
    return client_report().model_copy(update={"histograms": {"response": counts, "service": {}}})


def tagged(path: Path) -> dict[str, str]:
    lines = [line.split(",", 4) for line in path.read_text().splitlines() if line.startswith("Tag=")]
    return {line[0].removeprefix("Tag="): line[4] for line in lines}


def test_another_tool_reads_the_very_same_buckets(tmp_path: Path) -> None:
    write_hdr(tmp_path / "load.hlog", report(), datetime.now(UTC))
    decoded = hdrh.HdrHistogram.decode(tagged(tmp_path / "load.hlog")["response"])
    assert decoded.get_total_count() == len(VALUES)
    for index, count in report().histograms["response"].items():
        assert decoded.get_count_at_value(max(1, bounds_of(index)[0])) == count


def test_its_percentiles_are_ours_to_the_width_of_a_bucket(tmp_path: Path) -> None:
    write_hdr(tmp_path / "load.hlog", report(), datetime.now(UTC))
    decoded = hdrh.HdrHistogram.decode(tagged(tmp_path / "load.hlog")["response"])
    for percent in (10, 50, 90):
        ours = percentile(report().histograms["response"], percent)
        assert ours == pytest.approx(decoded.get_value_at_percentile(percent), rel=1e-3)


def test_an_empty_histogram_has_its_line_too(tmp_path: Path) -> None:
    write_hdr(tmp_path / "load.hlog", report(), datetime.now(UTC))
    assert hdrh.HdrHistogram.decode(tagged(tmp_path / "load.hlog")["service"]).get_total_count() == 0
