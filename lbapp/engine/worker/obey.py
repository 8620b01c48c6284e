"""What the supervisor says to a worker, carried out.

Responsible for each message, and for what comes back. Knows nothing of why anything is said. Invariants: messages are carried out
in their order; what cannot be carried out leaves the worker as it was; when the supervisor is gone the worker drains and leaves.
"""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from lbapp.engine.channel import (
    AddressesChanged,
    Applied,
    Apply,
    Channel,
    ChannelClosed,
    CloseServer,
    CutOff,
    Discard,
    Drain,
    ListeningSockets,
    Message,
    Prepare,
    Prepared,
    ReopenLog,
    SendAway,
    ServersChanged,
    TlsChanged,
)
from lbapp.engine.questions import (
    Answer,
    EndInFlight,
    EndSession,
    ListCaptures,
    ListDecisions,
    Observe,
    PreviewDecision,
    Question,
    Unobserve,
)
from lbapp.engine.worker import generation, trail
from lbapp.engine.worker.decisions import preview
from lbapp.engine.worker.leaving import close_server, cut_off, drain, see_off
from lbapp.engine.worker.members import set_addresses
from lbapp.engine.worker.observers import Observer, tell_observers
from lbapp.engine.worker.sessions import end_session, list_sessions
from lbapp.model.tls import TlsMaterial

if TYPE_CHECKING:
    from lbapp.engine.worker.run import Worker

log = logging.getLogger("lbapp.worker")


async def receive_sockets(channel: Channel, fds: list[int], count: int) -> list[int]:
    """Return the descriptors that came with a message, and those that come behind it, as one message carries not many."""
    while len(fds) < count:
        more, more_fds = await channel.receive()
        if not isinstance(more, ListeningSockets):
            raise ChannelClosed(f"{type(more).__name__} before the last listening socket")
        fds = fds + more_fds
    return fds


async def obey(worker: Worker, channel: Channel, tasks: TaskGroup) -> None:
    """Carry out what the supervisor says, until it says or shows that the end has come."""
    ready: generation.Next | None = None
    try:
        while True:
            message, fds = await channel.receive()
            if isinstance(message, Drain):
                tasks.start_soon(drain, worker, message.timeout_s, tasks)
            elif isinstance(message, Prepare):
                fds = await receive_sockets(channel, fds, len(message.opened))
                _discard(ready)
                ready, answer = await _prepare(worker, message, fds)
                await channel.send(answer)
            elif isinstance(message, Apply) and ready is not None:
                _apply(worker, ready, tasks)
                ready = None
                await channel.send(Applied(message.generation))
            elif isinstance(message, Observe | Unobserve):
                _observe(worker, message, channel, tasks)
            elif isinstance(message, Question):
                await channel.send(_answer(worker, message))
            elif isinstance(message, Discard):
                _discard(ready)
                ready = None
            else:
                _carry_out(worker, message, tasks)
    except ChannelClosed:
        if not worker.is_draining:
            log.error("worker %d: the supervisor is gone; draining", os.getpid())
            await drain(worker, worker.limits.stop_timeout_s, tasks)


def _observe(worker: Worker, message: Observe | Unobserve, channel: Channel, tasks: TaskGroup) -> None:
    """Have somebody look on, or no longer."""
    was_observed = bool(worker.observers)
    if isinstance(message, Observe):
        worker.observers[message.number] = Observer(message)
    else:
        worker.observers.pop(message.number, None)
    trail.follow(worker, worker.assignment.configuration)
    if worker.observers and not was_observed:
        tasks.start_soon(_tell_observers, worker, channel)


async def _tell_observers(worker: Worker, channel: Channel) -> None:
    with suppress(ChannelClosed):  # `obey` sees that, too
        await tell_observers(worker, channel)


def _answer(worker: Worker, message: Question) -> Answer:
    if isinstance(message, ListCaptures):
        return Answer(message.number, captures=tuple(worker.captures.kept), skipped=worker.captures.skipped)
    if isinstance(message, EndSession):
        return Answer(message.number, is_done=end_session(worker, message.session, message.where))
    if isinstance(message, EndInFlight):
        return Answer(message.number, ended=tuple(close_server(worker, row) for row in message.servers))
    if isinstance(message, ListDecisions):
        latest = worker.decisions.latest(message.pool, message.client, message.limit)
        return Answer(message.number, decisions=latest)
    if isinstance(message, PreviewDecision):
        return Answer(message.number, decisions=preview(worker, message))
    return Answer(message.number, *list_sessions(worker, message.limit, message.where))


async def _prepare(worker: Worker, message: Prepare, fds: list[int]) -> tuple[generation.Next | None, Prepared]:
    number = message.assignment.generation
    opened = dict(zip(message.opened, fds, strict=True))
    try:
        ready = await anyio.to_thread.run_sync(generation.prepare, worker, message.assignment, opened)
    except (ssl.SSLError, OSError) as error:
        _close(fds)
        return None, Prepared(number, f"worker {worker.assignment.slot}: {error.strerror or error}")
    return ready, Prepared(number)


def _discard(ready: generation.Next | None) -> None:
    if ready is not None:
        _close(ready.opened.values())


def _close(fds: Iterable[int]) -> None:
    for fd in fds:
        os.close(fd)


def _apply(worker: Worker, ready: generation.Next, tasks: TaskGroup) -> None:
    if worker.is_draining:
        return
    had_memory = worker.memory is not None
    clients = generation.apply(worker, ready)
    if worker.memory is not None and not had_memory:
        tasks.start_soon(worker.memory.run)
    if clients:
        tasks.start_soon(see_off, clients, worker.limits.stop_timeout_s)


def _carry_out(worker: Worker, message: Message, tasks: TaskGroup) -> None:
    if isinstance(message, SendAway):
        worker.send_away(message, tasks)
    elif isinstance(message, AddressesChanged):
        set_addresses(worker, message.addresses)
    elif isinstance(message, ServersChanged):
        worker.members.change(worker, worker.assignment.configuration.pool(message.pool), message.servers)
    elif isinstance(message, TlsChanged):
        take_tls(worker, message.material)
    elif isinstance(message, CloseServer) and message.server in worker.servers:
        for pool in worker.pools:
            if message.server in pool.servers:
                pool.drain_is_over(message.server)
        close_server(worker, message.server)
    elif isinstance(message, ReopenLog):
        trail.reopen(worker)
    elif isinstance(message, CutOff):
        cut_off(list(worker.connections))


def take_tls(worker: Worker, material: TlsMaterial) -> None:
    """Take over certificates and authorities read anew; what cannot be used leaves what is in use."""
    try:
        worker.members.build_contexts(worker.assignment.configuration, material)
        worker.members.speak_tls(worker)
        for listener in worker.listeners:
            if listener.tls is not None:
                listener.tls.take(material)
    except (ssl.SSLError, OSError) as error:
        log.error("worker %d: new certificates cannot be used: %s", os.getpid(), error)
    else:
        worker.assignment = replace(worker.assignment, tls=material)
