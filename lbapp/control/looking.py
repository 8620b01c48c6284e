"""What is seen of single exchanges and connections, in the control API.

Responsible for the names and types of these messages, as `messages` is for all others. Knows nothing of HTTP or of how they come
about. Invariants: those of `messages`; text from the network is escaped as in the access log.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict


class LogLine(TypedDict):
    """One exchange that has ended: a line of `GET /v1/log`, and of the access log. docs/observability.md says what each means."""

    time: str
    client: str
    port: int | None
    listener: str
    method: str | None
    host: str | None
    target: str | None
    version: str | None
    status: int | None
    pool: str | None
    server: str | None
    bytes_in: int
    bytes_out: int
    queue_us: int | None
    connect_us: int | None
    first_byte_us: int | None
    total_us: int
    attempts: int
    persistence: list[str] | None
    outcome: str
    ended_by: str | None
    phase: str | None
    request_id: NotRequired[str | None]  # where the listener gives ids
    trace_id: NotRequired[str | None]


class Skipped(TypedDict):
    """A line of `GET /v1/log` between others: so many more exchanges ended that were asked for.

    With `prefer=1` those that failed (not complete, or a 5xx) and those that took `slow_ms` or more come before the others.
    """

    skipped: int


class SessionStatus(TypedDict):
    """One connection of a client. `state`: handshake, idle, request, queue, connect, headers, body or tunnel."""

    id: int  # of this connection as long as the engine lives
    client: str
    port: int | None
    listener: str
    state: str
    age_s: float
    busy_s: float  # with what it carries now; 0: nothing
    server: str | None
    method: str | None
    target: str | None
    bytes_out: int


class Sessions(TypedDict):
    """`GET /v1/sessions?limit=N&pool=P&server=P/S`: those busy for longest first; with a pool or server, those busy with it.

    `DELETE /v1/sessions/ID` closes one; 404 unknown_session. With `pool` or `server`: only if it is busy with that now. A TCP
    connection has a pool once it has its server.
    """

    connections: int  # that are open, of those asked for
    sessions: list[SessionStatus]


class CaptureStatus(TypedDict):
    """One request or answer that was no HTTP. Credentials in the excerpt are stars; of bodies there is none."""

    at: float  # Unix seconds
    who: str  # sent it: client, server
    client: str
    port: int | None
    listener: str
    pool: str | None
    server: str | None
    reason: str
    offset: int | None  # in the head; None: it is not one byte, nor one line, that is wrong
    offset_is: str | None  # byte, or line: of its first byte
    excerpt: str  # printable ASCII, all else as \\xNN
    excerpt_offset: int


class Captures(TypedDict):
    """`GET /v1/captures`: the last of each worker, the latest first."""

    skipped: int  # that were too many to look at
    captures: list[CaptureStatus]
