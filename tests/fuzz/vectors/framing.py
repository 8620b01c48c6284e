"""Vectors: how the body of a request is framed, and chunks."""

from __future__ import annotations

from tests.fuzz.vectors.kinds import GET, HOST, POST, SMUGGLED, forwarded, grouped, refused

_CL = b"Content-Length: "
_TE = b"Transfer-Encoding: "
_CHUNKED = POST + _TE + b"chunked\r\n\r\n"
_END = b"0\r\n\r\n"


def _length(value: bytes) -> bytes:
    return POST + _CL + value + b"\r\n\r\nhello" + SMUGGLED


def _coding(value: bytes) -> bytes:
    return POST + _TE + value + b"\r\n\r\n" + _END + SMUGGLED


def _chunks(data: bytes) -> bytes:
    return _CHUNKED + data


LENGTHS = grouped(
    "Content-Length",
    *(
        refused(f"length {value!r}", "RFC 9112 6.3", _length(value))
        for value in (
            b"",
            b"+5",
            b"-5",
            b"-0",
            b"0x5",
            b"5_0",
            b"5 5",
            b"5,6",
            b"5, 5",
            b"5,5",
            b"5;",
            b"5.0",
            b"5e0",
            b"five",
            b"\xb2",
            b"\xd9\xa5",
            b"5\x00",
            b"5\x0b",
            b'"5"',
            b"(5)",
            b"18446744073709551621",
            b"9" * 19,
            b"0" * 30 + b"5",
            b"1" * 300,
        )
    ),
    refused("two equal lengths", "RFC 9112 6.3", POST + _CL + b"5\r\n" + _CL + b"5\r\n\r\nhello"),
    refused("two lengths", "RFC 9112 6.3", POST + _CL + b"5\r\n" + _CL + b"0\r\n\r\nhello"),
    refused("two lengths, apart", "RFC 9112 6.3", POST + _CL + b"5\r\nX: y\r\ncontent-length: 6\r\n\r\nhello"),
    refused("length with a space before the colon", "RFC 9112 5.1", POST + b"Content-Length : 5\r\n\r\nhello"),
    refused("length after a folded line", "RFC 9112 5.2", POST + _CL + b"\r\n 5\r\n\r\nhello"),
    refused("length beyond the limit of bodies", "limit of lbapp", POST + _CL + b"9" * 17 + b"\r\n\r\nhello", 413),
    refused("body cut short", "RFC 9112 8", POST + _CL + b"10\r\n\r\nhello", 400, 408, ends=True, statuses=()),
    forwarded("length 0", "RFC 9112 6.3", POST + _CL + b"0\r\n\r\n", b"Content-Length: 0\r\n"),
    forwarded("length 5", "RFC 9112 6.3", POST + _CL + b"5\r\n\r\nhello", b"Content-Length: 5\r\n\r\nhello"),
    forwarded("length with zeros in front", "RFC 9110 8.6", POST + _CL + b"005\r\n\r\nhello", b"\r\n\r\nhello"),
    forwarded(
        "length with white space around",
        "RFC 9112 5.1",
        POST + b"Content-Length:\t 5 \t\r\n\r\nhello",
        b"Content-Length: 5\r\n",
    ),
    forwarded("length of a GET", "RFC 9110 9.3.1", GET + _CL + b"5\r\n\r\nhello", b"Content-Length: 5\r\n\r\nhello"),
    forwarded(
        "a request in the body",
        "RFC 9112 6.3",
        POST + _CL + b"%d\r\n\r\n" % len(SMUGGLED) + SMUGGLED,
        b"\r\n\r\nGET /smuggled HTTP/1.1\r\n",
    ),
    forwarded(
        "a request behind the body",
        "RFC 9112 6.3",
        POST + _CL + b"5\r\n\r\nhello" + GET + b"\r\n",
        seen=2,
        statuses=(frozenset({200}),) * 2,
    ),
    forwarded(
        "length of an HTTP/1.0 request",
        "RFC 9112 6.3",
        b"POST /v HTTP/1.0\r\n" + HOST + _CL + b"5\r\n\r\nhello",
        b"Content-Length: 5\r\n\r\nhello",
        closes=True,
    ),
    forwarded(
        "garbage behind the body",
        "RFC 9112 3",
        POST + _CL + b"5\r\n\r\nhello\x00\x00",
        closes=True,
        statuses=(frozenset({200}), frozenset({400})),
    ),
)

