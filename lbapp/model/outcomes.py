"""How exchanges end, and how attempts at a server fail.

Responsible for the one list of each: their numbers index scoreboard cells, their words stand in the API, the log and
the docs. Knows nothing of who decides. Invariant: an exchange has exactly one Outcome; an attempt has at most one
FailureKind; numbers are consecutive from 0 and keep their meaning.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class FailureKind(IntEnum):
    """What went wrong in one attempt at one server."""

    CONNECT_REFUSED = 0
    CONNECT_TIMEOUT = 1
    CONNECT_UNREACHABLE = 2
    NAME_NOT_RESOLVED = 3
    RESPONSE_TIMEOUT = 4
    RESPONSE_BROKEN = 5  # bytes that are no HTTP response
    UPSTREAM_CLOSED = 6  # before a whole response
    RESPONSE_STATUS = 7  # a status for which the pool tries another server
    TLS_HANDSHAKE = 8  # it came to nothing: no TLS, no common version or cipher, our certificate refused
    TLS_CERTIFICATE = 9  # the server's was not accepted: unknown authority, another name, expired


class Outcome(IntEnum):
    """How one exchange (or one relayed TCP connection) ended."""

    COMPLETED = 0
    CLIENT_BAD_REQUEST = 1
    CLIENT_TIMEOUT = 2
    CLIENT_GONE = 3
    BODY_TOO_LARGE = 4
    NO_ROUTE = 5
    NO_SERVER = 6
    CONNECT_FAILED = 7
    CONNECT_TIMEOUT = 8
    RESPONSE_TIMEOUT = 9
    RESPONSE_BROKEN = 10
    SERVER_CLOSED = 11
    ABORTED = 12  # by the operator, or because the node stops
    RATE_LIMITED = 13  # the client asked more often than one may
    OVERLOADED = 14  # lbapp itself was short of what it takes
    EXCHANGE_TIMEOUT = 15
    QUEUE_FULL = 16  # the pool's servers have all they may have, and so has its queue
    QUEUE_TIMEOUT = 17  # it waited for a server for as long as one may


OUTCOME_STATUS: Final[dict[Outcome, int]] = {
    Outcome.CLIENT_BAD_REQUEST: 400,
    Outcome.CLIENT_TIMEOUT: 408,
    Outcome.BODY_TOO_LARGE: 413,
    Outcome.NO_ROUTE: 404,
    Outcome.NO_SERVER: 503,
    Outcome.CONNECT_FAILED: 502,
    Outcome.CONNECT_TIMEOUT: 504,
    Outcome.RESPONSE_TIMEOUT: 504,
    Outcome.RESPONSE_BROKEN: 502,
    Outcome.SERVER_CLOSED: 502,
    Outcome.ABORTED: 503,
    Outcome.RATE_LIMITED: 429,
    Outcome.OVERLOADED: 503,
    Outcome.EXCHANGE_TIMEOUT: 504,
    Outcome.QUEUE_FULL: 503,
    Outcome.QUEUE_TIMEOUT: 503,
}
