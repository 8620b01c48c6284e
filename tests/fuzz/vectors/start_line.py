"""Vectors: the request line and its target."""

from __future__ import annotations

from tests.fuzz.vectors.kinds import GET, GOOD, HOST, SMUGGLED, forwarded, grouped, refused

_H = HOST + b"\r\n"


def _line(line: bytes) -> bytes:
    return line + b"\r\n" + _H


START_LINE = grouped(
    "request line",
    refused("TLS hello", "RFC 9112 3", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    refused("HTTP/2 preface", "RFC 9113 3.4", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, 505),
    refused("preface as HTTP/1.1", "RFC 9113 3.4", _line(b"PRI * HTTP/1.1")),
    refused("HTTP/0.9", "RFC 9112 3", b"GET /\r\n\r\n"),
    refused("HTTP/0.9 with a smuggled request", "RFC 9112 3", b"GET /\r\n\r\n" + SMUGGLED),
    refused("HTTP/0.9 named", "RFC 9110 2.5", _line(b"GET /v HTTP/0.9"), 400, 505),
    refused("HTTP/1.2", "RFC 9110 2.5", _line(b"GET /v HTTP/1.2"), 400, 505),
    refused("HTTP/2.0", "RFC 9110 15.6.6", _line(b"GET /v HTTP/2.0"), 400, 505),
    refused("HTTP/3", "RFC 9112 2.3", _line(b"GET /v HTTP/3")),
    refused("HTTP/1.10", "RFC 9112 2.3", _line(b"GET /v HTTP/1.10"), 400, 505),
    refused("HTTP/1.", "RFC 9112 2.3", _line(b"GET /v HTTP/1.")),
    refused("HTTP/11", "RFC 9112 2.3", _line(b"GET /v HTTP/11")),
    refused("HTTP/01.1", "RFC 9112 2.3", _line(b"GET /v HTTP/01.1")),
    refused("http/1.1", "RFC 9112 2.3", _line(b"GET /v http/1.1")),
    refused("HTTPS/1.1", "RFC 9112 2.3", _line(b"GET /v HTTPS/1.1")),
    refused("HTTP 1.1", "RFC 9112 2.3", _line(b"GET /v HTTP 1.1")),
    refused("HTTP/1,1", "RFC 9112 2.3", _line(b"GET /v HTTP/1,1")),
    refused("two spaces before target", "RFC 9112 3", _line(b"GET  /v HTTP/1.1")),
    refused("two spaces before version", "RFC 9112 3", _line(b"GET /v  HTTP/1.1")),
    refused("tab before target", "RFC 9112 3", _line(b"GET\t/v HTTP/1.1")),
    refused("tab before version", "RFC 9112 3", _line(b"GET /v\tHTTP/1.1")),
    refused("vertical tab before version", "RFC 9112 3", _line(b"GET /v\x0bHTTP/1.1")),
    refused("space in front", "RFC 9112 3", _line(b" GET /v HTTP/1.1")),
    refused("space behind the version", "RFC 9112 3", _line(b"GET /v HTTP/1.1 ")),
    refused("word behind the version", "RFC 9112 3", _line(b"GET /v HTTP/1.1 x")),
    refused("space in the target", "RFC 9112 3.2", _line(b"GET /v w HTTP/1.1")),
    refused("method with a brace", "RFC 9110 9.1", _line(b"G{T /v HTTP/1.1")),
    refused("method with a colon", "RFC 9110 9.1", _line(b"GET: /v HTTP/1.1")),
    refused("method with a high byte", "RFC 9110 9.1", _line(b"G\xcbT /v HTTP/1.1")),
    refused("method with NUL", "RFC 9110 9.1", _line(b"G\x00T /v HTTP/1.1")),
    refused("no method", "RFC 9112 3", _line(b"/v HTTP/1.1")),
    refused("only a line end between", "RFC 9112 3", b"GET /v\r\n HTTP/1.1\r\n" + _H),
    refused("method of 100 bytes", "limit of lbapp", _line(b"M" * 100 + b" /v HTTP/1.1"), 400, 501),
    refused("bare LF behind the line", "RFC 9112 2.2", b"GET /v HTTP/1.1\n" + _H),
    refused("bare CR behind the line", "RFC 9112 2.2", b"GET /v HTTP/1.1\r" + _H),
    refused("CR CR LF behind the line", "RFC 9112 2.2", b"GET /v HTTP/1.1\r\r\n" + _H),
    refused("bare CR in the target", "RFC 9112 2.2", b"GET /v\rX: y HTTP/1.1\r\n" + _H),
    refused("bare LF only", "RFC 9112 2.2", b"GET /v HTTP/1.1\nHost: h.test\n\n"),
    refused("bare LF before the request", "RFC 9112 2.2", b"\n" + GET + b"\r\n"),
    refused("bare CR before the request", "RFC 9112 2.2", b"\r" + GET + b"\r\n"),
    refused("many empty lines in front", "limit of lbapp", b"\r\n" * 40 + GET + b"\r\n"),
    refused("byte order mark", "RFC 9112 3", b"\xef\xbb\xbf" + GET + b"\r\n"),
    forwarded("one empty line in front", "RFC 9112 2.2", b"\r\n" + GET + b"\r\n", b"GET /v HTTP/1.1\r\n"),
    forwarded("unknown method", "RFC 9110 9.1", _line(b"PURGE /v HTTP/1.1"), b"PURGE /v HTTP/1.1\r\n"),
    forwarded("method in lower case", "RFC 9110 9.1", _line(b"get /v HTTP/1.1"), b"get /v HTTP/1.1\r\n"),
    forwarded("method of token marks", "RFC 9110 9.1", _line(b"M-SEARCH /v HTTP/1.1"), b"M-SEARCH /v HTTP/1.1"),
)

TARGET = grouped(
    "target",
    refused("fragment", "RFC 9112 3.2", _line(b"GET /v#f HTTP/1.1")),
    refused("* for GET", "RFC 9112 3.2.4", _line(b"GET * HTTP/1.1")),
    refused("** for OPTIONS", "RFC 9112 3.2.4", _line(b"OPTIONS ** HTTP/1.1")),
    refused("no slash", "RFC 9112 3.2.1", _line(b"GET v HTTP/1.1")),
    refused("authority-form for GET", "RFC 9112 3.2.3", _line(b"GET h.test:80 HTTP/1.1")),
    refused("scheme ftp", "RFC 9112 3.2.2", _line(b"GET ftp://h.test/v HTTP/1.1")),
    refused("scheme javascript", "RFC 9112 3.2.2", _line(b"GET javascript:1 HTTP/1.1")),
    refused("user in the URI", "RFC 9110 4.2.4", _line(b"GET http://u@h.test/v HTTP/1.1")),
    refused("URI without host", "RFC 9110 4.2.1", _line(b"GET http:///v HTTP/1.1")),
    refused("URI with a bad port", "RFC 3986 3.2.3", _line(b"GET http://h.test:80x/v HTTP/1.1")),
    refused("URI with a backslash in the host", "RFC 3986 3.2.2", _line(b"GET http://h.test\\evil/v HTTP/1.1")),
    refused("URI with a fragment", "RFC 9112 3.2", _line(b"GET http://h.test/v#f HTTP/1.1")),
    refused("URI with a broken IPv6 address", "RFC 3986 3.2.2", _line(b"GET http://[::1::]/v HTTP/1.1")),
    refused("control in the target", "RFC 9112 3.2", _line(b"GET /v\x01 HTTP/1.1")),
    refused("NUL in the target", "RFC 9112 3.2", _line(b"GET /v\x00 HTTP/1.1")),
    refused("DEL in the target", "RFC 9112 3.2", _line(b"GET /v\x7f HTTP/1.1")),
    refused("high bytes in the target", "RFC 9112 3.2", _line(b"GET /v\xc3\xa4 HTTP/1.1")),
    refused("CONNECT", "RFC 9110 9.3.6", b"CONNECT h.test:443 HTTP/1.1\r\nHost: h.test:443\r\n\r\n", 400, 405, 501),
    refused("CONNECT with a path", "RFC 9110 9.3.6", _line(b"CONNECT /v HTTP/1.1"), 400, 405, 501),
    refused("target of 70,000 bytes", "RFC 9112 3", _line(b"GET /" + b"a" * 70_000 + b" HTTP/1.1"), 414, 431, 400),
    forwarded("OPTIONS *", "RFC 9112 3.2.4", _line(b"OPTIONS * HTTP/1.1"), b"OPTIONS * HTTP/1.1\r\n"),
    forwarded("absolute-form", "RFC 9112 3.2.2", _line(b"GET http://h.test/v?q HTTP/1.1"), b"GET /v?q HTTP/1.1\r\n"),
    forwarded(
        "absolute-form against Host",
        "RFC 9112 3.2.2",
        b"GET http://right.test/v HTTP/1.1\r\nHost: wrong.test\r\n\r\n",
        b"GET /v HTTP/1.1\r\nHost: right.test\r\n",
        must_not=(b"wrong.test",),
    ),
    forwarded("absolute-form without path", "RFC 9112 3.2.4", _line(b"GET http://h.test HTTP/1.1"), b"GET / HTTP/1.1"),
    forwarded(
        "absolute-form, query only", "RFC 9112 3.2.1", _line(b"GET http://h.test?q HTTP/1.1"), b"GET /?q HTTP/1.1"
    ),
    forwarded("dots in the path", "RFC 9112 3.2.1", _line(b"GET /a/../v HTTP/1.1"), b"GET /a/../v HTTP/1.1"),
    forwarded(
        "two slashes",
        "RFC 9112 3.2.1",
        _line(b"GET //other.test/v HTTP/1.1"),
        b"GET //other.test/v HTTP/1.1\r\nHost: h.test",
    ),
    forwarded(
        "percent and CRLF in code",
        "RFC 9112 3.2.1",
        _line(b"GET /v%0d%0aX:%20y HTTP/1.1"),
        b"GET /v%0d%0aX:%20y HTTP/1.1",
    ),
    forwarded(
        "two requests in one go",
        "RFC 9112 9.3.2",
        (GET + b"\r\n") * 2,
        statuses=(frozenset({200}),) * 2,
        seen=2,
        answer=(GOOD,),
    ),
)
