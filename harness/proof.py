"""Proving that a server answers rightly, before it is measured: each kind of request that the load is made of."""

import http.client
import ssl
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from harness.broker_proof import prove_broker
from harness.errors import DeployError
from harness.hosts.connection import Dial
from harness.hosts.tls import TlsDialled
from harness.runtime.base import Service
from harness.spec.experiment import Backend, Trial
from harness.spec.model import Model
from harness.spec.traffic import MixedRequest
from harness.trust import Trust

START_DEADLINE_S = 15.0
FOREIGN_PATIENCE_S = 5.0  # with one answer of a server of which nothing is known
OK = 200
MULTIPLE_CHOICES = 300  # the first status that is no 2xx
BAD_GATEWAY = 502  # the server's word for: the backend did not answer
LONGEST_DRAW = 30.0  # times the mean: an exponential delay beyond it has a probability of 1e-13
PIECE_BYTES = 1 << 16
MOST_BYTES = 1 << 30  # of an answer
PATTERN = b"0123456789abcdef"


@dataclass(frozen=True)
class Expected:
    """What a right answer to a kind of request is."""

    status: int | None  # none: any 2xx
    body_bytes: int | None  # none: any length


def prove(service: Service, port: int, trial: Trial, dial: Dial | None = None) -> tuple[int, tuple[Expected, ...]]:
    """Ask for each kind of request until the server answers, then judge the answer.

    Args:
        service: the server.
        port: it listens there.
        trial: what it is to answer.
        dial: how it is reached; none: directly.

    Returns:
        How many requests it answered rightly, and what a right answer to each kind is.

    Raises:
        DeployError: it ended, stayed silent for 15 s, or answered wrongly; with its last output.
    """
    kinds = trial.request.kinds
    for kind in kinds:
        _judge_answer(service.spec.name, trial, kind, *_first_answer(service, port, trial, kind, dial))
    return len(kinds), tuple(Expected(OK, expected_body_bytes(trial, kind)) for kind in kinds)


def _first_answer(
    service: Service, port: int, trial: Trial, kind: MixedRequest, dial: Dial | None
) -> tuple[int, bytes]:
    """Status and body of the first answer that comes.

    Raises:
        DeployError: the server ended, or stayed silent.
    """
    backend_s = longest_answer_s(trial.handler.backend)
    deadline = time.monotonic() + START_DEADLINE_S + backend_s
    while True:
        try:
            # In attempts: a port that somebody else holds may accept and never answer, while the server has ended.
            patience_s = min(2 + 2 * trial.handler.cpu.s + backend_s, deadline - time.monotonic())
            status, body = ask(origin_of(service, port), kind, patience_s, dial=dial)
            if status != BAD_GATEWAY or not backend_s or time.monotonic() > deadline:
                return (
                    status,
                    body,
                )  # of random delays one may be beyond the deadline of a call: that is no wrong server
        except (OSError, http.client.HTTPException) as error:
            if not service.running():
                raise DeployError(
                    f"{service.spec.name}: the server ended before it answered:\n{service.logs()}"
                ) from None
            if time.monotonic() > deadline:
                raise DeployError(
                    f"{service.spec.name}: no answer at {service.address}:{port} within {START_DEADLINE_S:.0f} s"
                    f" ({error}); its last output:\n{service.logs()}"
                ) from None
            time.sleep(0.005)


def prove_right(
    service: Service, port: int, trial: Trial, model: Model | None, notes: list[str], dial: Dial | None = None
) -> tuple[int, tuple[Expected, ...]]:
    """Prove a service by what is known of its answers: all of a model with the whole contract, else nothing.

    Args:
        service: the server, or what stands in front of it.
        port: it listens there.
        trial: what is asked.
        model: what the server's folder says of it; none: it has no folder.
        notes: told where two answers of one of which nothing is known differ in length.
        dial: how it is reached; none: directly.

    Returns:
        How many requests it answered rightly, and what a right answer to each kind is.

    Raises:
        DeployError: it ended, does not answer, or answers wrongly.
    """
    if model is not None and model.protocol == "stomp":
        proved = prove_broker(service, port, trial, dial)
        return proved, (Expected(None, None),) * proved  # a receipt has neither
    if model is not None and model.contract == "full":
        return prove(service, port, trial, dial)
    return prove_foreign(origin_of(service, port), trial, None, service, notes, dial)


def prove_foreign(
    origin: str,
    trial: Trial,
    trust: Trust | None,
    service: Service | None,
    notes: list[str],
    dial: Dial | None = None,
) -> tuple[int, tuple[Expected, ...]]:
    """Ask a server of which nothing is known until it has answered twice; what it answered is what is expected of it.

    So with each kind of request.

    Args:
        origin: where it answers.
        trial: what is asked.
        trust: of https.
        service: what was started for it; none: it runs already.
        notes: told where the two answers differ in length.
        dial: how it is reached; none: directly.

    Returns:
        How many requests it answered, and what a right answer to each kind is.

    Raises:
        DeployError: it does not answer, ended, is not trusted, or answers with a status that is not right.
    """
    expected = []
    for kind in trial.request.kinds:
        lengths = _two_lengths(origin, kind, trust, service, dial)
        if lengths[0] != lengths[1]:
            of = f" to {kind.method} {kind.path}" if trial.request.mix else ""
            notes.append(
                f"two answers{of} were {lengths[0]} and {lengths[1]} bytes long, so the length of answers is not checked"
            )
        expected.append(Expected(kind.expect, lengths[0] if lengths[0] == lengths[1] else None))
    return 2 * len(expected), tuple(expected)


