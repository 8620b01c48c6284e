"""Vectors: what a server sends."""

from __future__ import annotations

from typing import Any

from tests.fuzz.vectors.kinds import GET, GOOD, HOST, POST, Vector, bad_answer, forwarded, good_answer, grouped

_OK = b"HTTP/1.1 200 OK\r\n"
_CL = b"Content-Length: "
_TE = b"Transfer-Encoding: "
_PLAIN = b"\r\n" + _CL + b"2\r\n\r\nok"
_SPLIT = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nX-Split: 1\r\n\r\nsmuggled!"
_OLD = b"GET /v HTTP/1.0\r\n" + HOST + b"\r\n"
_HEAD = b"HEAD /v HTTP/1.1\r\n" + HOST + b"\r\n"
_PLEASE = GET + b"Connection: upgrade\r\nUpgrade: other\r\n\r\n"
_POST = POST + _CL + b"5\r\n\r\nhello"
_ANY = (frozenset({200}),)


def _status(line: bytes) -> bytes:
    return line + _PLAIN


def _chunked(data: bytes) -> bytes:
    return _OK + _TE + b"chunked\r\n\r\n" + data


def _cut(name: str, rfc: str, *answer: bytes | float | None, **more: Any) -> Vector:
    return good_answer(name, rfc, *answer, is_cut=True, statuses=(frozenset({200, 502}),), **more)


