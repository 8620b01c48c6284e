"""What a worker serves by one configuration: made beside what it serves now, then put in its place at once.

Responsible for making pools, servers and listeners of an assignment, and for what becomes of those before. The first
generation of a worker takes this way, too. Knows nothing of messages or of why there is another configuration.

Invariants: `prepare` touches nothing that serves, and may fail; `apply` cannot fail, and between two events of the reactor
everything is by one generation; a connection that is open goes on: its next request is served by the new one; a server that
stays keeps its connections, and what it has in flight is counted on.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lbapp.engine.channel import Assignment
from lbapp.engine.memory import FILE_NAME
from lbapp.engine.policy.routing import compile_routes
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.worker import admission, trail
from lbapp.engine.worker.accept import Acceptor, ListenerRuntime
from lbapp.engine.worker.limited import LimitedPool
from lbapp.engine.worker.members import Members, set_addresses
from lbapp.engine.worker.pace import Pace
from lbapp.engine.worker.persistence import persist
from lbapp.engine.worker.pools import UpstreamPool
from lbapp.engine.worker.record import InFlightReader, ListenerCells, PoolCells
from lbapp.engine.worker.secure import TlsPreamble
from lbapp.engine.worker.upstream import UpstreamServer
from lbapp.model.entities import HealthCheck, Listener, Pool
from lbapp.model.tls import TlsMaterial

if TYPE_CHECKING:
    from lbapp.engine.worker.downstream import Downstream
    from lbapp.engine.worker.run import Worker

_NO_CHECK = HealthCheck()


@dataclass(slots=True)
class Next:
    """A generation that is ready. `opened`: descriptors of listening sockets that are new, by name."""

    assignment: Assignment
    members: Members
    servers: dict[str, dict[int, UpstreamServer]]  # by pool
    pools: dict[str, UpstreamPool]
    listeners: dict[str, ListenerRuntime]
    opened: dict[str, int]


def prepare(worker: Worker, assignment: Assignment, opened: Mapping[str, int]) -> Next:
    """Make what an assignment asks for. It may take a while, and may be done by a thread. Raises ssl.SSLError, OSError."""
    slot, rows, configuration = assignment.slot, assignment.rows, assignment.configuration
    members = Members(worker.reactor, worker.segment, slot, worker.book, configuration.limits)
    members.build_contexts(configuration, assignment.tls)
    load = InFlightReader(worker.segment)
    servers: dict[str, dict[int, UpstreamServer]] = {}
    pools: dict[str, UpstreamPool] = {}
    known = {pool.name: pool for pool in worker.pools}
    for pool in configuration.pools:
        found = {rows.servers[server.id]: server for server in pool.servers}
        made = servers[pool.name] = members.make(pool, found or assignment.discovered.get(pool.name, {}))
        before = known.get(pool.name)
        if before is not None and _chooses_alike(before.settings, pool):
            pools[pool.name] = before
        else:
            kind = LimitedPool if pool.is_limited else UpstreamPool
            pools[pool.name] = kind(pool, PoolCells(worker.segment, slot, rows.pools[pool.name]), made, load)
    listeners = {each.name: _listener(worker, each, pools, assignment) for each in configuration.listeners}
    return Next(assignment, members, servers, pools, listeners, dict(opened))


def _chooses_alike(before: Pool, after: Pool) -> bool:
    """Say whether a pool chooses as it did, whoever its servers are: then what it has learned of them stays."""
    if before.is_limited is not after.is_limited:
        return False
    return _without_servers(before) == _without_servers(after)


def _without_servers(pool: Pool) -> Pool:
    return replace(pool, servers=(), health_check=_NO_CHECK, drain_timeout_s=0.0, tls=None, discover=None)


def _listener(
    worker: Worker, listener: Listener, pools: dict[str, UpstreamPool], assignment: Assignment
) -> ListenerRuntime:
    cells = ListenerCells(worker.segment, assignment.slot, assignment.rows.listeners[listener.name], worker.book)
    return ListenerRuntime(listener, cells, compile_routes(listener), pools, _tls(worker, listener, assignment.tls))


def _tls(worker: Worker, listener: Listener, material: TlsMaterial) -> TlsPreamble | None:
    if listener.tls is None:
        return None
    before = next((each for each in worker.listeners if each.name == listener.name), None)
    if before is not None and worker.assignment.tls == material and _shakes_hands_alike(before.settings, listener):
        return before.tls  # so that the tickets that clients have stay good
    return TlsPreamble(listener, material)


def _shakes_hands_alike(before: Listener, after: Listener) -> bool:
    return (before.protocol, before.tls) == (after.protocol, after.tls)


def apply(worker: Worker, ready: Next) -> list[Downstream]:
    """Serve by a generation. Returns the clients whose listener is gone: they are to finish."""
    assignment = ready.assignment
    configuration = assignment.configuration
    worker.assignment, worker.limits, worker.members = assignment, configuration.limits, ready.members
    worker.pace = Pace(configuration.limits)
    _take_pools(worker, ready)
    set_addresses(worker, assignment.addresses)
    worker.memory = persist(worker, configuration, FILE_NAME)
    before = {runtime.name: runtime for runtime in worker.listeners}
    worker.listeners = [_in_place(before.get(name), fresh) for name, fresh in ready.listeners.items()]
    admission.set_up(worker, configuration, assignment.slot, assignment.rows.listeners)
    trail.follow(worker, configuration)
    _take_sockets(worker, ready)
    worker.segment.cells[worker.block + at.WORKER_GENERATION] = assignment.generation
    for client in worker.connections:
        client.forget_rules()
    present = set(worker.listeners)
    return [client for client in worker.connections if client.listener not in present]


def _take_pools(worker: Worker, ready: Next) -> None:
    pools = ready.pools
    before = [each for each in worker.pools if pools.get(each.name) is not each]
    worker.former_pools.update(before)
    every = worker.servers
    stay = {row for servers in ready.servers.values() for row in servers}
    for row, server in every.items():
        if row not in stay:
            server.retire()
    for pool in ready.assignment.configuration.pools:
        upstream = pools[pool.name]
        upstream.settings = pool
        upstream.failover = None if pool.capacity.failover is None else pools[pool.capacity.failover]
        servers = ready.members.known_ones(every, ready.servers[pool.name])
        every.update(servers)
        upstream.change_servers(servers)
        for former in worker.former_pools:
            if former.name == pool.name:
                former.change_servers(servers)  # for who is under way there, and tries once more
    worker.pools = list(pools.values())
    worker.decisions.forget_others(pools)
    waiting = [queue for queue in worker.queues if queue]
    queues = [pool.queue for pool in worker.pools if pool.queue is not None]
    worker.queues = queues + [queue for queue in waiting if queue not in queues]
    worker.reactor.after_batch = worker.after_batch if worker.queues else worker.book.write


def _in_place(before: ListenerRuntime | None, fresh: ListenerRuntime) -> ListenerRuntime:
    if before is None or not before.may_become(fresh):
        return fresh
    fresh.rate = before.rate
    before.become(fresh)
    return before


def _take_sockets(worker: Worker, ready: Next) -> None:
    runtimes = {runtime.name: runtime for runtime in worker.listeners}
    wanted = dict(ready.assignment.listening)
    for key in [key for key in worker.acceptors if key not in wanted]:
        worker.stop_accepting_on(key)
    for key, name in wanted.items():
        acceptor = worker.acceptors.get(key)
        if acceptor is not None:
            acceptor.listener = runtimes[name]
            continue
        opened = socket.socket(fileno=ready.opened[key])
        opened.setblocking(False)
        worker.acceptors[key] = Acceptor(worker, runtimes[name], opened)
        if worker.is_accepting:
            worker.reactor.accept_with(opened.fileno(), worker.acceptors[key].accept)
