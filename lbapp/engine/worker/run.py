"""A worker process: told what to serve, serves it, leaves when told.

Responsible for the worker's life and for what its parts share. Knows nothing of configuration files or of the other
workers. Started by the supervisor as `python -m lbapp.engine.worker.run FD`, where FD is its end of the channel.

Invariants: the worker writes only the cells of its own slot; when the supervisor is gone the worker drains and leaves; it
leaves no later than its drain's timeout.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import ssl
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import monotonic, monotonic_ns

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from lbapp.engine.channel import (
    AddressesChanged,
    Assignment,
    Channel,
    ChannelClosed,
    CloseServer,
    Drain,
    ListeningSockets,
    Message,
    ServersChanged,
    Serving,
    TlsChanged,
)
from lbapp.engine.memory import FILE_NAME
from lbapp.engine.policy.routing import compile_routes
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.scoreboard.segment import Segment
from lbapp.engine.scoreboard.totals import clear_gauges
from lbapp.engine.worker import admission
from lbapp.engine.worker.accept import Acceptor, ListenerRuntime
from lbapp.engine.worker.admission import Doorkeeper
from lbapp.engine.worker.downstream import Downstream
from lbapp.engine.worker.limited import LimitedPool
from lbapp.engine.worker.members import Members, set_addresses
from lbapp.engine.worker.pace import Pace
from lbapp.engine.worker.persistence import MemoryWriter, set_up
from lbapp.engine.worker.pools import UpstreamPool
from lbapp.engine.worker.queueing import PoolQueue
from lbapp.engine.worker.reactor import Aborted, Reactor, portions
from lbapp.engine.worker.record import Book, InFlightReader, ListenerCells, PoolCells
from lbapp.engine.worker.relay import Pipes
from lbapp.engine.worker.upstream import UpstreamServer
from lbapp.model.limits import HEARTBEAT_INTERVAL_S, SWEEP_INTERVAL_S, THREAD_SWITCH_INTERVAL_S, Limits
from lbapp.model.states import WorkerPhase
from lbapp.model.tls import TlsMaterial

_IDLE_GRACE_S = 1.0  # a client idle at the drain may already have sent its next request
log = logging.getLogger("lbapp.worker")


@dataclass
class Worker:
    """What the connections of one worker share."""

    reactor: Reactor
    limits: Limits
    segment: Segment
    block: int  # the first cell of the worker's own block
    book: Book
    members: Members
    pipes: Pipes = field(default_factory=Pipes)
    connections: set[Downstream] = field(default_factory=set)
    acceptors: list[Acceptor] = field(default_factory=list)
    listeners: list[ListenerRuntime] = field(default_factory=list)
    pools: list[UpstreamPool] = field(default_factory=list)
    servers: dict[int, UpstreamServer] = field(default_factory=dict)
    queues: list[PoolQueue] = field(default_factory=list)
    memory: MemoryWriter | None = None  # when a pool remembers its clients
    doorkeeper: Doorkeeper = field(init=False)
    pace: Pace = field(init=False)
    faults_before: int = 0  # of the workers that had the slot before
    is_draining: bool = False
    is_accepting: bool = False

    def start_accepting(self) -> None:
        """Accept on every listening socket."""
        self.is_accepting = True
        for acceptor in self.acceptors:
            self.reactor.accept_with(acceptor.socket.fileno(), acceptor.accept)

    def pause_accepting(self) -> None:
        """Leave new clients in the kernel's queue for a moment (see `look_after_servers`): there are no descriptors for them."""
        self.is_accepting = False
        for acceptor in self.acceptors:
            self.reactor.stop_accepting(acceptor.socket.fileno())

    def stop_accepting(self) -> None:
        """Take in who is in the queue already, and was promised an answer, and nobody more."""
        for acceptor in self.acceptors:
            while acceptor.accept():
                pass
        self.is_draining = True
        self.pause_accepting()
        for acceptor in self.acceptors:
            # The supervisor holds this socket too. If it is gone, new clients are refused, and another engine may bind.
            acceptor.socket.close()

    def connection_closed(self, client: Downstream) -> None:
        """Forget a downstream connection."""
        self.connections.discard(client)

    def after_batch(self) -> None:
        """Give those who wait for room what the exchanges of a batch of events have left, and write the book."""
        for queue in self.queues:
            if queue:
                queue.look()
        self.book.write()

    def look_after_servers(self) -> Iterator[None]:
        """Look after pools, connections that are idle and a pause in accepting. Yields where others may go in between."""
        for pool in self.pools:
            pool.look(self.reactor.now)
            pool.look_at_requests()
        for server in self.servers.values():
            server.close_idle(self.limits.idle_connection_timeout_s)
            server.cells.set_idle(len(server.idle))
        if not self.is_accepting and not self.is_draining:
            self.start_accepting()
        yield

    def look_after_clients(self) -> Iterator[None]:
        """Look after clients that have an exchange or a tunnel under way, and say how many there are. Yields likewise."""
        in_flight: Counter[ListenerRuntime] = Counter()
        self.pace.begin()
        for some in portions(list(self.connections)):
            busy = [client for client in some if client.fd >= 0 and not client.is_idle]
            self.pace.look(busy, self.reactor.now)
            in_flight.update([client.listener for client in busy])
            yield
        for listener in self.listeners:
            listener.cells.set_in_flight(in_flight[listener])
        cells = self.segment.cells
        cells[self.block + at.WORKER_CONNECTIONS] = len(self.connections)
        cells[self.block + at.WORKER_FAULTS] = self.faults_before + self.reactor.faults