def _two_lengths(
    origin: str, kind: MixedRequest, trust: Trust | None, service: Service | None, dial: Dial | None
) -> list[int]:
    """How long two answers to a kind of request are, of the right status."""
    deadline = time.monotonic() + START_DEADLINE_S
    lengths: list[int] = []
    while len(lengths) < 2:
        try:
            status, body = ask(origin, kind, min(FOREIGN_PATIENCE_S, deadline - time.monotonic()), trust, dial)
        except (OSError, http.client.HTTPException) as error:
            _give_up_on(origin, error, service, late=time.monotonic() > deadline)
            time.sleep(0.02)
            continue
        _judge_status(origin, kind, status)
        lengths.append(len(body))
    return lengths


def _give_up_on(origin: str, error: Exception, service: Service | None, *, late: bool) -> None:
    """Raise what is wrong with a server that did not answer, unless it was started only now and may yet."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = error.verify_message.rstrip(".")
        raise DeployError(
            f"{origin}: its certificate is not trusted ({reason}); name the authority's PEM file as `ca`, or take any"
            " certificate with `insecure: true`"
        )
    if service is None:
        says = f"no TLS handshake ({error.reason}); does it speak https?" if isinstance(error, ssl.SSLError) else error
        raise DeployError(f"{origin}: the server does not answer: {says}; start it first, or check its `url`")
    if not service.running():
        raise DeployError(f"{service.spec.name}: the server ended before it answered:\n{service.logs()}")
    if late:
        raise DeployError(
            f"{service.spec.name}: no answer at {origin} within {START_DEADLINE_S:.0f} s ({error}); is this the port that the"
            f" server listens on? Its last output:\n{service.logs()}"
        )


def _judge_status(origin: str, request: MixedRequest, status: int) -> None:
    if status == request.expect or (request.expect is None and OK <= status < MULTIPLE_CHOICES):
        return
    right = f"not {request.expect}" if request.expect else "which is no 2xx"
    raise DeployError(
        f"{origin}: the server answers {request.method} {request.path} with status {status}, {right}; ask for something else"
        " (`request`), or say `request.expect`"
    )


def origin_of(service: Service, port: int, scheme: str = "http") -> str:
    """Where a service answers, as a URL without a path."""
    address = service.address
    return f"{scheme}://{f'[{address}]' if ':' in address else address}:{port}"


def longest_answer_s(backend: Backend) -> float:
    """What an answer of the backend may take at most, as far as chance can be bounded, seconds; 0: there is none."""
    usual_s = backend.delay.s if backend.delay is not None else 0.0
    slow_s = backend.slow.s if backend.slow is not None else 0.0
    return max(slow_s, usual_s * (LONGEST_DRAW if backend.distribution == "exponential" else 1.0))


def ask(
    origin: str, request: MixedRequest, timeout_s: float, trust: Trust | None = None, dial: Dial | None = None
) -> tuple[int, bytes]:
    """One request on a connection of its own: status and body of the answer.

    Args:
        origin: whom.
        request: what, complete.
        timeout_s: of each wait for the server; the whole answer may take `START_DEADLINE_S` more.
        trust: of https.
        dial: how the server is reached; none: directly.

    Raises:
        DeployError: the answer does not end, or is larger than any load client should be sent.
        OSError: the server does not answer; or an `HTTPException`.
    """
    parts, path = urlsplit(origin), request.path or "/"
    host, context = parts.hostname or "", trust.context() if trust is not None else None
    connection = (
        http.client.HTTPConnection(host, parts.port, timeout=max(timeout_s, 0.1))
        if context is None
        else http.client.HTTPSConnection(host, parts.port, timeout=max(timeout_s, 0.1), context=context)
    )
    try:
        if dial is not None:
            dialled = dial(connection.host, connection.port, max(timeout_s, 0.1))
            connection.sock = dialled if context is None else TlsDialled(dialled, context, connection.host)
        body = pattern(request.body.bytes if request.body else 0) or None
        connection.request(request.method or "GET", path, body, {**(request.headers or {}), "Connection": "close"})
        response = connection.getresponse()
        return response.status, _whole(response, origin, path, time.monotonic() + timeout_s + START_DEADLINE_S)
    finally:
        connection.close()


def _whole(response: http.client.HTTPResponse, origin: str, path: str, deadline_s: float) -> bytes:
    """The body, with a deadline: a stream of events goes on for ever, and each wait for it is short."""
    body = bytearray()
    while piece := response.read1(PIECE_BYTES):
        body += piece
        if len(body) > MOST_BYTES or time.monotonic() > deadline_s:
            raise DeployError(
                f"{origin}: the answer to {path} had not ended after {len(body):,} bytes; a stream cannot be measured, ask"
                " for something else (`request.path`)"
            )
    if response.length:  # of it is missing: `read1` does not say so
        raise http.client.IncompleteRead(bytes(body), response.length)
    return bytes(body)


def expected_body_bytes(trial: Trial, kind: MixedRequest) -> int:
    """Length of the body of a model's right answer to a kind of request."""
    if kind.method == "HEAD":
        return 0
    sent = kind.body.bytes if kind.body else 0
    return sent if trial.handler.kind == "echo" else trial.handler.body.bytes


def pattern(size: int) -> bytes:
    """A body of a size, no part of which looks like another."""
    return (PATTERN * (size // len(PATTERN) + 1))[:size]


def _judge_answer(name: str, trial: Trial, kind: MixedRequest, status: int, body: bytes) -> None:
    expected, asked = expected_body_bytes(trial, kind), f"{kind.method} {kind.path}"
    if status != OK:
        raise DeployError(f"{name}: the server answers {asked} with status {status}, not {OK}")
    if len(body) != expected:
        raise DeployError(f"{name}: the server answers {asked} with a body of {len(body)} bytes, not {expected}")
    if trial.handler.kind == "echo" and body != pattern(expected):
        raise DeployError(f"{name}: the server does not echo the request's body")
