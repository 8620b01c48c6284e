"""Heads that must be refused: what is wrong, the head, the status it earns (of a request), the rule behind it."""

from __future__ import annotations

from typing import Final

_H: Final = b"Host: example.com\r\n"

BAD_REQUESTS: Final[list[tuple[str, bytes, int, str]]] = [
    # The request line.
    ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "RFC 9112 3"),
    ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "RFC 9113 3.4"),
    ("HTTP/2.0", b"GET / HTTP/2.0\r\n" + _H + b"\r\n", 505, "RFC 9110 15.6.6"),
    ("HTTP/1.2", b"GET / HTTP/1.2\r\n" + _H + b"\r\n", 505, "RFC 9110 2.5"),
    ("HTTP/0.9", b"GET /\r\n\r\n", 400, "RFC 9112 3"),
    ("a version in lower case", b"GET / http/1.1\r\n" + _H + b"\r\n", 400, "RFC 9112 2.3"),
    ("a version of two digits", b"GET / HTTP/1.10\r\n" + _H + b"\r\n", 400, "RFC 9112 2.3"),
    ("two spaces", b"GET  / HTTP/1.1\r\n" + _H + b"\r\n", 400, "RFC 9112 3"),
    ("a tab for a space", b"GET\t/ HTTP/1.1\r\n" + _H + b"\r\n", 400, "RFC 9112 3"),
    ("a space in front", b" GET / HTTP/1.1\r\n" + _H + b"\r\n", 400, "RFC 9112 3"),
    ("a space behind", b"GET / HTTP/1.1 \r\n" + _H + b"\r\n", 400, "RFC 9112 3"),
    ("a space in the target", b"GET /a b HTTP/1.1\r\n" + _H + b"\r\n", 400, "RFC 9112 3.2"),
    ("a method that is no token", b"G{T / HTTP/1.1\r\n" + _H + b"\r\n", 400, "RFC 9110 9.1"),
    ("a method without end", b"A" * 65, 400, "RFC 9112 3"),
    ("three empty lines in front", b"\r\n\r\n\r\nGET / HTTP/1.1\r\n" + _H + b"\r\n", 400, "RFC 9112 2.2"),
    # The target.
    ("a fragment", b"GET /a#b HTTP/1.1\r\n" + _H + b"\r\n", 400, "RFC 9112 3.2"),
    ("* for GET", b"GET * HTTP/1.1\r\n" + _H + b"\r\n", 400, "RFC 9112 3.2.4"),
    ("a path without slash", b"GET index.html HTTP/1.1\r\n" + _H + b"\r\n", 400, "RFC 9112 3.2.1"),
    ("an authority for GET", b"GET example.com:80 HTTP/1.1\r\n" + _H + b"\r\n", 400, "RFC 9112 3.2.3"),
    ("another scheme", b"GET ftp://example.com/ HTTP/1.1\r\n" + _H + b"\r\n", 400, "RFC 9112 3.2.2"),
    ("a user in the URI", b"GET http://u@example.com/ HTTP/1.1\r\n" + _H + b"\r\n", 400, "RFC 9110 4.2.4"),
    ("a URI without host", b"GET http:///a HTTP/1.1\r\n" + _H + b"\r\n", 400, "RFC 9110 4.2.1"),
    ("a control in the target", b"GET /\x01 HTTP/1.1\r\n" + _H + b"\r\n", 400, "RFC 9112 3.2"),
    ("a high byte in the target", b"GET /\xc3\xa4 HTTP/1.1\r\n" + _H + b"\r\n", 400, "RFC 9112 3.2"),
    ("CONNECT", b"CONNECT example.com:443 HTTP/1.1\r\n" + _H + b"\r\n", 405, "RFC 9110 9.3.6"),
    ("CONNECT with a path", b"CONNECT / HTTP/1.1\r\n" + _H + b"\r\n", 405, "RFC 9110 9.3.6"),
    # Host.
    ("no Host", b"GET / HTTP/1.1\r\nAccept: */*\r\n\r\n", 400, "RFC 9112 3.2"),
    ("two Hosts", b"GET / HTTP/1.1\r\n" + _H + _H + b"\r\n", 400, "RFC 9112 3.2"),
    ("two Hosts in HTTP/1.0", b"GET / HTTP/1.0\r\n" + _H + _H + b"\r\n", 400, "RFC 9112 3.2"),
    ("two Hosts, apart", b"GET / HTTP/1.1\r\n" + _H + b"Te: x\r\n" + _H + b"\r\n", 400, "RFC 9112 3.2"),
    ("a space in Host", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "RFC 9110 7.2"),
    ("a path in Host", b"GET / HTTP/1.1\r\nHost: h/evil\r\n\r\n", 400, "RFC 9110 7.2"),
    ("a user in Host", b"GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", 400, "RFC 9110 7.2"),
    ("two hosts in one Host", b"GET / HTTP/1.1\r\nHost: h, evil\r\n\r\n", 400, "RFC 9110 7.2"),
    ("a port with letters", b"GET / HTTP/1.1\r\nHost: h:80x\r\n\r\n", 400, "RFC 9110 7.2"),
    ("a port too high", b"GET / HTTP/1.1\r\nHost: h:65536\r\n\r\n", 400, "RFC 9110 7.2"),
    ("a broken IPv6 address", b"GET / HTTP/1.1\r\nHost: [::1::]\r\n\r\n", 400, "RFC 3986 3.2.2"),
    # Lines and fields.
    ("bare LF", b"GET / HTTP/1.1\nHost: h\n\n", 400, "RFC 9112 2.2"),
    ("bare LF behind a field", b"GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", 400, "RFC 9112 2.2"),
    ("bare CR in a value", b"GET / HTTP/1.1\r\n" + _H + b"X: a\rb\r\n\r\n", 400, "RFC 9112 2.2"),
    ("bare CR and bare LF", b"GET / HTTP/1.1\r\n" + _H + b"X: a\rb\nc\r\n\r\n", 400, "RFC 9112 2.2"),
    ("NUL in a value", b"GET / HTTP/1.1\r\n" + _H + b"X: a\x00b\r\n\r\n", 400, "RFC 9110 5.5"),
    ("ESC in a value", b"GET / HTTP/1.1\r\n" + _H + b"X: \x1b[2J\r\n\r\n", 400, "RFC 9110 5.5"),
    ("a folded value", b"GET / HTTP/1.1\r\n" + _H + b"X: a\r\n b\r\n\r\n", 400, "RFC 9112 5.2"),
    ("white space before the first field", b"GET / HTTP/1.1\r\n " + _H + b"\r\n", 400, "RFC 9112 2.2"),
    ("a space before the colon", b"GET / HTTP/1.1\r\n" + _H + b"X : a\r\n\r\n", 400, "RFC 9112 5.1"),
    ("a field without colon", b"GET / HTTP/1.1\r\n" + _H + b"X\r\n\r\n", 400, "RFC 9112 5"),
    ("a field without name", b"GET / HTTP/1.1\r\n" + _H + b": a\r\n\r\n", 400, "RFC 9110 5.1"),
    ("a high byte in a name", b"GET / HTTP/1.1\r\n" + _H + b"X\xe4: a\r\n\r\n", 400, "RFC 9110 5.1"),
    # Framing.
    *(
        (
            f"Content-Length {value!r}",
            b"POST / HTTP/1.1\r\n%bContent-Length: %b\r\n\r\n" % (_H, value),
            400,
            "RFC 9112 6.3",
        )
        for value in (b"", b"+5", b"-5", b"0x5", b"5_0", b"5 5", b"5,6", b"5, 5", b"5;", b"5.0", b"\xb2", b"9" * 19)
    ),
    *(
        (
            f"Transfer-Encoding {value!r}",
            b"POST / HTTP/1.1\r\n%bTransfer-Encoding: %b\r\n\r\n" % (_H, value),
            status,
            rule,
        )
        for value, status, rule in (
            (b"gzip", 501, "RFC 9112 6.1"),
            (b"gzip, chunked", 501, "RFC 9112 6.1"),
            (b"xchunked", 501, "RFC 9112 6.1"),
            (b"chunked;q=1", 501, "RFC 9112 6.1"),
            (b'"chunked"', 501, "RFC 9112 6.1"),
            (b"chunked, gzip", 400, "RFC 9112 6.3"),
            (b"chunked, chunked", 400, "RFC 9112 7.1"),
            (b"chunked,", 400, "RFC 9112 6.1"),
            (b"", 400, "RFC 9112 6.1"),
        )
    ),
    (
        "two equal lengths",
        b"POST / HTTP/1.1\r\n" + _H + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
        400,
        "RFC 9112 6.3",
    ),
    (
        "two codings",
        b"POST / HTTP/1.1\r\n" + _H + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
        "RFC 9112 7.1",
    ),
    (
        "length, then coding",
        b"POST / HTTP/1.1\r\n" + _H + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
        "RFC 9112 6.1",
    ),
    (
        "coding, then length",
        b"POST / HTTP/1.1\r\n" + _H + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        400,
        "RFC 9112 6.1",
    ),
    (
        "a coding with a space before the colon",
        b"POST / HTTP/1.1\r\n" + _H + b"Transfer-Encoding : chunked\r\n\r\n",
        400,
        "RFC 9112 5.1",
    ),
    (
        "a coding in HTTP/1.0",
        b"POST / HTTP/1.0\r\n" + _H + b"Transfer-Encoding: chunked\r\n\r\n",
        400,
        "RFC 9112 6.1",
    ),
    # Connection, Expect, Upgrade.
    *(
        (
            f"Connection {name!r}",
            b"GET / HTTP/1.1\r\n%bConnection: close, %b\r\n\r\n" % (_H, name),
            400,
            "RFC 9110 7.6.1",
        )
        for name in (b"Host", b"content-length", b"Transfer-Encoding", b"Cookie", b"Authorization")
    ),
    ("an expectation", b"POST / HTTP/1.1\r\n" + _H + b"Expect: 200-ok\r\n\r\n", 417, "RFC 9110 10.1.1"),
    (
        "an upgrade that is no list",
        b"GET / HTTP/1.1\r\n" + _H + b'Connection: upgrade\r\nUpgrade: "a"\r\n\r\n',
        400,
        "RFC 9110 7.8",
    ),
]

