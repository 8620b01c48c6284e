"""Clients that are to go: those of a worker that leaves, and those of a listener that is gone; and servers that are.

Responsible for letting them finish what they have under way, for cutting off what does not end, and for saying what is still
open at servers that are on their way out. Knows nothing of why they go. Invariant: who is idle is closed only after a moment in
which a request that is on its way already can arrive.
"""

from __future__ import annotations

from collections.abc import Collection
from time import monotonic
from typing import TYPE_CHECKING, Final

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from lbapp.engine.scoreboard import layout as at
from lbapp.engine.worker.downstream import Downstream
from lbapp.engine.worker.reactor import Aborted
from lbapp.engine.worker.upstream import Upstream, UpstreamServer
from lbapp.model.limits import OVERDUE_PER_TURN_MAX
from lbapp.model.states import WorkerPhase

if TYPE_CHECKING:
    from lbapp.engine.worker.run import Worker

_IDLE_GRACE_S: Final = 1.0
_LOOK_INTERVAL_S: Final = 0.02


def tell_what_is_open(servers: Collection[UpstreamServer], clients: Collection[Downstream]) -> None:
    """Say of each server that is on its way out what is still in flight there."""
    going = [server for server in servers if server.is_going or server.is_retired]
    if not going:
        return
    since: dict[UpstreamServer, list[float]] = {server: [] for server in going}
    for client in clients:
        upstream = client.partner
        if isinstance(upstream, Upstream) and upstream.server in since:
            since[upstream.server].append(client.started)
    for server in going:
        tunnels = [upstream.opened_at for upstream in server.open if upstream.is_tunnel]
        began = [*since[server], *tunnels]
        server.cells.tell_what_is_open(len(tunnels), int(min(began) * 1e9) if began else 0)


def close_server(worker: Worker, row: int) -> int:
    """Close every connection to a server at once, whatever is in flight; return how much that was.

    One that was at another address before has connections there, too: clients know them.
    """
    servers = {worker.servers[row]} if row in worker.servers else set()
    for client in worker.connections:
        upstream = client.upgraded
        if upstream is None and client.exchange is not None:
            upstream = client.exchange.upstream
        if upstream is not None and upstream.server.cells.index == row:
            servers.add(upstream.server)
    return sum(server.close_all() for server in servers)


async def finish(clients: Collection[Downstream], timeout_s: float) -> None:
    """Have clients end when what they have under way allows; return when all have, or after the timeout."""
    deadline = monotonic() + timeout_s
    for client in clients:
        client.is_to_close = True
    await _closed(clients, min(deadline, monotonic() + _IDLE_GRACE_S))
    await _end(clients)
    await _closed(clients, deadline)


async def ask_to_leave(clients: Collection[Downstream]) -> None:
    """Close the connections that are idle, once a request that is on its way can have come; the others close behind theirs."""
    await _closed(clients, monotonic() + _IDLE_GRACE_S)
    await _end(clients)


async def see_off(clients: Collection[Downstream], timeout_s: float) -> None:
    """Have clients finish, and cut off those that have not by the end of the timeout."""
    await finish(clients, timeout_s)
    cut_off(clients)


def cut_off(clients: Collection[Downstream]) -> None:
    """End what clients have under way, as it is."""
    for client in clients:
        if client.fd >= 0:
            client.interrupt(Aborted())
            client.interrupt_writer(Aborted())


async def _end(clients: Collection[Downstream]) -> None:
    """Close those that are idle, unless that was taken back: few at a time, as a request that comes meanwhile would be lost."""
    every = list(clients)
    for start in range(0, len(every), OVERDUE_PER_TURN_MAX):
        for client in every[start : start + OVERDUE_PER_TURN_MAX]:
            if client.is_to_close and client.fd >= 0:
                client.finish()
        await anyio.lowlevel.checkpoint()


async def _closed(clients: Collection[Downstream], deadline: float) -> None:
    left = list(clients)
    while left and monotonic() < deadline:
        await anyio.sleep(_LOOK_INTERVAL_S)
        left = [client for client in left if client.fd >= 0]


async def drain(worker: Worker, timeout_s: float, tasks: TaskGroup) -> None:
    """Serve what is there and nothing new; then end the process's task group."""
    worker.stop_accepting()
    worker.segment.cells[worker.block + at.WORKER_PHASE] = WorkerPhase.DRAINING
    clients = list(worker.connections)
    await finish(clients, timeout_s)
    for queue in worker.queues:
        queue.end()
    for server in worker.servers.values():
        server.close_all()
    cut_off(clients)
    tasks.cancel_scope.cancel()
