"""Tunnels: TCP connections, and HTTP connections after a 101.

Responsible for finding a server for a TCP connection, and for counting what a tunnel moves and how it ends. Knows nothing of
heads; `relay` moves the bytes.

Invariants: a tunnel is in flight at its server from the choice of that server, or its upgrade, to the end of both its
directions; its bytes are counted as they move; a TCP connection is recorded with exactly one outcome.
"""

from __future__ import annotations

from collections.abc import Callable
from random import random
from time import monotonic
from typing import TYPE_CHECKING

from lbapp.engine.policy.retry import backoff_s
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.wire.access_line import Verdicts
from lbapp.engine.worker.decisions import Asking
from lbapp.engine.worker.ended import ExchangeEnded
from lbapp.engine.worker.limited import ServerWish
from lbapp.engine.worker.pause import pause
from lbapp.engine.worker.reactor import Aborted, DeadlinePassed, PeerGone
from lbapp.engine.worker.relay import SinkGone, Tunnel, send_all
from lbapp.engine.worker.trail import ConnectionEnd
from lbapp.engine.worker.upstream import AttemptFailed, Upstream, UpstreamServer
from lbapp.model.histogram import bucket_of
from lbapp.model.outcomes import Outcome
from lbapp.model.persistence import PersistenceVerdict

if TYPE_CHECKING:
    from lbapp.engine.worker.downstream import Downstream
    from lbapp.engine.worker.pools import UpstreamPool


class OpenTunnel:
    """A tunnel as it is counted. `begun`: as of the TCP connection when its server was reached; None after an upgrade."""

    __slots__ = ("_begun", "_client", "_moved", "upstream")

    def __init__(self, client: Downstream, upstream: Upstream, begun: ConnectionEnd | None) -> None:
        self._client = client
        self._begun = begun
        self._moved = (0, 0)
        self.upstream = upstream

    def moved(self, bytes_up: int, bytes_down: int) -> None:
        """See TunnelWatcher."""
        self._client.listener.cells.count_bytes(bytes_up, bytes_down)
        self.upstream.server.cells.count_bytes(bytes_up, bytes_down)
        self._moved = (self._moved[0] + bytes_up, self._moved[1] + bytes_down)

    def finished(self, is_clean: bool) -> None:
        """See TunnelWatcher."""
        cells = self.upstream.server.cells
        cells.add_in_flight(-1)
        if self._begun is not None:
            outcome = Outcome.COMPLETED if is_clean else Outcome.ABORTED
            bucket = bucket_of(int((monotonic() - self._begun.started) * 1e6))
            self._client.listener.cells.exchange_ended(outcome, 0, 0, 0, bucket)
            cells.exchange_ended(outcome, 0, 0, 0, bucket)
            _end(self._client, self._begun._replace(outcome=outcome, moved=self._moved))
        self.upstream.close()
        self._client.close()


def _end(client: Downstream, end: ConnectionEnd) -> None:
    client.listener.cells.count_incomplete(end.outcome, end.phase)
    if client.listener.trail is not None:
        client.listener.trail.connection_ended(client, end)


def _idle_timeout_s(client: Downstream) -> float:
    return client.listener.transport.tunnel_idle_timeout_s or client.limits.tunnel_idle_timeout_s


def _start_tunnel(client: Downstream, opened: OpenTunnel) -> None:
    client.is_idle = False
    upstream = opened.upstream
    tunnel = Tunnel(client, upstream, client.worker.pipes, _idle_timeout_s(client), opened)
    client.upgraded = upstream
    upstream.is_tunnel = True
    upstream.cut = tunnel.break_off
    tunnel.start(client.reactor)


async def tunnel_after_upgrade(client: Downstream, upstream: Upstream, down: bytes, up: bytes) -> None:
    """Make a tunnel of a connection that was upgraded; `down` and `up` go on before all else. It is in flight already."""
    timeout_s = _idle_timeout_s(client)
    try:
        await send_all(client, down, timeout_s)
        if up:
            await send_all(upstream, up, timeout_s)
    except (SinkGone, DeadlinePassed, Aborted, PeerGone):
        upstream.server.cells.add_in_flight(-1)
        upstream.close()
        client.close()
        return
    _start_tunnel(client, OpenTunnel(client, upstream, None))  # the exchange ended with its 101


def _outcome_of(ended: Exception) -> Outcome:
    return ended.outcome if isinstance(ended, ExchangeEnded) else Outcome.ABORTED