STATUS_LINES = grouped(
    "status line",
    *(
        bad_answer(f"status line {line!r}", "RFC 9112 4", _status(line))
        for line in (
            b"HTTP/0.9 200 OK",
            b"HTTP/2.0 200 OK",
            b"HTTP/1.2 200 OK",
            b"HTTP/1.10 200 OK",
            b"http/1.1 200 OK",
            b"HTTP/1.1  200 OK",
            b"HTTP/1.1\t200 OK",
            b"HTTP/1.1 20 OK",
            b"HTTP/1.1 2000 OK",
            b"HTTP/1.1 099 OK",
            b"HTTP/1.1 000 OK",
            b"HTTP/1.1 600 OK",
            b"HTTP/1.1 999 OK",
            b"HTTP/1.1 -20 OK",
            b"HTTP/1.1 +20 OK",
            b"HTTP/1.1 2x0 OK",
            b"HTTP/1.1 \xb200 OK",
            b"HTTP/1.1 200\tOK",
            b"HTTP/1.1 OK",
            b"HTTP/1.1",
            b"HTTP/1.1 ",
            b" HTTP/1.1 200 OK",
            b"ICY 200 OK",
            b"200 OK",
            b"HTTP/1.1 200 \x1b[2J",
            b"HTTP/1.1 200 O\x00K",
            b"HTTP/1.1 200 O\rK",
            b"HTTP/1.1 200 O\nK",
            b"HTTP/1.1 200 OK\r",
        )
    ),
    bad_answer("no status line", "RFC 9112 4", b"<html>hello</html>", None),
    bad_answer("empty line in front", "RFC 9112 4", b"\r\n" + GOOD),
    bad_answer("request for an answer", "RFC 9112 4", GET + b"\r\n"),
    bad_answer("TLS alert", "RFC 9112 4", b"\x15\x03\x01\x00\x02\x02\x16"),
    bad_answer("answer of bare LF only", "RFC 9112 2.2", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
    bad_answer("bare LF behind the status line", "RFC 9112 2.2", b"HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok"),
    bad_answer("nothing", "RFC 9112 8", None, request=_POST),
    bad_answer("half a status line", "RFC 9112 8", b"HTTP/1.1 20", None),
    bad_answer("half a head", "RFC 9112 8", _OK + b"X: y\r\n", None),
    bad_answer(
        "101 that nobody asked for",
        "RFC 9110 15.2.2",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n" + _SPLIT,
    ),
    bad_answer("101 without Upgrade", "RFC 9110 7.8", b"HTTP/1.1 101 Switching Protocols\r\n\r\n", request=_PLEASE),
    bad_answer(
        "101 to another protocol",
        "RFC 9110 7.8",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: evil\r\n\r\n",
        request=_PLEASE,
    ),
    good_answer("no reason", "RFC 9112 4", _status(b"HTTP/1.1 200 "), body=b"ok", reply_must=(b"HTTP/1.1 200 \r\n",)),
    good_answer(
        "no space behind the status", "RFC 9112 4", _status(b"HTTP/1.1 200"), statuses=(frozenset({200, 502}),)
    ),
    good_answer(
        "HTTP/1.0 answer", "RFC 9110 2.5", _status(b"HTTP/1.0 200 OK"), body=b"ok", reply_must=(b"HTTP/1.1 200 OK",)
    ),
    good_answer(
        "unknown status", "RFC 9110 15", _status(b"HTTP/1.1 299 Odd"), statuses=(frozenset({299}),), body=b"ok"
    ),
    good_answer("high bytes in the reason", "RFC 9112 4", _status(b"HTTP/1.1 200 \xc3\xa4"), body=b"ok"),
)

ANSWER_FIELDS = grouped(
    "answer's fields",
    *(
        bad_answer(f"answer's field {line!r}", "RFC 9112 5", _OK + line + _PLAIN)
        for line in (
            b"X : y",
            b": y",
            b"X",
            b"X\x00: y",
            b"X: a\x00",
            b"X: a\rb",
            b"X: a\nb",
            b"X: a\r\n b",
            b" X: y",
            b"X\xe4: y",
            b"X: \x1b[2J",
            b"X Y: z",
        )
    ),
    bad_answer("answer's head of 100,000 bytes", "limit of lbapp", _OK + b"X: " + b"a" * 100_000 + _PLAIN),
    bad_answer("answer of 1000 fields", "limit of lbapp", _OK + b"X: y\r\n" * 1000 + _CL + b"2\r\n\r\nok"),
    bad_answer("answer nominates Content-Length", "RFC 9110 7.6.1", _OK + b"Connection: content-length" + _PLAIN),
    good_answer(
        "answer's nominated field",
        "RFC 9110 7.6.1",
        _OK + b"Connection: X-Hop\r\nX-Hop: secret" + _PLAIN,
        body=b"ok",
        reply_must_not=(b"secret",),
    ),
    good_answer(
        "answer's Keep-Alive",
        "RFC 9112 C.2.2",
        _OK + b"Keep-Alive: timeout=9" + _PLAIN,
        reply_must_not=(b"Keep-Alive",),
    ),
    good_answer(
        "answer's Upgrade", "RFC 9110 7.8", _OK + b"Upgrade: h2c\r\nConnection: upgrade" + _PLAIN, statuses=_ANY
    ),
    good_answer(
        "answer's Connection: close",
        "RFC 9112 9.6",
        _OK + b"Connection: close" + _PLAIN,
        None,
        body=b"ok",
        reply_must_not=(b"Connection: close",),
    ),
)

ANSWER_FRAMING = grouped(
    "answer's framing",
    *(
        bad_answer(f"answer's length {value!r}", "RFC 9112 6.3", _OK + _CL + value + b"\r\n\r\nok")
        for value in (
            b"",
            b"+2",
            b"-2",
            b"0x2",
            b"2_0",
            b"2 2",
            b"2, 2",
            b"2,3",
            b"2;",
            b"2.0",
            b"two",
            b"\xb2",
            b"18446744073709551618",
            b"9" * 40,
            b"2\x00",
        )
    ),
    bad_answer("answer's lengths differ", "RFC 9112 6.3", _OK + _CL + b"2\r\n" + _CL + b"3\r\n\r\nok"),
    bad_answer("answer's lengths are equal", "RFC 9112 6.3", _OK + _CL + b"2\r\n" + _CL + b"2\r\n\r\nok"),
    bad_answer(
        "answer's length and coding",
        "RFC 9112 6.3",
        _OK + _CL + b"2\r\n" + _TE + b"chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ),
    bad_answer(
        "answer's coding and length",
        "RFC 9112 6.3",
        _OK + _TE + b"chunked\r\n" + _CL + b"2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ),
    *(
        bad_answer(f"answer's coding {value!r}", "RFC 9112 6.1", _OK + _TE + value + b"\r\n\r\n0\r\n\r\n", None)
        for value in (
            b"gzip",
            b"gzip, chunked",
            b"identity",
            b"chunked, chunked",
            b"chunked, gzip",
            b"xchunked",
            b"",
            b"chunked;a=b",
            b"\x0bchunked",
        )
    ),
    bad_answer(
        "answer's coding in HTTP/1.0",
        "RFC 9112 6.1",
        b"HTTP/1.0 200 OK\r\n" + _TE + b"chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        None,
    ),
    bad_answer("answer's coding in 204", "RFC 9112 6.1", b"HTTP/1.1 204 No\r\n" + _TE + b"chunked\r\n\r\n0\r\n\r\n"),
    bad_answer("coding in 103", "RFC 9112 6.1", b"HTTP/1.1 103 Early\r\n" + _TE + b"chunked\r\n\r\n" + GOOD),
    *(
        _cut(f"answer's chunk size {size!r}", "RFC 9112 7.1", _chunked(size + b"\r\nhello\r\n0\r\n\r\n"))
        for size in (
            b"",
            b"+5",
            b"-5",
            b"0x5",
            b"5_0",
            b"5 ",
            b" 5",
            b"g",
            b"5\x00",
            b"fffffffffffffffff",
            b"5;",
            b"5;a\x00",
            b"5\n",
            b"5;a=" + b"b" * 20_000,
        )
    ),
    _cut("answer's chunk ends in bare LF", "RFC 9112 7.1", _chunked(b"5\r\nhello\n0\r\n\r\n")),
    _cut("answer's chunk is longer than said", "RFC 9112 7.1", _chunked(b"5\r\nhello-world\r\n0\r\n\r\n")),
    _cut("answer's bare LF behind the size", "RFC 9112 7.1", _chunked(b"5\nhello\r\n0\r\n\r\n")),
    _cut("answer's trailer frames", "RFC 9110 6.5.1", _chunked(b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n")),
    _cut("answer's trailer sets a cookie", "RFC 9110 6.5.1", _chunked(b"5\r\nhello\r\n0\r\nSet-Cookie: a=b\r\n\r\n")),
    _cut("answer's chunks cut short", "RFC 9112 8", _chunked(b"5\r\nhello\r\n"), None),
    _cut("answer's chunks cut before the last line end", "RFC 9112 8", _chunked(b"5\r\nhello\r\n0\r\n"), None),
    _cut("answer's length cut short", "RFC 9112 8", _OK + _CL + b"10\r\n\r\nhello", None),
    _cut("answer's length cut short, later", "RFC 9112 8", _OK + _CL + b"10\r\n\r\n", 0.01, b"hello", None),
    good_answer("answer chunked", "RFC 9112 7.1", _chunked(b"2\r\nok\r\n0\r\n\r\n"), body=b"ok"),
    good_answer(
        "answer chunked with extensions",
        "RFC 9112 7.1.1",
        _chunked(b'2;a="b"\r\nok\r\n0;c\r\n\r\n'),
        body=b"ok",
        reply_must_not=(b";",),
    ),
    good_answer(
        "answer chunked to HTTP/1.0",
        "RFC 9112 6.1",
        _chunked(b"2\r\nok\r\n0\r\n\r\n"),
        request=_OLD,
        closes=True,
        body=b"ok",
        reply_must_not=(b"chunked",),
    ),
    good_answer("answer until close", "RFC 9112 6.3", _OK + b"\r\nok", None, body=b"ok"),
    good_answer(
        "answer until close to HTTP/1.0", "RFC 9112 6.3", _OK + b"\r\nok", None, request=_OLD, closes=True, body=b"ok"
    ),
    good_answer(
        "204 with length",
        "RFC 9110 8.6",
        b"HTTP/1.1 204 No\r\n" + _CL + b"0\r\n\r\n",
        statuses=(frozenset({204}),),
        reply_must_not=(b"Content-Length",),
    ),
    good_answer("204 with a body", "RFC 9112 6.3", b"HTTP/1.1 204 No\r\n\r\n" + _SPLIT, statuses=(frozenset({204}),)),
    good_answer(
        "204 with a length and a body",
        "RFC 9112 6.3",
        b"HTTP/1.1 204 No\r\n" + _CL + b"%d\r\n\r\n" % len(_SPLIT) + _SPLIT,
        statuses=(frozenset({204}),),
    ),
    good_answer(
        "304 with a length", "RFC 9110 8.6", b"HTTP/1.1 304 Not\r\n" + _CL + b"10\r\n\r\n", statuses=(frozenset({304}),)
    ),
    good_answer(
        "304 with a body",
        "RFC 9112 6.3",
        b"HTTP/1.1 304 Not\r\n" + _CL + b"%d\r\n\r\n" % len(_SPLIT) + _SPLIT,
        statuses=(frozenset({304}),),
    ),
    good_answer(
        "HEAD with a length",
        "RFC 9110 9.3.2",
        _OK + _CL + b"10\r\n\r\n",
        request=_HEAD,
        body=b"",
        reply_must=(b"Content-Length: 10",),
    ),
    good_answer(
        "HEAD with a body", "RFC 9112 6.3", _OK + _CL + b"%d\r\n\r\n" % len(_SPLIT) + _SPLIT, request=_HEAD, body=b""
    ),
    good_answer("HEAD with a coding", "RFC 9112 6.1", _OK + _TE + b"chunked\r\n\r\n", request=_HEAD, body=b""),
)

ORDER = grouped(
    "order of answers",
    good_answer("two answers at once", "RFC 9112 9.3", GOOD + _SPLIT, body=b"ok"),
    good_answer("two answers, one later", "RFC 9112 9.3", GOOD, 0.01, _SPLIT, body=b"ok"),
    good_answer("half an answer later", "RFC 9112 9.3", GOOD, 0.01, _SPLIT[:20], body=b"ok"),
    good_answer("more than the length", "RFC 9112 6.3", GOOD + b"smuggled", body=b"ok"),
    good_answer("more than the length, later", "RFC 9112 6.3", GOOD, 0.01, b"smuggled", body=b"ok"),
    good_answer("an answer behind the chunks", "RFC 9112 7.1", _chunked(b"2\r\nok\r\n0\r\n\r\n") + _SPLIT, body=b"ok"),
    good_answer(
        "an answer behind the chunks, later",
        "RFC 9112 7.1",
        _chunked(b"2\r\nok\r\n0\r\n\r\n"),
        0.01,
        _SPLIT,
        body=b"ok",
    ),
    good_answer("a line end behind the answer", "RFC 9112 4", GOOD + b"\r\n", body=b"ok"),
    good_answer("end without notice", "RFC 9112 9.5", GOOD, None, body=b"ok"),
    good_answer(
        "408 on an idle connection",
        "RFC 9110 15.5.9",
        GOOD,
        0.01,
        b"HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n",
        None,
        body=b"ok",
    ),
    forwarded(
        "answer before the body", "RFC 9112 9.3", POST + _CL + b"50\r\n\r\nhello", seen=1, is_early=True, closes=True
    ),
    forwarded(
        "error before the body",
        "RFC 9110 10.1.1",
        POST + _CL + b"50\r\n\r\nhello",
        is_early=True,
        closes=True,
        statuses=(frozenset({413}),),
        answer=(b"HTTP/1.1 413 Big\r\nContent-Length: 0\r\n\r\n",),
    ),
    forwarded(
        "answer before the chunks",
        "RFC 9112 9.3",
        POST + _TE + b"chunked\r\n\r\n5\r\nhello\r\n",
        is_early=True,
        closes=True,
    ),
    forwarded(
        "answer and another before the body",
        "RFC 9112 9.3",
        POST + _CL + b"50\r\n\r\nhello",
        is_early=True,
        closes=True,
        answer=(GOOD + _SPLIT,),
    ),
    good_answer("100", "RFC 9110 15.2.1", b"HTTP/1.1 100 Continue\r\n\r\n" + GOOD, body=b"ok"),
    good_answer(
        "103",
        "RFC 8297 2",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
        0.01,
        GOOD,
        body=b"ok",
        reply_must=(b"HTTP/1.1 103 ", b"Link: </a>"),
    ),
    good_answer(
        "103 to HTTP/1.0",
        "RFC 9110 15.2",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + GOOD,
        request=_OLD,
        closes=True,
        body=b"ok",
        reply_must_not=(b"103 ",),
    ),
    good_answer(
        "103 with a length",
        "RFC 9110 8.6",
        b"HTTP/1.1 103 Early\r\nContent-Length: 5\r\n\r\n" + GOOD,
        statuses=(frozenset({200, 502}),),
    ),
    good_answer(
        "100 for a POST that expects none",
        "RFC 9110 10.1.1",
        b"HTTP/1.1 100 Continue\r\n\r\n" + GOOD,
        request=_POST,
        body=b"ok",
    ),
    good_answer("five interim answers", "RFC 9110 15.2", b"HTTP/1.1 102 Wait\r\n\r\n" * 5 + GOOD, body=b"ok"),
    bad_answer("1000 interim answers", "limit of lbapp", b"HTTP/1.1 102 Wait\r\n\r\n" * 1000 + GOOD),
    bad_answer("interim answer, then nothing", "RFC 9110 15.2", b"HTTP/1.1 103 Early\r\n\r\n", None),
    bad_answer("interim answer, then rubbish", "RFC 9112 4", b"HTTP/1.1 103 Early\r\n\r\nrubbish"),
    bad_answer("bad interim answer", "RFC 9112 5", b"HTTP/1.1 103 Early\r\nX : y\r\n\r\n" + GOOD),
)
