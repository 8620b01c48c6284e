"""Whether an attempt that failed may be followed by another one, and how soon.

Responsible for what is safe to repeat, for how many attempts an exchange may have, for the budget that keeps repeats from
multiplying the load of a pool in trouble, and for the wait before them. Knows nothing of sockets; time, chance and counts
come in as arguments. Source: RFC 9110 section 9.2.2 (idempotent methods), RFC 9112 section 9.3.1 (retrying).

Invariant: a request of which a server may have seen a byte is repeated only when its method is idempotent and its body is
still whole; the same server is never tried twice, but where an idle connection to it turned out closed.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from lbapp.model.entities import Retry
from lbapp.model.limits import RETRY_BACKOFF_MAX_S, RETRY_BACKOFF_S, RETRY_WINDOW_S
from lbapp.model.outcomes import FailureKind

IDEMPOTENT_METHODS: Final = frozenset((b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"))

# Nothing was sent: the server cannot have acted on the request.
CONNECT_FAILURES: Final = frozenset(
    (
        FailureKind.CONNECT_REFUSED,
        FailureKind.CONNECT_TIMEOUT,
        FailureKind.CONNECT_UNREACHABLE,
        FailureKind.NAME_NOT_RESOLVED,
        FailureKind.TLS_HANDSHAKE,
        FailureKind.TLS_CERTIFICATE,
    )
)
# The server may have acted, and gave nothing that could go on. A timeout is not among them: the client has waited enough.
BROKEN_OFF: Final = frozenset((FailureKind.UPSTREAM_CLOSED, FailureKind.RESPONSE_BROKEN, FailureKind.RESPONSE_STATUS))
_STEP_S: Final = 1.0


def may_repeat_on_new_connection(kind: FailureKind, method: bytes, *, was_reused: bool, is_body_kept: bool) -> bool:
    """Say whether a request may be sent again to the same server on a new connection.

    Only where an idle connection was reused and turned out closed before it gave a byte: servers close idle connections
    whenever they like, so that is no sign of trouble.
    """
    return was_reused and kind is FailureKind.UPSTREAM_CLOSED and method in IDEMPOTENT_METHODS and is_body_kept


def is_safe_to_repeat(kind: FailureKind, method: bytes, *, is_body_kept: bool) -> bool:
    """Say whether a request may be sent to another server: nothing was sent, or it may be done twice and is still whole."""
    if kind in CONNECT_FAILURES:
        return is_body_kept
    return kind in BROKEN_OFF and method in IDEMPOTENT_METHODS and is_body_kept


def has_attempt_left(retry: Retry, servers_tried: int, elapsed_s: float) -> bool:
    """Say whether the next server may be tried after `servers_tried` have failed, `elapsed_s` after the first began."""
    return servers_tried < retry.attempts and elapsed_s < retry.timeout_s


def backoff_s(servers_tried: int, chance: float) -> float:
    """Return how long to wait before the next server; `chance`: 0.0 to 1.0, at random. The first repeat is immediate.

    Full jitter: anything between nothing and a bound that doubles, so that many clients of one failure do not come back
    together.
    """
    if servers_tried <= 1:
        return 0.0
    doublings = min(servers_tried - 2, 16)
    return chance * min(RETRY_BACKOFF_MAX_S, RETRY_BACKOFF_S * (1 << doublings))


class RetryBudget:
    """How many repeats the requests of the last RETRY_WINDOW_S allow: a share of them, and never fewer than a few.

    Charged for what a server may have seen; a connect that failed has given no server any work.

    `requests`: a count that only grows. It is looked at about once a second, so that no request pays for it.
    """

    def __init__(self, retry: Retry) -> None:
        self._share = retry.budget_percent
        self._least = retry.budget_min
        self._counts: deque[tuple[float, int]] = deque()
        self._repeats: deque[float] = deque()

    def look(self, now_s: float, requests: int) -> None:
        """Note how many requests there have been."""
        counts = self._counts
        if not counts or now_s - counts[-1][0] >= _STEP_S:
            counts.append((now_s, requests))
        while len(counts) > 1 and now_s - counts[1][0] >= RETRY_WINDOW_S:
            counts.popleft()

    def may_spend(self, now_s: float, requests: int) -> bool:
        """Say whether one more repeat is in the budget, and if so take it from there."""
        recent = requests - self._counts[0][1] if self._counts else 0
        repeats = self._repeats
        while repeats and now_s - repeats[0] >= RETRY_WINDOW_S:
            repeats.popleft()
        if len(repeats) >= max(self._least, recent * self._share // 100):
            return False
        repeats.append(now_s)
        return True
