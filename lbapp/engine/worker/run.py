"""A worker process: told what to serve, serves it, leaves when told.

Responsible for the worker's life and for what its parts share. Knows nothing of configuration files or of the other
workers.

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
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from resource import RLIMIT_NOFILE, getrlimit
from time import monotonic, monotonic_ns
from weakref import WeakSet

import anyio
import anyio.lowlevel
import anyio.to_thread
from anyio.abc import TaskGroup

from lbapp.engine.channel import (
    Assignment,
    Channel,
    ChannelClosed,
    SendAway,
    Serving,
)
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.scoreboard.segment import Segment
from lbapp.engine.scoreboard.totals import clear_gauges
from lbapp.engine.worker import generation
from lbapp.engine.worker.accept import Acceptor, ListenerRuntime
from lbapp.engine.worker.admission import Doorkeeper
from lbapp.engine.worker.captures import Captures
from lbapp.engine.worker.clients import Clients
from lbapp.engine.worker.decisions import Decisions
from lbapp.engine.worker.downstream import Downstream
from lbapp.engine.worker.leaving import ask_to_leave, tell_what_is_open
from lbapp.engine.worker.members import Members
from lbapp.engine.worker.obey import obey, receive_sockets
from lbapp.engine.worker.observers import Observer
from lbapp.engine.worker.pace import Pace
from lbapp.engine.worker.persistence import MemoryWriter
from lbapp.engine.worker.pools import UpstreamPool
from lbapp.engine.worker.queueing import PoolQueue
from lbapp.engine.worker.reactor import Reactor, portions
from lbapp.engine.worker.record import Book
from lbapp.engine.worker.relay import Pipes
from lbapp.engine.worker.trail import Trail, look_after
from lbapp.engine.worker.upstream import UpstreamServer
from lbapp.model.descriptors import pipes_max
from lbapp.model.limits import HEARTBEAT_INTERVAL_S, SWEEP_INTERVAL_S, THREAD_SWITCH_INTERVAL_S, Limits
from lbapp.model.states import WorkerPhase
from lbapp.process import begin_log, name_process

log = logging.getLogger("lbapp.worker")


@dataclass
class Worker:
    """What the connections of one worker share. `listeners`, `pools` and `servers` are those of the present generation."""

    reactor: Reactor
    segment: Segment
    assignment: Assignment
    book: Book = field(default_factory=Book)
    pipes: Pipes = field(default_factory=Pipes)
    connections: set[Downstream] = field(default_factory=set)
    acceptors: dict[str, Acceptor] = field(default_factory=dict)  # by the name of their socket
    listeners: list[ListenerRuntime] = field(default_factory=list)
    pools: list[UpstreamPool] = field(default_factory=list)
    former_pools: WeakSet[UpstreamPool] = field(default_factory=WeakSet)  # under way when they were replaced
    servers: dict[int, UpstreamServer] = field(default_factory=dict)  # by row; also those that finish what they have
    queues: list[PoolQueue] = field(default_factory=list)
    memory: MemoryWriter | None = None  # when a pool remembers its clients
    trail: Trail | None = None  # where there is an access log, or somebody looks on
    observers: dict[int, Observer] = field(default_factory=dict)  # by number
    is_telling: bool = False  # there is a task that tells observers
    captures: Captures = field(default_factory=Captures)
    decisions: Decisions = field(default_factory=Decisions)
    accepted: int = 0  # connections so far
    limits: Limits = field(init=False)
    block: int = field(init=False)  # the first cell of the worker's own block
    members: Members = field(init=False)
    clients: Clients = field(init=False)
    doorkeeper: Doorkeeper = field(init=False)
    pace: Pace = field(init=False)
    faults_before: int = field(init=False)  # of the workers that had the slot before
    log_lines_dropped: int = field(init=False)  # by them, and by logs that this one had before
    is_draining: bool = False
    is_sending_away: bool = False  # connections are closed behind their next answer
    is_accepting: bool = False

    def __post_init__(self) -> None:
        """Begin with nothing to serve."""
        self.limits = self.assignment.configuration.limits
        self.block = self.segment.layout.worker(self.assignment.slot)
        self.clients = Clients(self.segment, self.assignment.slot)
        self.doorkeeper = Doorkeeper(self)
        self.is_sending_away = self.assignment.is_sent_away
        self.faults_before = self.segment.cells[self.block + at.WORKER_FAULTS]
        self.log_lines_dropped = self.segment.cells[self.block + at.WORKER_LOG_LINES_DROPPED]

    def start_accepting(self) -> None:
        """Accept on every listening socket."""
        self.is_accepting = True
        for acceptor in self.acceptors.values():
            self.reactor.accept_with(acceptor.socket.fileno(), acceptor.accept)

    def pause_accepting(self) -> None:
        """Leave new clients in the kernel's queue for a moment (see `look_after_servers`): there are no descriptors for them."""
        self.is_accepting = False
        for acceptor in self.acceptors.values():
            self.reactor.stop_accepting(acceptor.socket.fileno())

    def stop_accepting(self) -> None:
        """Take in who is in the queue already, and was promised an answer, and nobody more."""
        for key in list(self.acceptors):
            self.stop_accepting_on(key)
        self.is_draining = self.is_sending_away = True
        self.is_accepting = False

    def stop_accepting_on(self, key: str) -> None:
        """Take in who is in the queue of one socket, and nobody more."""
        acceptor = self.acceptors.pop(key)
        while acceptor.accept():
            pass
        self.reactor.stop_accepting(acceptor.socket.fileno())
        # The supervisor holds this socket too. If it is gone, new clients are refused, and another engine may bind.
        acceptor.socket.close()

    def send_away(self, message: SendAway, tasks: TaskGroup) -> None:
        """Ask clients to leave, or nobody any more."""
        if self.is_draining:
            return
        self.is_sending_away = message.is_on
        clients = list(self.connections)
        for client in clients:
            client.is_to_close = message.is_on
        if message.is_on:
            tasks.start_soon(ask_to_leave, clients)

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
        self.decisions.arm(self.pools)
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
        tell_what_is_open(self.servers.values(), self.connections)
        for listener in self.listeners:
            listener.cells.set_in_flight(in_flight[listener])
        cells = self.segment.cells
        cells[self.block + at.WORKER_CONNECTIONS] = len(self.connections)
        cells[self.block + at.WORKER_FAULTS] = self.faults_before + self.reactor.faults
        look_after(self)


