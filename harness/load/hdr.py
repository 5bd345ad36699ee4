"""Histograms for other tools: HdrHistogram's interval log, version 1.2, with V2 payloads (hdrhistogram.org).

One line for each kind of time, tagged with its name; values are nanoseconds. The buckets are the client's own, so
nothing is rounded on the way.
"""

import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.errors import HostError
from harness.histogram import Counts, bounds_of
from harness.raw import ClientReport
from harness.store import write_atomically

_LONGEST_NS = 3_600_000_000_000  # an hour, as HdrHistogram wants to know its range beforehand
_DIGITS = 3


def write_hdr(path: Path, report: ClientReport, ended: datetime) -> None:
    """Write all histograms of a report to a file that appears whole or not at all.

    Args:
        path: of the file, `.hlog` by custom.
        report: whose histograms.
        ended: wall clock at the end of its window.

    Raises:
        HostError: the library is not there (it has no wheel for this architecture).
        OSError: the file cannot be written.
    """
    window_s = (report.window_end_ns - report.window_start_ns) / 1e9
    begun_s = ended.astimezone(UTC).timestamp() - window_s
    lines = [
        "#[Histogram log format version 1.2]",
        f"#[StartTime: {begun_s:.3f} (seconds since epoch), {datetime.fromtimestamp(begun_s, UTC):%Y-%m-%dT%H:%M:%SZ}]",
        "#[values in nanoseconds; made by Ceiling]",
        '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"',
    ]
    for name, counts in report.histograms.items():
        payload, longest_ns = _encoded(counts)
        lines.append(f"Tag={name},0.000,{window_s:.3f},{longest_ns / 1e6:.3f},{payload}")
    write_atomically(path, ("\n".join(lines) + "\n").encode())


def _encoded(counts: Counts) -> tuple[str, int]:
    """A histogram in its compressed form, and its largest value, ns."""
    histogram = _library().HdrHistogram(1, _LONGEST_NS, _DIGITS)
    for index, count in sorted(counts.items()):
        histogram.record_value(min(max(bounds_of(index)[0], 1), _LONGEST_NS), count)
    encoded: bytes = histogram.encode()
    return encoded.decode(), histogram.get_max_value() if counts else 0


def _library() -> Any:  # noqa: ANN401 - it ships no type information
    try:
        import hdrh.histogram
    except ImportError as error:
        raise HostError(
            f"--hdr needs the library hdrhistogram, which has no wheel for {platform.machine()} ({error});"
            " the histograms are in --json as well, in the same buckets"
        ) from None
    return hdrh.histogram
