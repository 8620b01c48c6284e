"""The connections of clients that are open, one by one.

Responsible for telling each apart, for what it is doing, and for ending one. Knows nothing of who asks. Invariant: a number names
one connection for as long as its worker lives, and never another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lbapp.engine.questions import Session, Where
from lbapp.engine.worker.client_text import client_of
from lbapp.engine.worker.queueing import Waiter
from lbapp.engine.worker.reactor import Aborted

if TYPE_CHECKING:
    from lbapp.engine.worker.downstream import Downstream
    from lbapp.engine.worker.run import Worker

_TARGET_BYTES_MAX: Final = 256


def list_sessions(worker: Worker, limit: int, where: Where) -> tuple[tuple[Session, ...], int]:
    """Return the connections of a worker, those first that have been busy for longest, and how many there are."""
    found = [_session(client) for client in list(worker.connections) if client.fd >= 0 and _is_there(client, where)]
    found.sort(key=lambda each: (each.state == "idle", -each.busy_s, -each.age_s))
    return tuple(found[:limit]), len(found)


def end_session(worker: Worker, number: int, where: Where) -> bool:
    """Close a connection whatever it carries; say whether it was there."""
    for client in worker.connections:
        if client.number == number and client.fd >= 0 and _is_there(client, where):
            _end(client)
            return True
    return False


def _end(client: Downstream) -> None:
    """Raise Aborted wherever something waits for the client's sake."""
    partner, upstream = client.partner, client.upgraded
    if upstream is None and client.exchange is not None:
        upstream = client.exchange.upstream
    client.is_to_close = True
    client.interrupt(Aborted())
    client.interrupt_writer(Aborted())
    if isinstance(partner, Waiter):
        partner.interrupt(Aborted())
    if upstream is not None and upstream.cut is not None:
        upstream.cut()
    elif upstream is not None:
        upstream.interrupt(Aborted())
        upstream.interrupt_writer(Aborted())


def _is_there(client: Downstream, where: Where) -> bool:
    if not where.pool and not where.server:
        return True
    server, exchange = _server_of(client), client.exchange
    pool = server.partition("/")[0] or ("" if exchange is None else exchange.pool.name)
    return where.server in ("", server) and where.pool in ("", pool)


def _server_of(client: Downstream) -> str:
    """Return the server that a connection is busy with; empty: with none, or none yet."""
    if client.upgraded is not None:
        return client.upgraded.server.id
    exchange = client.exchange
    return "" if exchange is None or exchange.server is None else exchange.server.id


def _session(client: Downstream) -> Session:
    now, exchange = client.reactor.now, client.exchange
    address, port = client_of(client)
    return Session(
        number=client.number,
        client=address,
        port=port,
        listener=client.listener.name,
        state=_state(client),
        age_s=now - client.accepted_at,
        busy_s=0.0 if client.is_idle else now - (client.started or client.accepted_at),
        server=_server_of(client),
        method=b"" if exchange is None else exchange.head.method,
        target=b"" if exchange is None else exchange.head.target[:_TARGET_BYTES_MAX],
        bytes_out=0 if exchange is None else exchange.bytes_out,
    )


def _state(client: Downstream) -> str:
    exchange = client.exchange
    if client.is_in_preamble:
        return "handshake"
    if client.upgraded is not None or (exchange is None and not client.is_idle):
        return "tunnel"
    if exchange is None:
        return "request" if client.buffer else "idle"
    if isinstance(client.partner, Waiter):
        return "queue"
    if exchange.first_byte_us >= 0 or exchange.has_answered:
        return "body"
    return "headers" if exchange.sent_at else "connect"
