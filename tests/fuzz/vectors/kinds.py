"""What a vector is: bytes on the wire and what may come of them.

Responsible for the words that the tables are written in. Knows nothing of how a vector is run. Invariant: every vector names
the section of the standard that decides it, or the limit of lbapp that does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HOST = b"Host: h.test\r\n"
GET = b"GET /v HTTP/1.1\r\n" + HOST
POST = b"POST /v HTTP/1.1\r\n" + HOST
# A request that nobody sent: it must never be seen by a server, nor be answered.
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: h.test\r\n\r\n"


@dataclass(frozen=True)
class Vector:
    """One case.

    `statuses`: what the client may be answered (final statuses, in order of its requests; each a set). `seen`: how many
    whole requests reach the server. `answer`: what the server sends for each, in parts; a number is a pause in seconds,
    None ends the connection. `is_early`: it answers at the head. `must`, `must_not`: bytes that the server does or does
    not get in complete requests. `body`: what the client gets as body of its first answer. `is_cut`: the client gets
    a visibly broken answer, or a 502. `closes`: the client's connection is at an end. `ends`: the client ends its side at once.
    """

    name: str
    rfc: str
    group: str
    request: bytes
    statuses: tuple[frozenset[int], ...] = (frozenset({200}),)
    seen: int = 1
    answer: tuple[bytes | float | None, ...] = (GOOD,)
    is_early: bool = False
    must: tuple[bytes, ...] = ()
    must_not: tuple[bytes, ...] = ()
    reply_must: tuple[bytes, ...] = ()
    reply_must_not: tuple[bytes, ...] = ()
    body: bytes | None = None
    is_cut: bool = False
    closes: bool = False
    ends: bool = False

    @property
    def is_refused(self) -> bool:
        """Whether the request is to be refused."""
        return self.seen == 0


def refused(name: str, rfc: str, request: bytes, *statuses: int, group: str = "", **more: object) -> Vector:
    """Make a request that gets a 4xx or 5xx, reaches no server and ends its connection."""
    allowed = (frozenset(statuses or (400,)),)
    base = Vector(name, rfc, group, request, allowed, seen=0, closes=True, body=None)
    return replace(base, **more)  # type: ignore[arg-type]


def forwarded(name: str, rfc: str, request: bytes, *must: bytes, group: str = "", **more: object) -> Vector:
    """Make a request that reaches the server with the bytes `must` in it."""
    return replace(Vector(name, rfc, group, request, must=must), **more)  # type: ignore[arg-type]


def bad_answer(name: str, rfc: str, *answer: bytes | float | None, group: str = "", **more: object) -> Vector:
    """Make an answer of the server that the client gets a 502 for."""
    base = Vector(name, rfc, group, GET + b"\r\n", (frozenset({502}),), answer=answer)
    return replace(base, **more)  # type: ignore[arg-type]


def good_answer(name: str, rfc: str, *answer: bytes | float | None, group: str = "", **more: object) -> Vector:
    """Make an answer of the server that is passed on."""
    return replace(Vector(name, rfc, group, GET + b"\r\n", answer=answer), **more)  # type: ignore[arg-type]


def grouped(group: str, *vectors: Vector) -> tuple[Vector, ...]:
    return tuple(replace(vector, group=group) for vector in vectors)