BAD_RESPONSES: Final[list[tuple[str, bytes, str]]] = [
    ("no status line", b"<html>\r\n\r\n", "RFC 9112 4"),
    ("a short line that is none", b"SSH-2.0", "RFC 9112 4"),
    ("two spaces", b"HTTP/1.1  200 OK\r\n\r\n", "RFC 9112 4"),
    ("a status of two digits", b"HTTP/1.1 20 OK\r\n\r\n", "RFC 9110 15"),
    ("a status of four digits", b"HTTP/1.1 2000 OK\r\n\r\n", "RFC 9110 15"),
    ("status 099", b"HTTP/1.1 099 OK\r\n\r\n", "RFC 9110 15"),
    ("status 600", b"HTTP/1.1 600 OK\r\n\r\n", "RFC 9110 15"),
    ("HTTP/2.0", b"HTTP/2.0 200 OK\r\n\r\n", "RFC 9112 2.3"),
    ("lower case", b"http/1.1 200 OK\r\n\r\n", "RFC 9112 2.3"),
    ("bare LF", b"HTTP/1.1 200 OK\nX: y\n\n", "RFC 9112 2.2"),
    ("bare CR in the reason", b"HTTP/1.1 200 O\rK\r\n\r\n", "RFC 9112 2.2"),
    ("ESC in the reason", b"HTTP/1.1 200 \x1b[2J\r\n\r\n", "RFC 9112 4"),
    ("NUL in a value", b"HTTP/1.1 200 OK\r\nX: a\x00\r\n\r\n", "RFC 9110 5.5"),
    ("a folded value", b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", "RFC 9112 5.2"),
    ("a space before the colon", b"HTTP/1.1 200 OK\r\nX : a\r\n\r\n", "RFC 9112 5.1"),
    (
        "length and coding",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "RFC 9112 6.1",
    ),
    (
        "coding and length",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        "RFC 9112 6.1",
    ),
    ("a length of 2^64+5", b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551621\r\n\r\n", "RFC 9110 8.6"),
    ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "RFC 9112 6.3"),
    ("a signed length", b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", "RFC 9112 6.3"),
    ("another coding", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "RFC 9112 6.1"),
    ("a coding in HTTP/1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "RFC 9112 6.1"),
    ("a coding in 204", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", "RFC 9112 6.1"),
    ("a coding in 103", b"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n", "RFC 9112 6.1"),
    ("a nominated length", b"HTTP/1.1 200 OK\r\nConnection: Content-Length\r\n\r\n", "RFC 9110 7.6.1"),
]