class _Visit:
    """What persistence found of a client, and what it was given: by the pool that chose last."""

    __slots__ = ("persistence",)

    def __init__(self) -> None:
        self.persistence: Verdicts = (None, None)

    def note(self, verdict: PersistenceVerdict | None, given: PersistenceVerdict | None) -> None:
        """Take in what came of a choice; later ones for the same client have no verdict of their own."""
        before = self.persistence
        self.persistence = (before[0] if verdict is None else verdict, before[1] if given is None else given)


async def _next_server(
    client: Downstream, pool: UpstreamPool, tried: tuple[int, ...], visit: _Visit
) -> tuple[UpstreamPool, UpstreamServer | None]:
    """Choose a server that was not tried, in the pool or in one that takes over, waiting for room where there is none.

    Returns the pool that has, or lacks, the server. Raises ExchangeEnded, PeerGone, Aborted.
    """
    while True:
        choose = _chooser(client, pool, visit)
        server = choose(tried)
        if server is None and pool.queue is not None and (pool.has_eligible_beside(tried) or pool.wanted is not None):
            server = await pool.queue.wait(client, ServerWish(pool, tried, choose))
        if server is not None or tried or pool.failover is None:
            return pool, server
        pool, visit.persistence = pool.failover, (None, None)


def _chooser(
    client: Downstream, pool: UpstreamPool, visit: _Visit
) -> Callable[[tuple[int, ...]], UpstreamServer | None]:
    choose = _server_for(client, pool, visit)
    return lambda tried: client.worker.decisions.decide(Asking(client, pool, tried), choose)


def _server_for(
    client: Downstream, pool: UpstreamPool, visit: _Visit
) -> Callable[[tuple[int, ...]], UpstreamServer | None]:
    persistence = pool.persistence
    if persistence is None:
        return lambda tried: pool.choose(client.key, client.reactor.now, tried)
    is_first = True

    def choose(tried: tuple[int, ...]) -> UpstreamServer | None:
        nonlocal is_first
        was_first, is_first = is_first and not tried, False
        server = persistence.choose_for_client(client.key, client.reactor.now, tried, is_first=was_first)
        visit.note(*persistence.said(None)[:2])
        return server

    return choose


def _learn(pool: UpstreamPool, server: UpstreamServer, dialled: float, *, is_failure: bool) -> None:
    """Tell an algorithm that learns how long it took to connect: nothing else of a TCP connection says how fast a server is."""
    if pool.observe is not None:
        now = monotonic()
        pool.observe(server.cells.index, int((now - dialled) * 1e6), is_failure, now)


async def serve_tcp(client: Downstream) -> None:
    """Relay a TCP connection to a server of the listener's pool."""
    pool = client.tcp_pool
    assert pool is not None, "a TCP listener has a pool, or routes that choose one before"
    client.is_idle = False
    started = monotonic()
    server: UpstreamServer | None = None
    outcome = Outcome.NO_SERVER
    tried: tuple[int, ...] = ()
    visit = _Visit()
    try:
        while True:
            server = None
            pool, server = await _next_server(client, pool, tried, visit)
            if server is None:
                break
            if tried:
                server.cells.add(at.SERVER_RETRIES, 1)
            dialled = monotonic()
            try:
                upstream = await server.dial(client)
            except AttemptFailed as failed:
                _learn(pool, server, dialled, is_failure=True)
                server.cells.add_in_flight(-1)
                server.cells.count_failure(failed.kind)
                outcome = Outcome.CONNECT_FAILED
                tried += (server.cells.index,)
                if not pool.may_try_another(len(tried), started, was_sent=False):
                    break
                if (delay_s := backoff_s(len(tried), random())) > 0:
                    await pause(client.reactor, delay_s)
                continue
            _learn(pool, server, dialled, is_failure=False)
            connect_us = int((monotonic() - dialled) * 1e6)
            end = ConnectionEnd(started, outcome, pool.name, server.id, len(tried) + 1, connect_us)
            _start_tunnel(client, OpenTunnel(client, upstream, end._replace(persistence=visit.persistence)))
            return
    except (Aborted, PeerGone, ExchangeEnded) as ended:
        outcome = _outcome_of(ended)
        if server is not None:
            server.cells.add_in_flight(-1)
    client.listener.cells.count_outcome(outcome, 0)
    if server is not None:
        server.cells.count_outcome(outcome)
    else:
        pool.cells.count_outcome(outcome)
    end = ConnectionEnd(started, outcome, pool.name, "" if server is None else server.id, len(tried))
    _end(client, end._replace(persistence=visit.persistence))
    client.close()