CODINGS = grouped(
    "Transfer-Encoding",
    *(
        refused(f"coding {value!r}", "RFC 9112 6.1", _coding(value), 501)
        for value in (
            b"gzip",
            b"gzip, chunked",
            b"identity",
            b"identity, chunked",
            b"xchunked",
            b"chunked;q=1",
            b'"chunked"',
            b"x chunked",
            b"chunked-x",
            b"cow",
        )
    ),
    *(
        refused(f"coding {value!r}", "RFC 9112 6.3", _coding(value), 400, 501)
        for value in (
            b"chunked, gzip",
            b"chunked, identity",
            b"chunked, chunked",
            b"chunked,",
            b",chunked",
            b"",
            b"chunked\x00",
            b"\x0bchunked",
            b"chunked\x0b",
            b"\xffchunked",
            b"chunked\xa0",
        )
    ),
    refused("length, then coding", "RFC 9112 6.1", POST + _CL + b"5\r\n" + _TE + b"chunked\r\n\r\n" + _END + SMUGGLED),
    refused("coding, then length", "RFC 9112 6.1", POST + _TE + b"chunked\r\n" + _CL + b"5\r\n\r\n" + _END + SMUGGLED),
    refused(
        "coding in capitals and length",
        "RFC 9112 6.1",
        POST + b"TRANSFER-ENCODING: CHUNKED\r\n" + _CL + b"5\r\n\r\n" + _END + SMUGGLED,
    ),
    refused("coding and length 0", "RFC 9112 6.1", POST + _CL + b"0\r\n" + _TE + b"chunked\r\n\r\n" + _END),
    refused("two codings", "RFC 9112 7.1", POST + (_TE + b"chunked\r\n") * 2 + b"\r\n" + _END),
    refused(
        "two codings, one unknown", "RFC 9112 6.1", POST + _TE + b"x\r\n" + _TE + b"chunked\r\n\r\n" + _END, 400, 501
    ),
    refused(
        "coding with a space before the colon",
        "RFC 9112 5.1",
        POST + b"Transfer-Encoding : chunked\r\n\r\n" + _END + SMUGGLED,
    ),
    refused("coding with a NUL in the name", "RFC 9110 5.1", POST + b"Transfer-Encoding\x00: chunked\r\n\r\n" + _END),
    refused(
        "coding in HTTP/1.0",
        "RFC 9112 6.1",
        b"POST /v HTTP/1.0\r\n" + HOST + _TE + b"chunked\r\n\r\n" + _END + SMUGGLED,
    ),
    refused(
        "coding in HTTP/1.0 with keep-alive",
        "RFC 9112 6.1",
        b"POST /v HTTP/1.0\r\n" + HOST + b"Connection: keep-alive\r\n" + _TE + b"chunked\r\n\r\n" + _END + SMUGGLED,
    ),
    forwarded(
        "chunked",
        "RFC 9112 7.1",
        _CHUNKED + b"5\r\nhello\r\n" + _END,
        b"Transfer-Encoding: chunked\r\n",
        b"5\r\nhello\r\n0\r\n\r\n",
    ),
    forwarded(
        "chunked in capitals",
        "RFC 9112 7",
        POST + _TE + b"CHUNKED\r\n\r\n5\r\nhello\r\n" + _END,
        b"Transfer-Encoding: chunked\r\n",
    ),
    forwarded(
        "chunked of a GET", "RFC 9110 9.3.1", GET + _TE + b"chunked\r\n\r\n5\r\nhello\r\n" + _END, b"5\r\nhello\r\n"
    ),
    forwarded(
        "Transfer_Encoding",
        "RFC 9110 5.1",
        POST + b"Transfer_Encoding: chunked\r\n" + _CL + b"5\r\n\r\n0\r\n\r\n",
        b"Content-Length: 5\r\n\r\n0\r\n\r\n",
    ),
)

