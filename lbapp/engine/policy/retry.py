"""Whether an attempt that failed may be followed by another one.

Responsible for two decisions: the same request again on a new connection to the same server, and the next server. Knows
nothing of sockets or time. Source: RFC 9110 section 9.2.2 (idempotent methods), RFC 9112 section 9.3.1 (retrying).
Invariant: a request of which a server may have seen a byte is repeated only when its method is idempotent and its body is
still whole; the same server is never tried twice for a failed connect.
"""

from __future__ import annotations

from typing import Final

from lbapp.model.limits import CONNECT_ATTEMPTS_MAX
from lbapp.model.outcomes import FailureKind

IDEMPOTENT_METHODS: Final = frozenset((b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"))

# Nothing was sent: the server cannot have acted on the request.
CONNECT_FAILURES: Final = frozenset(
    (
        FailureKind.CONNECT_REFUSED,
        FailureKind.CONNECT_TIMEOUT,
        FailureKind.CONNECT_UNREACHABLE,
        FailureKind.NAME_NOT_RESOLVED,
    )
)


def may_repeat_on_new_connection(kind: FailureKind, method: bytes, *, was_reused: bool, is_body_kept: bool) -> bool:
    """Say whether a request may be sent again to the same server on a new connection.

    Only where an idle connection was reused and turned out closed before it gave a byte: servers close idle connections
    whenever they like, so that is no sign of trouble.
    """
    return was_reused and kind is FailureKind.UPSTREAM_CLOSED and method in IDEMPOTENT_METHODS and is_body_kept


def may_try_another_server(kind: FailureKind, servers_tried: int) -> bool:
    """Say whether the next server may be tried at once after `servers_tried` have failed."""
    return kind in CONNECT_FAILURES and servers_tried < CONNECT_ATTEMPTS_MAX
