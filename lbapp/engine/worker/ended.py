"""Why an exchange cannot go on.

Responsible for turning what went wrong, at a server or at the client, into an outcome, a status and a sentence for the client.
Knows nothing of sockets. Invariant: a sentence names the pool, never a server's address: clients need not know it.
"""

from __future__ import annotations

import errno
from typing import Final

from lbapp.engine.wire.heads import BadRequest
from lbapp.engine.worker.reactor import DeadlinePassed, PeerGone
from lbapp.model.outcomes import OUTCOME_STATUS, FailureKind, Outcome

# Errors of making a socket that are about this machine, not about the peer.
SHORTAGES: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_OUTCOMES: Final = {
    FailureKind.CONNECT_TIMEOUT: Outcome.CONNECT_TIMEOUT,
    FailureKind.RESPONSE_TIMEOUT: Outcome.RESPONSE_TIMEOUT,
    FailureKind.RESPONSE_BROKEN: Outcome.RESPONSE_BROKEN,
    FailureKind.UPSTREAM_CLOSED: Outcome.SERVER_CLOSED,
    FailureKind.RESPONSE_STATUS: Outcome.SERVER_CLOSED,
}


class ExchangeEnded(Exception):
    """The exchange cannot go on. `reason` is for the client, as long as no byte of a response was sent."""

    def __init__(self, outcome: Outcome, reason: str, status: int = 0) -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.reason = reason
        self.status = status or OUTCOME_STATUS.get(outcome, 0)


def ended_by(kind: FailureKind, pool: str) -> ExchangeEnded:
    """Say how an exchange ends whose last attempt failed with `kind`."""
    what = kind.name.lower().replace("_", " ")
    return ExchangeEnded(_OUTCOMES.get(kind, Outcome.CONNECT_FAILED), f"{what} at a server of pool {pool}")


def ended_by_client(error: Exception) -> ExchangeEnded | PeerGone:
    """Say how an exchange ends whose request body failed with `error`."""
    if isinstance(error, BadRequest):
        outcome = Outcome.BODY_TOO_LARGE if error.status == 413 else Outcome.CLIENT_BAD_REQUEST
        return ExchangeEnded(outcome, error.reason, error.status)
    if isinstance(error, DeadlinePassed):
        return ExchangeEnded(Outcome.CLIENT_TIMEOUT, "the request body did not arrive in time")
    return PeerGone()
