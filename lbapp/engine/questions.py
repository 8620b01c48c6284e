"""What the supervisor asks of its workers for somebody who looks on, and their answers.

Responsible for these messages of the channel. Knows nothing of how they travel, or of who asks. Invariants: `number` names a
question, or who looks on; what is answered is bounded by what was asked for; text from the network is as it came, in bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from lbapp.model.decision import Decision
from lbapp.model.log_filter import LogFilter, Preference


@dataclass(frozen=True, slots=True)
class Observe:
    """Tell of exchanges as they end, of at most so many a second, until Unobserve. `number` names who looks on.

    `preference`: of which ones before others, where there are more; None: of those that end first.
    """

    number: int
    wanted: LogFilter
    per_second: float
    preference: Preference | None = None


@dataclass(frozen=True, slots=True)
class Unobserve:
    """Nobody looks on by this number any more."""

    number: int


@dataclass(frozen=True, slots=True)
class Observed:
    """From the worker: lines as of the access log's JSON, and how many more there were."""

    number: int
    lines: tuple[str, ...]
    skipped: int


class Where(NamedTuple):
    """What a connection is busy with now: a pool, or a server as `POOL/SERVER`; empty for any."""

    pool: str = ""
    server: str = ""


ANYWHERE: Final = Where()


@dataclass(frozen=True, slots=True)
class Session:
    """One client's connection that is open. `number` tells it from all others of its worker; times in seconds.

    `state`: handshake, idle, request (its head is coming), queue, connect, headers (waiting for the answer's), body, tunnel.
    """

    number: int
    client: str
    port: int
    listener: str
    state: str
    age_s: float
    busy_s: float
    server: str
    method: bytes
    target: bytes
    bytes_out: int


@dataclass(frozen=True, slots=True)
class Capture:
    """One head, or body, that was no HTTP. `who`: client or server; `at_s` in Unix seconds; pool and server as far as it came.

    `offset`: of the byte that was wrong, or of the line (`offset_is`), in the head; -1: it is neither. `excerpt`: escaped, from
    `excerpt_offset` on.
    """

    at_s: float
    who: str
    client: str
    port: int
    listener: str
    pool: str
    server: str
    reason: str
    offset: int
    offset_is: str
    excerpt: str
    excerpt_offset: int


@dataclass(frozen=True, slots=True)
class ListCaptures:
    """Tell of the last malformed requests and answers. `number` names the question."""

    number: int


@dataclass(frozen=True, slots=True)
class ListSessions:
    """Tell of open connections, of so many at most. `number` names the question; `where`: of those there alone."""

    number: int
    limit: int
    where: Where = ANYWHERE


@dataclass(frozen=True, slots=True)
class EndSession:
    """Close one connection, whatever it carries; `where`: only if it is there now."""

    number: int
    session: int
    where: Where = ANYWHERE


@dataclass(frozen=True, slots=True)
class EndInFlight:
    """Close every connection to these servers at once, whatever is in flight, and tell of each how much that was. By row."""

    number: int
    servers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ListDecisions:
    """Tell why servers were chosen lately, of so many decisions at most. `pool`, `client`: empty for any."""

    number: int
    pool: str
    client: str
    limit: int


@dataclass(frozen=True, slots=True)
class PreviewDecision:
    """Tell which server a client would be given now, and why. `client_key`: its packed address.

    `key`: what the pool hashes or remembers it by, where that is not the address.
    """

    number: int
    pool: str
    client_key: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """From the worker: what a question came to. `connections`: how many are open there; `skipped`: captures not made.

    `ended`: what was in flight at servers, in the order of the question.
    """

    number: int
    sessions: tuple[Session, ...] = ()
    connections: int = 0
    is_done: bool = False
    captures: tuple[Capture, ...] = ()
    skipped: int = 0
    decisions: tuple[Decision, ...] = ()
    ended: tuple[int, ...] = ()


Question = ListSessions | EndSession | EndInFlight | ListCaptures | ListDecisions | PreviewDecision
Asked = Observe | Unobserve | Question
Told = Observed | Answer