def build_worker(reactor: Reactor, segment: Segment, assignment: Assignment, listening: list[int]) -> Worker:
    """Put a worker together from what it was assigned. `listening`: descriptors, in the order of `assignment.listening`."""
    slot, rows, configuration = assignment.slot, assignment.rows, assignment.configuration
    book = Book()
    members_of = Members(reactor, segment, slot, book, configuration.limits)
    worker = Worker(reactor, configuration.limits, segment, segment.layout.worker(slot), book, members_of)
    load = InFlightReader(segment)
    pools: dict[str, UpstreamPool] = {}
    for pool in configuration.pools:
        servers = {rows.servers[server.id]: server for server in pool.servers}
        members = worker.members.make(pool, servers or assignment.discovered.get(pool.name, {}))
        worker.servers.update(members)
        kind = LimitedPool if pool.is_limited else UpstreamPool
        pools[pool.name] = kind(pool, PoolCells(segment, slot, rows.pools[pool.name]), members, load)
    for pool in configuration.pools:
        if pool.capacity.failover is not None:
            pools[pool.name].failover = pools[pool.capacity.failover]
    worker.queues = [pool.queue for pool in pools.values() if pool.queue is not None]
    reactor.after_batch = worker.after_batch if worker.queues else book.write
    entities = [(each, pools[each.name]) for each in configuration.pools]
    worker.memory = set_up(entities, configuration.engine.state_dir, configuration.limits, FILE_NAME)
    runtimes = {
        listener.name: ListenerRuntime(
            listener,
            ListenerCells(segment, slot, rows.listeners[listener.name], book),
            compile_routes(listener),
            pools,
            assignment.tls,
        )
        for listener in configuration.listeners
    }
    worker.faults_before = segment.cells[worker.block + at.WORKER_FAULTS]
    worker.pools.extend(pools.values())
    worker.listeners.extend(runtimes.values())
    worker.pace = Pace(configuration.limits)
    admission.set_up(worker, configuration, slot, rows.listeners)
    set_addresses(worker, assignment.addresses)
    worker.members.speak_tls(worker, configuration, assignment.tls)
    for name, fd in zip(assignment.listening, listening, strict=True):
        sock = socket.socket(fileno=fd)
        sock.setblocking(False)
        worker.acceptors.append(Acceptor(worker, runtimes[name], sock))
    return worker


def take_tls(worker: Worker, assignment: Assignment, material: TlsMaterial) -> None:
    """Take over certificates and authorities read anew; what cannot be used leaves what is in use."""
    try:
        worker.members.speak_tls(worker, assignment.configuration, material)
        for listener in worker.listeners:
            if listener.tls is not None:
                listener.tls.take(material)
    except (ssl.SSLError, OSError) as error:
        log.error("worker %d: new certificates cannot be used: %s", os.getpid(), error)


async def _receive_assignment(channel: Channel) -> tuple[Assignment, Segment, list[int]]:
    message, fds = await channel.receive()
    if not isinstance(message, Assignment):
        raise ChannelClosed(f"{type(message).__name__} before the assignment")
    while len(fds) < 1 + len(message.listening):
        more, more_fds = await channel.receive()
        if not isinstance(more, ListeningSockets):
            raise ChannelClosed(f"{type(more).__name__} before the last listening socket")
        fds += more_fds
    return message, Segment.attach(fds[0]), fds[1:]


async def _beat(worker: Worker) -> None:
    while True:
        worker.segment.cells[worker.block + at.WORKER_HEARTBEAT_NS] = monotonic_ns()
        await anyio.sleep(HEARTBEAT_INTERVAL_S)


