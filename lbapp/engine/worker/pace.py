"""Clients that are too slow, and exchanges that take too long.

Responsible for the slowest that a request's body may come and a response may be taken, and for the time that a whole exchange
may take. Knows nothing of bytes on the data path: how much a client moved is asked of the kernel (TCP_INFO), and only of clients
that are being waited for, so that nothing here costs an exchange anything.

Invariants: only time spent waiting for the client counts against it; a tunnel is nobody's exchange and is left alone.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Final

from lbapp.engine.policy.rate import Stretch
from lbapp.engine.worker.queueing import Waiter
from lbapp.engine.worker.reactor import Aborted, DeadlinePassed
from lbapp.engine.worker.upstream import Upstream
from lbapp.model.entities import Protocol
from lbapp.model.limits import SWEEP_INTERVAL_S, Limits

if TYPE_CHECKING:
    from lbapp.engine.worker.downstream import Downstream

# struct tcp_info of linux/tcp.h: tcpi_bytes_acked and tcpi_bytes_received, there since Linux 4.1.
_BYTES_AT: Final = 120
_BYTES: Final = struct.Struct("=QQ")


class Pace:
    """The pace of the clients of one worker."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._before: dict[Downstream, tuple[float, bool, Stretch]] = {}
        self._stretches: dict[Downstream, tuple[float, bool, Stretch]] = {}

    def begin(self) -> None:
        """Begin a look at all clients, which is due once every SWEEP_INTERVAL_S."""
        self._before, self._stretches = self._stretches, {}

    def look(self, busy: list[Downstream], now: float) -> None:
        """Go on with some of the clients that have an exchange or a tunnel under way."""
        timeout_s = self._limits.exchange_timeout_s
        if timeout_s:
            for client in busy:
                if client.started < now - timeout_s and _has_exchange(client):
                    _cut_exchange(client)
        if self._limits.request_body_rate_min or self._limits.response_rate_min:
            before = self._before
            for client in busy:
                is_writing = client.writer is not None
                if is_writing or client.reader is not None:
                    self._look_at(client, is_writing, before.get(client))
                elif client in before:
                    self._stretches[client] = before[client]  # not waited for at this moment

    def _look_at(self, client: Downstream, is_writing: bool, known: tuple[float, bool, Stretch] | None) -> None:
        limits = self._limits
        rate_min = limits.response_rate_min if is_writing else limits.request_body_rate_min
        if not rate_min or not _has_exchange(client):
            return
        if known is None or known[:2] != (client.started, is_writing):
            moved = _moved_bytes(client, is_writing)
            if moved is not None:
                self._stretches[client] = (client.started, is_writing, Stretch(moved))
            return
        stretch = known[2]
        if stretch.has_waited(SWEEP_INTERVAL_S, limits.body_idle_timeout_s):
            moved = _moved_bytes(client, is_writing)
            if moved is None or stretch.is_too_slow(moved, rate_min):
                # The same end as if not one byte had come: 408 if nothing was answered yet, or a response cut short.
                (client.interrupt_writer if is_writing else client.interrupt)(DeadlinePassed())
                return
        self._stretches[client] = known


def _has_exchange(client: Downstream) -> bool:
    return client.upgraded is None and client.listener.protocol is Protocol.HTTP


def _moved_bytes(client: Downstream, is_writing: bool) -> int | None:
    """Return how many bytes the client has sent, or acknowledged; None where the kernel does not know."""
    try:
        info = client.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_AT + _BYTES.size)
        acknowledged, received = _BYTES.unpack_from(info, _BYTES_AT)
    except (OSError, struct.error):
        return None
    return int(acknowledged) if is_writing else int(received)


def _cut_exchange(client: Downstream) -> None:
    """End the exchange under way where it waits; what it is doing elsewhere (connecting, refusing) has limits of its own."""
    upstream = client.partner
    if isinstance(upstream, Upstream):
        if upstream.cut is not None:
            upstream.cut()
        else:
            upstream.interrupt(Aborted())
    elif isinstance(upstream, Waiter):
        upstream.interrupt(Aborted())
