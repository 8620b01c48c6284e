"""How exchanges end, who ends them and when, and how attempts at a server fail.

Responsible for the one list of each: their numbers index scoreboard cells, their words stand in the API, the log and
the docs. Knows nothing of who decides. Invariant: an exchange has exactly one Outcome; an attempt has at most one
FailureKind; numbers are consecutive from 0 and keep their meaning.
"""

from __future__ import annotations

from enum import Enum, IntEnum
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


class Ender(str, Enum):
    """Who ended an exchange before it was complete."""

    CLIENT = "client"
    SERVER = "server"
    LBAPP = "lbapp"  # it found no server, or did not understand
    OPERATOR = "operator"
    LIMIT = "limit"  # of those that are configured


class Phase(str, Enum):
    """How far an exchange had come when it was ended."""

    REQUEST = "request"  # its head, or its body before a server was asked
    QUEUE = "queue"  # choosing a server, or waiting for room at one
    CONNECT = "connect"
    HEADERS = "headers"  # the request is sent, or on its way; no answer yet
    BODY = "body"  # the answer had begun; of a TCP connection: bytes were relayed


ENDED_BY: Final[dict[Outcome, Ender]] = {
    Outcome.CLIENT_BAD_REQUEST: Ender.CLIENT,
    Outcome.CLIENT_TIMEOUT: Ender.CLIENT,
    Outcome.CLIENT_GONE: Ender.CLIENT,
    Outcome.BODY_TOO_LARGE: Ender.LIMIT,
    Outcome.NO_ROUTE: Ender.LBAPP,
    Outcome.NO_SERVER: Ender.LBAPP,
    Outcome.CONNECT_FAILED: Ender.SERVER,
    Outcome.CONNECT_TIMEOUT: Ender.SERVER,
    Outcome.RESPONSE_TIMEOUT: Ender.SERVER,
    Outcome.RESPONSE_BROKEN: Ender.SERVER,
    Outcome.SERVER_CLOSED: Ender.SERVER,
    Outcome.ABORTED: Ender.OPERATOR,
    Outcome.RATE_LIMITED: Ender.LIMIT,
    Outcome.OVERLOADED: Ender.LIMIT,
    Outcome.EXCHANGE_TIMEOUT: Ender.LIMIT,
    Outcome.QUEUE_FULL: Ender.LIMIT,
    Outcome.QUEUE_TIMEOUT: Ender.LIMIT,
}

# Of the other outcomes it depends on how far the exchange had come.
PHASE_OF: Final[dict[Outcome, Phase]] = {
    Outcome.CLIENT_BAD_REQUEST: Phase.REQUEST,
    Outcome.CLIENT_TIMEOUT: Phase.REQUEST,
    Outcome.BODY_TOO_LARGE: Phase.REQUEST,
    Outcome.NO_ROUTE: Phase.REQUEST,
    Outcome.RATE_LIMITED: Phase.REQUEST,
    Outcome.OVERLOADED: Phase.REQUEST,
    Outcome.NO_SERVER: Phase.QUEUE,
    Outcome.QUEUE_FULL: Phase.QUEUE,
    Outcome.QUEUE_TIMEOUT: Phase.QUEUE,
    Outcome.CONNECT_FAILED: Phase.CONNECT,
    Outcome.CONNECT_TIMEOUT: Phase.CONNECT,
}