async def _sweep(worker: Worker) -> None:
    while True:
        await anyio.sleep(SWEEP_INTERVAL_S)
        # With thousands of connections each of these takes a millisecond: those who have bytes waiting go in between.
        for look in (worker.reactor.sweep, worker.look_after_servers, worker.look_after_clients):
            for _ in look():
                await anyio.lowlevel.checkpoint()


async def _drain(worker: Worker, timeout_s: float, tasks: TaskGroup) -> None:
    """Serve what is there and nothing new; then end the process's task group."""
    worker.stop_accepting()
    worker.segment.cells[worker.block + at.WORKER_PHASE] = WorkerPhase.DRAINING
    deadline = monotonic() + timeout_s
    for client in list(worker.connections):
        client.is_to_close = True
    grace_ends = min(deadline, monotonic() + _IDLE_GRACE_S)
    while worker.connections and monotonic() < grace_ends:
        await anyio.sleep(0.02)
    for client in list(worker.connections):
        client.finish()
    while worker.connections and monotonic() < deadline:
        await anyio.sleep(0.02)
    for queue in worker.queues:
        queue.end()
    for server in worker.servers.values():
        server.close_all()
    for client in list(worker.connections):
        client.interrupt(Aborted())
        client.interrupt_writer(Aborted())
    tasks.cancel_scope.cancel()


async def _obey(worker: Worker, assignment: Assignment, channel: Channel, tasks: TaskGroup) -> None:
    """Carry out what the supervisor says, until it says or shows that the end has come."""
    try:
        while True:
            message, _ = await channel.receive()
            if isinstance(message, Drain):
                tasks.start_soon(_drain, worker, message.timeout_s, tasks)
            else:
                _carry_out(worker, assignment, message)
    except ChannelClosed:
        if not worker.is_draining:
            log.error("worker %d: the supervisor is gone; draining", os.getpid())
            await _drain(worker, worker.limits.stop_timeout_s, tasks)


def _carry_out(worker: Worker, assignment: Assignment, message: Message) -> None:
    if isinstance(message, AddressesChanged):
        set_addresses(worker, message.addresses)
    elif isinstance(message, ServersChanged):
        worker.members.change(worker, assignment.configuration.pool(message.pool), message.servers)
    elif isinstance(message, TlsChanged):
        take_tls(worker, assignment, message.material)
    elif isinstance(message, CloseServer):
        for pool in worker.pools:
            if message.server in pool.servers:
                pool.drain_is_over(message.server)
        worker.servers[message.server].close_all()


async def serve(channel: Channel, reactor: Reactor) -> None:
    """Live a worker's life: from the assignment to the end of the drain."""
    assignment, segment, listening = await _receive_assignment(channel)
    block = segment.layout.worker(assignment.slot)
    clear_gauges(segment, assignment.slot)
    segment.cells[block + at.WORKER_PID] = os.getpid()
    segment.cells[block + at.WORKER_GENERATION] = assignment.generation
    segment.cells[block + at.WORKER_PHASE] = WorkerPhase.STARTING
    segment.cells[block + at.WORKER_HEARTBEAT_NS] = monotonic_ns()
    worker = build_worker(reactor, segment, assignment, listening)
    # What exists now lives as long as the worker: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_beat, worker)
        tasks.start_soon(_sweep, worker)
        if worker.memory is not None:
            tasks.start_soon(worker.memory.run)
        worker.start_accepting()
        segment.cells[block + at.WORKER_PHASE] = WorkerPhase.SERVING
        await channel.send(Serving(os.getpid()))
        tasks.start_soon(_obey, worker, assignment, channel, tasks)
    for client in list(worker.connections):
        client.close()
    if worker.memory is not None:
        worker.memory.write_last()
    segment.cells[block + at.WORKER_PHASE] = WorkerPhase.GONE


def main() -> int:
    """Run the worker whose end of the channel is the descriptor named on the command line."""
    logging.basicConfig(stream=sys.stderr, format="lbapp[%(process)d] %(levelname)s %(message)s", level=logging.INFO)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the supervisor decides
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    sys.setswitchinterval(THREAD_SWITCH_INTERVAL_S)  # what a thread works out must not hold up the event loop
    reactor = Reactor(monotonic)
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    try:
        anyio.run(
            serve,
            channel,
            reactor,
            backend="asyncio",
            backend_options={"loop_factory": lambda: asyncio.SelectorEventLoop(reactor)},
        )
    except ChannelClosed:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
