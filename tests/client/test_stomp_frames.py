"""The reader of STOMP frames: what it takes, what it refuses, and that the cuts between reads do not matter."""

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.protocols import stomp_frames
from client.protocols.base import MalformedError
from client.protocols.stomp_frames import MAX_BODY_BYTES, MAX_HEAD_BYTES, Frame, FrameReader, escaped

WHOLE = {
    "receipt": (b"RECEIPT\nreceipt-id:1\n\n\0", Frame(b"RECEIPT", {b"receipt-id": b"1"}, b"")),
    "no headers": (b"RECEIPT\n\n\0", Frame(b"RECEIPT", {}, b"")),
    "line ends of two bytes": (b"RECEIPT\r\nreceipt-id:1\r\n\r\n\0", Frame(b"RECEIPT", {b"receipt-id": b"1"}, b"")),
    "heart-beats before": (b"\n\r\n\nRECEIPT\n\n\0", Frame(b"RECEIPT", {}, b"")),
    "body up to the NUL": (b"ERROR\nmessage:no\n\nsaid\nso\0", Frame(b"ERROR", {b"message": b"no"}, b"said\nso")),
    "body of a length, with a NUL": (
        b"MESSAGE\ncontent-length:3\n\na\0b\0",
        Frame(b"MESSAGE", {b"content-length": b"3"}, b"a\0b"),
    ),
    "body that looks like a frame": (
        b"MESSAGE\ncontent-length:12\n\nRECEIPT\n\n\0\n\n\0",
        Frame(b"MESSAGE", {b"content-length": b"12"}, b"RECEIPT\n\n\0\n\n"),
    ),
    "first of a repeated header": (b"RECEIPT\na:1\na:2\n\n\0", Frame(b"RECEIPT", {b"a": b"1"}, b"")),
    "colon in a value": (b"RECEIPT\na:b:c\n\n\0", Frame(b"RECEIPT", {b"a": b"b:c"}, b"")),
    "empty value": (b"RECEIPT\na:\n\n\0", Frame(b"RECEIPT", {b"a": b""}, b"")),
    "escapes": (b"RECEIPT\na\\cb:\\\\\\n\\r\n\n\0", Frame(b"RECEIPT", {b"a:b": b"\\\n\r"}, b"")),
    "no escapes in CONNECTED": (b"CONNECTED\na:\\x\n\n\0", Frame(b"CONNECTED", {b"a": b"\\x"}, b"")),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_frame_is_whole_and_understood(name: str) -> None:
    data, frame = WHOLE[name]
    reader = FrameReader()
    assert reader.feed(data) == [frame]
    assert not reader.begun


@given(st.lists(st.sampled_from(sorted(WHOLE)), min_size=1, max_size=4), st.lists(st.integers(0, 400), max_size=12))
def test_cuts_between_reads_change_nothing(names: list[str], cuts: list[int]) -> None:
    data, frames = b"\n".join(WHOLE[name][0] for name in names), [WHOLE[name][1] for name in names]
    edges = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
    reader = FrameReader()
    assert [frame for a, b in pairwise(edges) for frame in reader.feed(data[a:b])] == frames


@pytest.mark.parametrize("name", WHOLE)
def test_byte_by_byte_it_is_whole_with_the_last_byte_and_not_before(name: str) -> None:
    data, frame = WHOLE[name]
    reader = FrameReader()
    assert [reader.feed(data[i : i + 1]) for i in range(len(data))] == [[]] * (len(data) - 1) + [[frame]]


BROKEN = {
    "another protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "garbage": b"\x00\x01garbage",
    "a client's command": b"SEND\n\n\0",
    "a longer command": b"RECEIPTS\n\n\0",
    "a command in small letters": b"receipt\n\n\0",
    "no colon": b"RECEIPT\nnonsense\n\n\0",
    "no name": b"RECEIPT\n:a\n\n\0",
    "lone carriage return": b"RECEIPT\na:b\rc\n\n\0",
    "NUL in a header": b"RECEIPT\na:\0\n\n\0",
    "unknown escape": b"RECEIPT\na:\\t\n\n\0",
    "escape cut short": b"RECEIPT\na:\\\n\n\0",
    "length that is no number": b"RECEIPT\ncontent-length:x\n\n\0",
    "length beyond all reason": b"RECEIPT\ncontent-length:%d\n\n\0" % (MAX_BODY_BYTES + 1),
    "body longer than its length": b"MESSAGE\ncontent-length:1\n\nab\0",
    "endless head": b"RECEIPT\na:" + b"x" * MAX_HEAD_BYTES,
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_the_grammar_is_malformed(name: str) -> None:
    with pytest.raises(MalformedError):
        FrameReader().feed(BROKEN[name])


@pytest.mark.parametrize("name", BROKEN)
def test_it_is_malformed_in_small_pieces_as_well(name: str) -> None:
    reader, data = FrameReader(), BROKEN[name]
    with pytest.raises(MalformedError):
        [reader.feed(data[i : i + 7]) for i in range(0, len(data), 7)]


def test_a_body_without_end_is_malformed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stomp_frames, "MAX_BODY_BYTES", 100)
    with pytest.raises(MalformedError):
        FrameReader().feed(b"ERROR\n\n" + b"x" * 101)


@pytest.mark.parametrize("data", [b"HT", b"GET", b"\x16\x03", b"RECEIPTED", b"receipt"])
def test_what_can_never_become_a_frame_is_told_before_it_ends(data: bytes) -> None:
    with pytest.raises(MalformedError):
        FrameReader().feed(data)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_read_or_refused_but_never_crash(data: bytes) -> None:
    with suppress(MalformedError):
        FrameReader().feed(b"ERROR\n" + data)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=50))
def test_what_is_escaped_comes_back_as_it_was(text: str) -> None:
    data = b"RECEIPT\n" + escaped(text) + b":" + escaped(text) + b"\n\n\0"
    (frame,) = FrameReader().feed(data)
    assert frame.headers == {text.encode(): text.encode()}
