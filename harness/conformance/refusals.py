"""Requests that must be refused, by what is wrong with each: the tables that the checks go through."""

from harness.conformance.messages import CHUNKED_HEAD, HOST

MALFORMED = {
    "no request": b"hello\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00",
    "an empty target": b"GET  HTTP/1.1\r\nHost: t\r\n\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\nHost: t\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "a method that is no token": b"G(T / HTTP/1.1\r\nHost: t\r\n\r\n",
    "a line that ends in LF": b"GET / HTTP/1.1\nHost: t\n\n",
    "a field that ends in LF": b"GET / HTTP/1.1\r\nHost: t\nA: b\r\n\r\n",
    "a bare CR": b"GET / HTTP/1.1\r\nHost: t\rA: b\r\n\r\n",
    "a NUL": b"GET / HTTP/1.1\r\nHost: t\r\nA: \0\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: t\r\nhost: t\r\n\r\n",
    "a Host that is none": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "white space before the colon": b"GET / HTTP/1.1\r\nHost : t\r\n\r\n",
    "a folded line": b"GET / HTTP/1.1\r\nHost: t\r\nA: b\r\n c\r\n\r\n",
    "a line without a colon": b"GET / HTTP/1.1\r\nHost: t\r\nA\r\n\r\n",
    "a field without a name": b"GET / HTTP/1.1\r\nHost: t\r\n: b\r\n\r\n",
    "a length and a coding": b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
    "a list of lengths": b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3, 3\r\n\r\n",
    "a signed length": b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: +3\r\n\r\n",
    "a negative length": b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: -3\r\n\r\n",
    "a hexadecimal length": b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 0x3\r\n\r\n",
    "an empty length": b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length:\r\n\r\n",
    "an empty coding": b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding:\r\n\r\n",
    "chunked twice": b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
    "chunked not last": b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n",
    "a coding in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
}
BROKEN_CHUNKS = {
    "no size": b"\r\n",
    "a size that is no number": b"g\r\n",
    "a size with a prefix": b"0x5\r\nhello\r\n",
    "a size with an underscore": b"1_0\r\n0123456789abcdef\r\n",
    "a signed size": b"+5\r\nhello\r\n",
    "a size with a space": b"5 \r\nhello\r\n",
    "a size line that ends in LF": b"5\nhello",
    "a size line without end": b"5;" + b"a" * 2_000,
    "more data than its size": b"5\r\nhello!",
    "data that ends in LF": b"5\r\nhello\n0\r\n\r\n",
    "a size of 17 digits": b"00000000000000005\r\nhello\r\n",
    "a trailer without a colon": b"0\r\nA\r\n\r\n",
    "a folded trailer": b"0\r\nA: b\r\n c\r\n\r\n",
}
TOO_LARGE = {
    "a length just above the limit": b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 67108865\r\n\r\n",
    "a length of 5,000 digits": b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n",
    "a chunk just above the limit": CHUNKED_HEAD + b"4000001\r\n",
    "a chunk of 16 hexadecimal digits": CHUNKED_HEAD + b"ffffffffffffffff\r\n",
}
LARGE_HEADS = {
    "a field of 64 KiB": b"GET / HTTP/1.1\r\nHost: t\r\nA: " + b"a" * (64 << 10) + b"\r\n\r\n",
    "a target without end": b"GET /" + b"a" * (65 << 10),
    "trailers of 9 KiB": CHUNKED_HEAD + b"0\r\nA: " + b"a" * (9 << 10),
}
NOT_UNDERSTOOD = {
    "a coding beside chunked": (b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "a coding that is none": (b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: identity\r\n\r\n", 501),
    "another major version": (b"GET / HTTP/2.0\r\nHost: t\r\n\r\n", 505),
}
_FULL_HEAD_START = b"GET / HTTP/1.1\r\n" + HOST + b"A: "
FULL_HEAD = _FULL_HEAD_START + b"a" * ((64 << 10) - len(_FULL_HEAD_START) - 4) + b"\r\n\r\n"
