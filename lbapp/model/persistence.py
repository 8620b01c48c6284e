"""How a client comes back to the server it had, as configured, and how each look for that server ended.

Responsible for the settings of `[pool.persistence]` and for the one list of verdicts: their numbers index scoreboard cells,
their words stand in the API, the metrics and the docs. Knows nothing of cookies' bytes or of tables. Invariant: numbers are
consecutive from 0 and keep their meaning; a request has at most one verdict of the first group and one of the second.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum


class PersistenceType(str, Enum):
    """By what a client is known."""

    COOKIE = "cookie"
    IP = "ip"
    HEADER = "header"


class PersistenceVerdict(IntEnum):
    """What came of looking for a client's server. The last two say what was done about it."""

    NONE = 0  # the client names no server, or nothing is remembered of it
    VALID = 1  # it got the server it had
    INVALID = 2  # a cookie that was not made with one of the keys, or is of another pool, or of the far future
    EXPIRED = 3  # the client was away for longer than the TTL
    TOO_OLD = 4  # a cookie past its maximum life
    SERVER_GONE = 5  # the server is no longer in the pool
    SERVER_DOWN = 6  # the server is DOWN, in MAINT, or did not take the connection
    INSERTED = 7  # a client was given its first server
    UPDATED = 8  # another server, or a fresh TTL


@dataclass(frozen=True, slots=True)
class PersistenceKey:
    """A secret that cookies are signed with. `id` goes with each cookie, so that keys can be exchanged in turn."""

    id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"PersistenceKey({self.id!r})"  # no log and no traceback shows a secret


@dataclass(frozen=True, slots=True)
class Persistence:
    """`[pool.persistence]`. Durations in seconds. `keys`: the first signs, all are accepted; empty: the engine's own.

    `keys_file`: the path that they were read from, None: none. The same keys from elsewhere are the same settings.
    """

    type: PersistenceType
    ttl_s: float = 3600.0
    cookie: str = "lbapp_server"
    life_s: float = 8 * 3600.0
    http_only: bool = True
    same_site: str = "Lax"
    indirect: bool = True
    nocache: bool = True
    keys: tuple[PersistenceKey, ...] = ()
    keys_file: str | None = field(default=None, compare=False)
    header: str = ""
    ipv4_prefix: int = 32
    ipv6_prefix: int = 128