CHUNKS = grouped(
    "chunks",
    *(
        refused(f"chunk size {size!r}", "RFC 9112 7.1", _chunks(size + b"\r\nhello\r\n" + _END + SMUGGLED))
        for size in (
            b"",
            b"+5",
            b"-5",
            b"0x5",
            b"5_0",
            b" 5",
            b"5 ",
            b"5\t",
            b"5 5",
            b"5,5",
            b"5.0",
            b"g",
            b"5g",
            b"\x00",
            b"5\x00",
            b"\xb2",
            b"10000000000000005",
            b"fffffffffffffffff",
            b"0" * 40 + b"5",
            b"5\r",
            b"5\x0b",
            b"'5'",
        )
    ),
    refused("bare LF behind the size", "RFC 9112 7.1", _chunks(b"5\nhello\r\n" + _END + SMUGGLED)),
    refused("bare CR behind the size", "RFC 9112 7.1", _chunks(b"5\rhello\r\n" + _END + SMUGGLED)),
    refused("bare LF behind the data", "RFC 9112 7.1", _chunks(b"5\r\nhello\n" + _END + SMUGGLED)),
    refused("bare CR behind the data", "RFC 9112 7.1", _chunks(b"5\r\nhello\r" + _END + SMUGGLED)),
    refused("nothing behind the data", "RFC 9112 7.1", _chunks(b"5\r\nhello" + _END + SMUGGLED)),
    refused("more data than the size", "RFC 9112 7.1", _chunks(b"5\r\nhello-world\r\n" + _END + SMUGGLED)),
    refused("less data than the size", "RFC 9112 7.1", _chunks(b"7\r\nhello\r\n" + _END + SMUGGLED)),
    refused("bare LF behind the last size", "RFC 9112 7.1", _chunks(b"0\n\r\n" + SMUGGLED)),
    refused("bare LF at the end", "RFC 9112 7.1", _chunks(b"0\r\n\n" + SMUGGLED)),
    refused("semicolon alone", "RFC 9112 7.1.1", _chunks(b"5;\r\nhello\r\n" + _END + SMUGGLED)),
    refused("extension without value", "RFC 9112 7.1.1", _chunks(b"5;a=\r\nhello\r\n" + _END + SMUGGLED)),
    refused("extension with an open quote", "RFC 9112 7.1.1", _chunks(b'5;a="b\r\nhello\r\n' + _END + SMUGGLED)),
    refused("bare LF in an extension", "RFC 9112 7.1.1", _chunks(b"5;a\nb\r\nhello\r\n" + _END + SMUGGLED)),
    refused("bare CR in an extension", "RFC 9112 7.1.1", _chunks(b"5;a\rb\r\nhello\r\n" + _END + SMUGGLED)),
    refused("NUL in an extension", "RFC 9112 7.1.1", _chunks(b"5;a=\x00\r\nhello\r\n" + _END + SMUGGLED)),
    refused("line end in a quoted extension", "RFC 9112 7.1.1", _chunks(b'5;a="\r\n"\r\nhello\r\n' + _END + SMUGGLED)),
    refused(
        "extension of 20,000 bytes",
        "limit of lbapp",
        _chunks(b"5;a=" + b"b" * 20_000 + b"\r\nhello\r\n" + _END),
        400,
        413,
        431,
    ),
    *(
        refused(
            f"trailer {line.decode()!r}",
            "RFC 9110 6.5.1",
            _chunks(b"5\r\nhello\r\n0\r\n" + line + b"\r\n\r\n" + SMUGGLED),
        )
        for line in (
            b"Content-Length: 50",
            b"Transfer-Encoding: chunked",
            b"Host: evil.test",
            b"Connection: close",
            b"Authorization: x",
            b"Cookie: a",
            b"X-Forwarded-For: 6.6.6.6",
            b"Content-Type: x",
            b"Expect: 100-continue",
            b"X : y",
            b": y",
            b"X",
            b" X: y",
            b"X: a\x00",
            b"X: a\rb",
            b"X: a\nb",
            b"X: a\r\n b",
        )
    ),
    refused(
        "trailers of 100,000 bytes",
        "limit of lbapp",
        _chunks(b"0\r\nX: " + b"a" * 100_000 + b"\r\n\r\n"),
        400,
        413,
        431,
    ),
    refused("chunked, cut in the data", "RFC 9112 8", _chunks(b"5\r\nhel"), ends=True, statuses=()),
    refused("chunked, cut before the last chunk", "RFC 9112 8", _chunks(b"5\r\nhello\r\n"), ends=True, statuses=()),
    refused(
        "chunked, cut before the last line end", "RFC 9112 8", _chunks(b"5\r\nhello\r\n0\r\n"), ends=True, statuses=()
    ),
    forwarded(
        "extensions are dropped",
        "RFC 9112 7.1.1",
        _chunks(b'5;a=b;c="d e";f\r\nhello\r\n0;g\r\n\r\n'),
        b"\r\nhello\r\n",
        must_not=(b";",),
    ),
    forwarded(
        "size with zeros in front", "RFC 9112 7.1", _chunks(b"0005\r\nhello\r\n000\r\n\r\n"), b"5\r\nhello\r\n0\r\n\r\n"
    ),
    forwarded("size in capitals", "RFC 9112 7.1", _chunks(b"A\r\n0123456789\r\n" + _END), b"a\r\n0123456789\r\n"),
    forwarded("trailer", "RFC 9112 7.1.2", _chunks(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"), b"5\r\nhello\r\n0\r\n"),
    forwarded(
        "a request behind the chunks",
        "RFC 9112 9.3.2",
        _chunks(b"5\r\nhello\r\n" + _END) + GET + b"\r\n",
        seen=2,
        statuses=(frozenset({200}),) * 2,
    ),
    forwarded(
        "a request in a chunk",
        "RFC 9112 7.1",
        _chunks(b"%x\r\n" % len(SMUGGLED) + SMUGGLED + b"\r\n" + _END),
        b"\r\nGET /smuggled",
    ),
)
