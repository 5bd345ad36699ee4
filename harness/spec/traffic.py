"""The load: which requests are sent, and when. What a spec may say of it, with every default."""

import difflib
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from harness.spec.quantities import Between, Duration, Rate, Share, Size
from harness.spec.record import Record

CLIENT_HEADERS = ("Host", "Content-Length", "Connection", "Transfer-Encoding")
"""Headers that the load client sets itself, from the rest of the spec."""

_OWN_HEADERS = frozenset(name.lower() for name in CLIENT_HEADERS)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_HEADER_VALUE = re.compile(r"[\t -~]{0,4096}")
_PATH = re.compile(r"/[!-~]{0,2047}")


def _header_name(name: str) -> str:
    if name.lower() in _OWN_HEADERS:
        raise ValueError(f"the load client sets `{name}` itself; remove it (`load` and `request` decide its value)")
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError(f"{name[:60]!r} is no header name; use letters, digits and hyphens, as in `X-Tenant`")
    return name


def _header_value(value: str) -> str:
    if not _HEADER_VALUE.fullmatch(value):
        raise ValueError(
            f"{value[:60]!r} is no header value; keep to one line of printable ASCII, at most 4096 characters"
        )
    return value


def _path(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError(
            f"`{path[:60]}` does not start with a slash; write the path and query only, such as `/` or `/items?page=2`"
        )
    if not _PATH.fullmatch(path):
        raise ValueError(
            f"{path[:60]!r} holds what no request line may; percent-encode spaces and non-ASCII characters (at most 2048 in all)"
        )
    return path


def _lifetime(value: object) -> object:
    if type(value) is int and value == 1:
        raise ValueError("a connection for 1 request is `per-request`; write that, or a number from 2 on")
    if type(value) is not int and value not in ("keep-alive", "per-request"):
        close = difflib.get_close_matches(str(value), ("keep-alive", "per-request"), n=1)
        fix = f"did you mean `{close[0]}`?" if close else "write `keep-alive`, `per-request` or a number of requests"
        raise ValueError(f"`{str(value)[:60]}` is no lifetime of a connection; {fix}")
    return value


Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[str, AfterValidator(_header_value)]
Path = Annotated[str, AfterValidator(_path)]
Body = Annotated[Size, Between("0 B", "64 MiB")]
OfferedRate = Annotated[Rate, Between("0.001/s", "10000000/s")]
Lifetime = Annotated[
    Literal["keep-alive", "per-request"] | Annotated[int, Field(ge=2, le=1_000_000_000)], BeforeValidator(_lifetime)
]
Latency = Annotated[Duration, Between("1 us", "10 min")]


class MixedRequest(Record):
    """One kind of request of a mix. What it does not say is as in `request`."""

    weight: float = Field(1.0, gt=0, le=1e9, description="Its share is its weight over the sum of all weights.")
    path: Path | None = Field(None, description="Path and query.", json_schema_extra={"pattern": "^/[!-~]*$"})
    method: Method | None = Field(None, description="HTTP method.")
    headers: dict[HeaderName, HeaderValue] | None = Field(None, description="Its further headers, instead.")
    body: Body | None = Field(None, description="Size of its body.")
    expect: int | None = Field(None, ge=200, le=599, description="Status of a right answer.")


class Request(Record):
    """The request that the load client sends."""

    path: Path = Field(
        "/", description="Path and query, from the slash on.", json_schema_extra={"pattern": "^/[!-~]*$"}
    )
    method: Method = Field("GET", description="HTTP method.")
    headers: dict[HeaderName, HeaderValue] = Field(
        {},
        description="Further request headers. Host, Content-Length, Connection and Transfer-Encoding are the client's.",
    )
    body: Body = Field(Size(0), description="Size of the request's body (POST, PUT, PATCH and DELETE).")
    expect: int | None = Field(
        None,
        ge=200,
        le=599,
        description="Status of a right answer. Models that keep the contract answer with 200; of others any 2xx is right by default.",
    )
    mix: tuple[MixedRequest, ...] = Field(
        (),
        strict=False,  # YAML's lists become tuples
        max_length=32,
        description="Several kinds of request, each with a weight: which one is next is drawn from the seed. None: all are the one above.",
    )

    @property
    def kinds(self) -> tuple[MixedRequest, ...]:
        """Every kind of request that is sent, complete; one where there is no mix."""
        own = {"path": self.path, "method": self.method, "headers": self.headers, "body": self.body}
        rest = {**own, "expect": self.expect}
        given = [{name: value for name, value in dict(kind).items() if value is not None} for kind in self.mix]
        return tuple(MixedRequest.model_validate({**rest, **kind}) for kind in given or [{}])


class Load(Record):
    """How the load is made. A closed loop measures throughput, an open loop latency (docs/method.md)."""

    kind: Literal["closed", "open", "hold", "capacity"] = Field(
        "closed",
        description="`closed`: each connection sends its next request when the answer is in. `open`: requests follow a schedule fixed in advance. `hold`: idle connections are held, with a thin stream of requests through them, while new ones arrive. `capacity`: a search for the highest open-loop rate that meets `slo`.",
    )
    connections: int = Field(64, ge=1, le=1_000_000, description="Connections held at once.")
    rate: OfferedRate | None = Field(
        None,
        description="Offered rate over all connections (kind `open`); of the stream through the held ones (`hold`); where the search begins (`capacity`, by default 100/s).",
    )
    rates: tuple[OfferedRate, ...] = Field(
        (),
        strict=False,
        max_length=64,
        description="Kind `open`: several rates instead of one, each for an equal part of the window; every part is reported.",
    )
    shape: Literal["staircase", "ramp"] = Field(
        "staircase", description="With `rates`: one after the other, or a straight line from each to the next."
    )
    arrivals: Literal["constant", "poisson"] = Field(
        "constant", description="Gaps of the schedule: all the same, or exponential from the seed (all but `closed`)."
    )
    think: Annotated[Duration, Between("0 ns", "1 h")] = Field(
        Duration(0), description="Kind `closed`: mean time from an answer to the connection's next request."
    )
    thinking: Literal["exponential", "constant"] = Field(
        "exponential", description="Of the think times; with all the same, connections go in step."
    )
    growth: OfferedRate | None = Field(
        None,
        description="Kind `hold`: new connections a second beside the held ones, each kept after its first answer.",
    )
    lifetime: Lifetime = Field(
        "keep-alive",
        description="Keep each connection, open a new one for every request (`per-request`: churn; the server closes it), or after this number of requests.",
    )
    sources: tuple[str, ...] = Field(
        (),
        strict=False,
        max_length=1024,
        description="Source addresses of the connections, in turn: each has a range of ports of its own. On loopback the client takes as many as it needs by itself.",
    )
    resolution: Annotated[Share, Between("0.1 %", "50 %")] = Field(
        Share(5_000), description="Kind `capacity`: width of the interval that is searched for, of its upper end."
    )
    confirmation: Annotated[Duration, Between("1 s", "24 h")] = Field(
        Duration(30_000_000_000), description="Kind `capacity`: window of the trial at the rate found, which decides."
    )
    warmup: Annotated[Duration, Between("0 s", "1 h")] = Field(
        Duration(1_000_000_000), description="Load before the window, not counted."
    )
    window: Annotated[Duration, Between("100 ms", "24 h")] = Field(
        Duration(5_000_000_000),
        description="The measured time, over intended send times; of a short trial of `capacity`.",
    )
    timeout: Annotated[Duration, Between("1 ms", "10 min")] = Field(
        Duration(5_000_000_000), description="Deadline of each request, from its intended send time."
    )


class Slo(Record):
    """What service is good enough: all of it must hold. For open loads and the search for capacity."""

    p50: Latency | None = Field(None, description="Median of the response time, at most.")
    p90: Latency | None = Field(None, description="90th percentile, at most.")
    p95: Latency | None = Field(None, description="95th percentile, at most.")
    p99: Latency | None = Field(None, description="99th percentile, at most.")
    p99_9: Latency | None = Field(None, description="99.9th percentile, at most.")
    errors: Annotated[Share, Between("0 %", "100 %")] | None = Field(
        None, description="Share of requests without a right answer in time, at most; 0 % where another limit is set."
    )

    @property
    def latencies(self) -> dict[str, Duration]:
        """The limits on percentiles that are set, by their names."""
        limits = {name: getattr(self, name) for name in ("p50", "p90", "p95", "p99", "p99_9")}
        return {name: limit for name, limit in limits.items() if limit is not None}

    @property
    def is_set(self) -> bool:
        """Whether any limit is."""
        return bool(self.latencies) or self.errors is not None