def build_worker(reactor: Reactor, segment: Segment, assignment: Assignment, listening: list[int]) -> Worker:
    """Put a worker together from what it was assigned. `listening`: descriptors, in the order of `assignment.listening`."""
    worker = Worker(reactor, segment, assignment)
    worker.clients.clear()
    descriptors, _ = getrlimit(RLIMIT_NOFILE)
    worker.pipes = Pipes(pipes_max(descriptors))
    keys = [key for key, _ in assignment.listening]
    generation.apply(worker, generation.prepare(worker, assignment, dict(zip(keys, listening, strict=True))))
    return worker


async def _receive_assignment(channel: Channel) -> tuple[Assignment, Segment, list[int]]:
    message, fds = await channel.receive()
    if not isinstance(message, Assignment):
        raise ChannelClosed(f"{type(message).__name__} before the assignment")
    fds = await receive_sockets(channel, fds, 1 + len(message.listening))
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


async def serve(channel: Channel, reactor: Reactor) -> None:
    """Live a worker's life: from the assignment to the end of the drain."""
    assignment, segment, listening = await _receive_assignment(channel)
    block = segment.layout.worker(assignment.slot)
    clear_gauges(segment, assignment.slot)
    segment.cells[block + at.WORKER_PID] = os.getpid()
    segment.cells[block + at.WORKER_PHASE] = WorkerPhase.STARTING
    segment.cells[block + at.WORKER_HEARTBEAT_NS] = monotonic_ns()
    worker = build_worker(reactor, segment, assignment, listening)
    # What exists now lives as long as the worker: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    gc.enable()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_beat, worker)
        tasks.start_soon(_sweep, worker)
        if worker.memory is not None:
            tasks.start_soon(worker.memory.run)
        worker.start_accepting()
        segment.cells[block + at.WORKER_PHASE] = WorkerPhase.SERVING
        await channel.send(Serving(os.getpid()))
        tasks.start_soon(obey, worker, channel, tasks)
    for client in list(worker.connections):
        client.close()
    if worker.memory is not None:
        worker.memory.write_last()
    if worker.trail is not None:
        worker.trail.end()
        look_after(worker)
    segment.cells[block + at.WORKER_PHASE] = WorkerPhase.GONE


def main() -> int:
    """Run the worker whose end of the channel is the descriptor named on the command line."""
    name_process("lbapp-worker")
    begin_log("lbapp", "this worker")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the supervisor decides
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
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
