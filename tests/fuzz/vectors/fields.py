"""Vectors: Host, field lines, hop-by-hop nominations, limits."""

from __future__ import annotations

from tests.fuzz.vectors.kinds import GET, HOST, POST, SMUGGLED, forwarded, grouped, refused


def _host(value: bytes) -> bytes:
    return b"GET /v HTTP/1.1\r\nHost: " + value + b"\r\n\r\n"


def _line(line: bytes) -> bytes:
    return GET + line + b"\r\n\r\n"


HOSTS = grouped(
    "Host",
    refused("no Host", "RFC 9112 3.2", b"GET /v HTTP/1.1\r\n\r\n"),
    refused("two equal Hosts", "RFC 9112 3.2", GET + HOST + b"\r\n"),
    refused("two Hosts", "RFC 9112 3.2", GET + b"Host: evil.test\r\n\r\n"),
    refused("two Hosts, one in capitals", "RFC 9112 3.2", GET + b"X: y\r\nHOST: evil.test\r\n\r\n"),
    refused("two Hosts in HTTP/1.0", "RFC 9112 3.2", b"GET /v HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
    refused("Host with a space before the colon", "RFC 9112 5.1", b"GET /v HTTP/1.1\r\nHost : h.test\r\n\r\n"),
    *(
        refused(f"Host {value!r}", "RFC 9110 7.2", _host(value))
        for value in (
            b"a b",
            b"h/evil",
            b"u@h",
            b"a, b",
            b"a,b",
            b"h:80x",
            b"h:65536",
            b"h:-1",
            b"h:80:80",
            b"[::1",
            b"[::1::]",
            b"[::1]x",
            b"::1",
            b"h?q",
            b"h#f",
            b"h\\evil",
            b"h\x00",
            b"h\xe4",
            b"<h>",
            b"http://h/",
            b":80",
        )
    ),
    forwarded("Host with a port", "RFC 9110 7.2", _host(b"h.test:8080"), b"Host: h.test:8080\r\n"),
    forwarded("Host as IPv6 address", "RFC 3986 3.2.2", _host(b"[::1]:80"), b"Host: [::1]:80\r\n"),
    forwarded("Host with an underscore", "RFC 3986 3.2.2", _host(b"a_b.test"), b"Host: a_b.test\r\n"),
    forwarded(
        "no Host in HTTP/1.0", "RFC 9112 3.2", b"GET /v HTTP/1.0\r\n\r\n", b"GET /v HTTP/1.1\r\nHost: ", closes=True
    ),
)

FIELDS = grouped(
    "field lines",
    refused("bare LF behind a field", "RFC 9112 2.2", GET + b"X: y\nZ: w\r\n\r\n"),
    refused("bare LF before the empty line", "RFC 9112 2.2", GET + b"X: y\n\r\n" + SMUGGLED),
    refused("bare LF as empty line", "RFC 9112 2.2", GET + b"X: y\r\n\n" + SMUGGLED),
    refused("bare CR in a value", "RFC 9112 2.2", _line(b"X: a\rb")),
    refused("bare CR as line end", "RFC 9112 2.2", GET + b"X: a\rY: b\r\n\r\n"),
    refused("CR CR LF as line end", "RFC 9112 2.2", GET + b"X: a\r\r\n\r\n"),
    refused("bare CR twice as end of the head", "RFC 9112 2.2", GET + b"X: a\r\r" + SMUGGLED),
    refused("CR in a name", "RFC 9110 5.1", _line(b"X\rY: a")),
    refused("NUL in a value", "RFC 9110 5.5", _line(b"X: a\x00b")),
    refused("NUL in a name", "RFC 9110 5.1", _line(b"X\x00: a")),
    refused("ESC in a value", "RFC 9110 5.5", _line(b"X: a\x1b[2Jb")),
    refused("DEL in a value", "RFC 9110 5.5", _line(b"X: a\x7fb")),
    refused("form feed in a value", "RFC 9110 5.5", _line(b"X: a\x0cb")),
    refused("folded with a space", "RFC 9112 5.2", _line(b"X: a\r\n b")),
    refused("folded with a tab", "RFC 9112 5.2", _line(b"X: a\r\n\tb")),
    refused("folded to nothing", "RFC 9112 5.2", _line(b"X: a\r\n ")),
    refused("folded framing", "RFC 9112 5.2", POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
    refused("space before the first field", "RFC 9112 2.2", b"GET /v HTTP/1.1\r\n Host: h.test\r\n\r\n"),
    refused("space before the colon", "RFC 9112 5.1", _line(b"X : a")),
    refused("tab before the colon", "RFC 9112 5.1", _line(b"X\t: a")),
    refused("space in a name", "RFC 9110 5.1", _line(b"X Y: a")),
    refused("space before a name", "RFC 9112 5.2", _line(b" X: a")),
    refused("no colon", "RFC 9112 5", _line(b"X")),
    refused("no name", "RFC 9110 5.1", _line(b": a")),
    refused("high byte in a name", "RFC 9110 5.1", _line(b"X\xe4: a")),
    *(
        refused(f"{mark!r} in a name", "RFC 9110 5.6.2", _line(b"X%bY: a" % mark))
        for mark in (b"(", b"/", b"@", b"[", b'"', b"=")
    ),
    refused("value of 100,000 bytes", "limit of lbapp", _line(b"X: " + b"a" * 100_000), 431, 400),
    refused("name of 100,000 bytes", "limit of lbapp", _line(b"X" * 100_000 + b": a"), 431, 400),
    refused("300 fields", "limit of lbapp", GET + b"X: y\r\n" * 300 + b"\r\n", 431, 400),
    refused("unknown expectation", "RFC 9110 10.1.1", _line(b"Expect: tea"), 417, 400),
    forwarded("empty value", "RFC 9110 5.5", _line(b"X-Mine:"), b"X-Mine:"),
    forwarded("tab in a value", "RFC 9110 5.5", _line(b"X-Mine: a\tb"), b"X-Mine: a\tb\r\n"),
    forwarded("high bytes in a value", "RFC 9110 5.5", _line(b"X-Mine: \xc3\xa4"), b"X-Mine: \xc3\xa4\r\n"),
    forwarded("white space around a value", "RFC 9112 5.1", _line(b"X-Mine: \t a \t"), b"X-Mine:"),
    forwarded("field twice", "RFC 9110 5.3", _line(b"X-Mine: a\r\nX-Mine: b"), b"X-Mine: a\r\n", b"X-Mine: b\r\n"),
    forwarded(
        "claimed addresses",
        "X-Forwarded-For",
        _line(b"X-Forwarded-For: 6.6.6.6"),
        b"X-Forwarded-For: 127.0.0.1\r\n",
        must_not=(b"6.6.6.6",),
    ),
    forwarded("claimed scheme", "X-Forwarded-Proto", _line(b"x-forwarded-proto: gopher"), must_not=(b"gopher",)),
)

CONNECTION = grouped(
    "hop-by-hop",
    *(
        refused(f"Connection names {name.decode()}", "RFC 9110 7.6.1", _line(b"Connection: close, " + name))
        for name in (b"Host", b"Content-Length", b"Transfer-Encoding", b"Authorization", b"Cookie", b"Content-Type")
    ),
    refused(
        "Connection names Cache-Control",
        "RFC 9110 7.6.1",
        _line(b"Cache-Control: no-store\r\nConnection: cache-control"),
    ),
    forwarded(
        "Connection names X-Forwarded-For",
        "RFC 9110 7.6.1",
        _line(b"Connection: X-Forwarded-For"),
        b"X-Forwarded-For: 127.0.0.1\r\n",
        must_not=(b"Connection",),
    ),
    forwarded(
        "nominated field",
        "RFC 9110 7.6.1",
        _line(b"Connection: X-Hop\r\nX-Hop: secret\r\nX-Mine: a"),
        b"X-Mine: a",
        must_not=(b"X-Hop", b"secret"),
    ),
    forwarded(
        "nominated in capitals", "RFC 9110 7.6.1", _line(b"Connection: X-HOP\r\nx-hop: secret"), must_not=(b"secret",)
    ),
    forwarded(
        "nominated in a second Connection",
        "RFC 9110 7.6.1",
        _line(b"Connection: keep-alive\r\nX-Hop: secret\r\nConnection: x-hop"),
        must_not=(b"secret",),
    ),
    forwarded(
        "nominated before a comma",
        "RFC 9110 5.6.1",
        _line(b"Connection: ,x-hop,,\r\nX-Hop: secret"),
        must_not=(b"secret",),
    ),
    forwarded("TE", "RFC 9110 10.1.4", _line(b"TE: trailers\r\nConnection: TE"), must_not=(b"TE:", b"trailers")),
    forwarded("TE without nomination", "RFC 9110 10.1.4", _line(b"TE: gzip"), must_not=(b"TE:",)),
    forwarded("Keep-Alive", "RFC 9112 C.2.2", _line(b"Keep-Alive: timeout=9"), must_not=(b"Keep-Alive",)),
    forwarded(
        "Proxy-Connection", "RFC 9110 7.6.1", _line(b"Proxy-Connection: keep-alive"), must_not=(b"Proxy-Connection",)
    ),
    forwarded("Upgrade without nomination", "RFC 9110 7.8", _line(b"Upgrade: websocket"), must_not=(b"Upgrade",)),
    forwarded(
        "upgrade to h2c",
        "RFC 9113 3.1",
        _line(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__"),
        must_not=(b"h2c", b"HTTP2-Settings", b"Upgrade"),
    ),
    forwarded("Connection: close", "RFC 9112 9.6", _line(b"Connection: close"), must_not=(b"Connection",), closes=True),
    forwarded("nothing behind close", "RFC 9112 9.6", _line(b"Connection: close") + SMUGGLED, closes=True),
    forwarded(
        "garbage behind a request",
        "RFC 9112 3",
        GET + b"\r\n\x00\x01garbage\r\n\r\n",
        closes=True,
        statuses=(frozenset({200}), frozenset({400})),
    ),
    forwarded(
        "bare LF behind a request",
        "RFC 9112 2.2",
        GET + b"\r\n\n" + SMUGGLED,
        closes=True,
        statuses=(frozenset({200}), frozenset({400})),
    ),
    forwarded(
        "HTTP/1.0 ends its connection", "RFC 9112 9.3", b"GET /v HTTP/1.0\r\n" + HOST + b"\r\n" + SMUGGLED, closes=True
    ),
    forwarded(
        "HTTP/1.0 with keep-alive",
        "RFC 9112 C.2.2",
        b"GET /v HTTP/1.0\r\n" + HOST + b"Connection: keep-alive\r\n\r\n",
        must_not=(b"keep-alive",),
        reply_must=(b"Connection: keep-alive\r\n",),
    ),
    forwarded("keep-alive and close", "RFC 9112 9.3", _line(b"Connection: keep-alive, close") + SMUGGLED, closes=True),
)
