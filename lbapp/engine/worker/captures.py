"""The last requests and answers that were no HTTP, for who has to find out why.

Responsible for what is kept of each, and for how much that may cost. Knows nothing of who asks for them. Invariants: at most
CAPTURES_MAX are kept and CAPTURES_PER_SECOND_MAX made, the rest is counted; no credential is kept; an exchange ends the same
whether it is captured or not.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final

from lbapp.engine.policy.rate import TokenBuckets
from lbapp.engine.questions import Capture
from lbapp.engine.wire.excerpt import Place, excerpt, find_place
from lbapp.engine.wire.heads import BadRequest, BadResponse
from lbapp.engine.wire.http1 import parse_request_head, parse_response_head
from lbapp.engine.worker.client_text import client_of
from lbapp.model.admission import Rate
from lbapp.model.limits import CAPTURES_AT_ONCE_MAX, CAPTURES_MAX, CAPTURES_PER_SECOND_MAX

if TYPE_CHECKING:
    from lbapp.engine.worker.downstream import Downstream

_REQUEST_LINE: Final = b"GET / HTTP/1.1\r\n"
_STATUS_LINE: Final = b"HTTP/1.1 200 OK\r\n"


class Captures:
    """What one worker keeps. `skipped`: how many more there were."""

    def __init__(self) -> None:
        self.kept: deque[Capture] = deque(maxlen=CAPTURES_MAX)
        self.skipped = 0
        self._buckets = TokenBuckets(Rate(CAPTURES_PER_SECOND_MAX, 1.0), CAPTURES_AT_ONCE_MAX, 1)

    def request_head(self, client: Downstream, reason: str) -> None:
        """Keep what a client's head, of which its buffer has the beginning, was refused for."""
        if not self._may_keep(client):
            return
        limits, may_connect = client.limits, client.listener.transport.connect

        def is_refused(data: bytes) -> bool:
            try:
                parse_request_head(data, limits.head_bytes_max, limits.fields_max, may_connect=may_connect)
            except BadRequest:
                return True
            return False

        place = find_place(client.buffer, _REQUEST_LINE, is_refused)
        self._keep(client, "client", reason, (place, client.buffer))

    def response_head(self, client: Downstream, data: bytes, reason: str) -> None:
        """Keep what a server's head was refused for."""
        if not self._may_keep(client):
            return
        limits = client.limits

        def is_refused(data: bytes) -> bool:
            try:
                parse_response_head(data, limits.head_bytes_max, limits.fields_max)
            except BadResponse:
                return True
            return False

        self._keep(client, "server", reason, (find_place(data, _STATUS_LINE, is_refused), data))

    def body(self, client: Downstream, who: str, reason: str) -> None:
        """Keep why a body was refused; of bodies nothing is shown."""
        if self._may_keep(client):
            self._keep(client, who, reason, (None, b""))

    def _may_keep(self, client: Downstream) -> bool:
        if not self._buckets.wait_s(b"", client.reactor.now, 0):
            return True
        self.skipped += 1
        return False

    def _keep(self, client: Downstream, who: str, reason: str, found: tuple[Place | None, bytes]) -> None:
        exchange, (address, port) = client.exchange, client_of(client)
        place, data = found
        start, shown = excerpt(data, place)
        capture = Capture(
            at_s=time.time(),
            who=who,
            client=address,
            port=port,
            listener=client.listener.name,
            pool="" if exchange is None else exchange.pool.name,
            server="" if exchange is None or exchange.server is None else exchange.server.id,
            reason=reason,
            offset=-1 if place is None else place.offset,
            offset_is="" if place is None else place.what,
            excerpt=shown,
            excerpt_offset=start,
        )
        self.kept.append(capture)
