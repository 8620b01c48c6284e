"""Changing vectors a little, by numbers that say how.

Responsible for the seeds of each target and for changes that matter to HTTP. Knows nothing of what is done with them. Invariant:
the same bytes and number give the same change.
"""

from __future__ import annotations

import contextlib
import ssl
from dataclasses import replace
from ipaddress import ip_address
from random import Random
from typing import Final

from lbapp.engine.wire.proxy_protocol import InetEnd, ProxyHeader, build_v1, build_v2
from tests.fuzz.vectors import VECTORS, Vector

_PIECES: Final = (
    b"\r",
    b"\n",
    b"\r\n",
    b"\x00",
    b" ",
    b"\t",
    b":",
    b";",
    b",",
    b"0",
    b"+",
    b"-",
    b"_",
    b"\xa0",
    b"\x0b",
    b"\x7f",
    b"\x80",
    b'"',
    b"\\",
    b"\r\n\r\n",
    b"0\r\n\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"transfer-encoding:\tchunked\r\n",
    b"Host: evil.test\r\n",
    b"Connection: close\r\n",
    b"chunked",
    b"HTTP/1.0",
    b" HTTP/1.1\r\n",
)


def mutated(data: bytes, number: int) -> bytes:
    """Return `data` with one to three changes."""
    random = Random(number)
    for _ in range(random.randint(1, 3)):
        data = _changed(data, random)
    return data


def mutated_vector(vector: Vector, number: int) -> Vector:
    """Return the vector with a changed request, or a changed answer where the answer is what it is about."""
    is_about_answer = "answer" in vector.group or vector.group == "status line"
    if not is_about_answer:
        return replace(vector, request=mutated(vector.request, number))
    answer = tuple(mutated(part, number) if isinstance(part, bytes) else part for part in vector.answer)
    return replace(vector, answer=(*answer, None) if answer[-1] is not None else answer)


def seeds_of(target: str) -> list[bytes]:
    """Return the vectors that a target can begin with."""
    if target == "request":
        return [vector.request for vector in VECTORS]
    if target == "response":
        return [part for vector in VECTORS for part in vector.answer if isinstance(part, bytes)]
    if target == "chunked":
        return [vector.request.partition(b"\r\n\r\n")[2] for vector in VECTORS if vector.group == "chunks"]
    if target == "host":
        return [vector.request.partition(b"Host: ")[2].partition(b"\r\n")[0] for vector in VECTORS]
    if target == "client-hello":
        return _hellos()
    if target == "proxy-header":
        ends = InetEnd(ip_address("10.0.0.1"), 1), InetEnd(ip_address("10.0.0.2"), 65535)
        sixes = InetEnd(ip_address("fd00::1"), 1), InetEnd(ip_address("::1"), 2)
        headers = [ProxyHeader(is_local=True), ProxyHeader(False, *ends), ProxyHeader(False, *sixes)]
        return [build(header) for build in (build_v1, build_v2) for header in headers]
    if target == "cookie":
        return [b"a=1", b"b=2; a=1; c=3", b"a=1; a=2", b"xa=1;a", b'a="1" ; b']
    if target == "forwarded":
        return [b"1.2.3.4, 10.0.0.9", b"[fd00::2]:80, 10.1.1.1|h.example~443", b"unknown, _x|a b~x", b"::ffff:1.2.3.4"]
    return [b"websocket|websocket", b"a, b/2|b", b"\x1b[2J\r\n"]


def _hellos() -> list[bytes]:
    """Return hellos as OpenSSL says them."""
    hellos = []
    for name in (None, "app.example"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.set_alpn_protocols(["h2", "http/1.1"])
        outgoing = ssl.MemoryBIO()
        client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
        with contextlib.suppress(ssl.SSLWantReadError):
            client.do_handshake()
        hellos.append(outgoing.read())
    return hellos


def _changed(data: bytes, random: Random) -> bytes:
    at = random.randrange(len(data) + 1)
    kind = random.randrange(6)
    if kind == 0:
        return data[:at] + random.choice(_PIECES) + data[at:]
    if kind == 1:
        return data[:at] + data[at + random.randint(1, 4) :]
    if kind == 2:
        return data[:at] + bytes((random.randrange(256),)) + data[at + 1 :]
    if kind == 3:
        lines = data.split(b"\r\n")
        line = random.randrange(len(lines))
        lines.insert(random.randrange(len(lines) + 1), lines[line])
        return b"\r\n".join(lines)
    if kind == 4:
        return data[:at].swapcase() + data[at:]
    piece = random.choice(_PIECES)
    return data[:at] + piece + data[at + len(piece) :]
