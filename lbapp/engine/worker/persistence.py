"""Giving clients the server they had: by cookie, or by what the node remembers of them.

Responsible for putting together, for one pool, what `policy` decides with the request, the clock, the servers' states and the
table. Knows nothing of attempts: it is asked for a server, and asked again, with those tried, when one failed.

Invariants: a server that is DOWN or in MAINT is never given; one in DRAIN, or of weight 0, only to clients that had it; an
event in the table, a client's cookie or the disk never keeps a request from being served; the table is written to by a thread,
so that no disk holds up the data path.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from lbapp.engine.memory import Client, Memory, MemoryFailed
from lbapp.engine.policy.balance.base import ServerState
from lbapp.engine.policy.cookie import NOTHING, CookieReading, ServerCookie, set_cookie_lines
from lbapp.engine.policy.persistence import FirstChoice, Remembered, address_key, header_key, verdict_on
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.wire.cookies import field_pattern, take_cookie
from lbapp.engine.worker.known import Known, Said
from lbapp.model.entities import AlgorithmName, Configuration
from lbapp.model.limits import PERSISTENCE_PENDING_MAX, PERSISTENCE_WRITE_INTERVAL_S, Limits
from lbapp.model.persistence import Persistence, PersistenceType, PersistenceVerdict

if TYPE_CHECKING:
    from lbapp.engine.worker.common import CommonExchange
    from lbapp.engine.worker.pools import Told, UpstreamPool
    from lbapp.engine.worker.run import Worker
from lbapp.engine.worker.upstream import UpstreamServer

_V = PersistenceVerdict
_INSERTING: Final = frozenset((_V.NONE, _V.INVALID, _V.EXPIRED, _V.TOO_OLD))
log = logging.getLogger("lbapp.worker")


class Visit:
    """What a request's cookie said, what came of it, and the lines that its answer gets for it."""

    __slots__ = ("given", "lines", "reading", "verdict")

    def __init__(self, reading: CookieReading) -> None:
        self.reading = reading
        self.lines = b""
        self.verdict: PersistenceVerdict | None = None  # on the client that came
        self.given: PersistenceVerdict | None = None  # what it was given then


class CookiePersistence:
    """A pool whose clients carry the name of their server."""

    def __init__(self, pool: UpstreamPool, settings: Persistence) -> None:
        self._pool = pool
        self._settings = settings
        self._name = settings.cookie.encode()
        self._wanted = self._name + b"="
        self.servers_changed()

    def servers_changed(self) -> None:
        """Take over which servers the pool has."""
        ids = {each.id: row for row, each in self._pool.servers.items()}
        self._cookie = ServerCookie(self._pool.name, self._settings, ids)

    def look(self, states: Sequence[ServerState]) -> None:
        """Take over states: nothing to do, as the pool's algorithm chooses for new clients."""

    def choose_for_client(
        self, key: bytes, now_s: float, tried: tuple[int, ...], *, is_first: bool
    ) -> UpstreamServer | None:
        """Choose for a connection that has no cookies."""
        return self._pool.choose(key, now_s, tried)

    def choose(self, exchange: CommonExchange, tried: tuple[int, ...]) -> UpstreamServer | None:
        """Choose the server of an attempt, and have the answer give the client its cookie if it needs one."""
        now_s = time()
        visit = exchange.visit
        is_first = visit is None
        if visit is None:
            visit = exchange.visit = self._visit(exchange, now_s)
        reading, pool = visit.reading, self._pool
        verdict = reading.verdict
        server, pool.wanted = None, None
        if reading.server is not None:
            server = pool.remembered(reading.server, tried)
            if server is None:
                verdict = _V.SERVER_DOWN
        is_new = server is None
        if is_first:
            visit.verdict = verdict
            pool.cells.count_verdict(verdict)
        if server is None:
            client = exchange.client
            server = pool.choose(pool.key_of(client.key, exchange.head), client.reactor.now, tried)
        elif not pool.take(server):
            pool.wanted, server = reading.server, None
        if server is not None:
            if is_new:
                self._give(exchange, visit, (server.cells.index, now_s, now_s), _INSERTED_OR_UPDATED[verdict])
            elif self._cookie.is_to_be_renewed(reading, now_s):
                self._give(exchange, visit, (server.cells.index, now_s, reading.first_seen_s), _V.UPDATED)
        return server

    def explaining(self, told: Told) -> AbstractContextManager[None]:
        """See UpstreamPool."""
        return self._pool.explaining(told)

    def said(self, visit: Visit | None) -> Said:
        """Return what came of the last choice, which was for this visit."""
        return (None, None, None) if visit is None else (visit.verdict, visit.given, visit.reading.server)

    def knows(self, _client_key: bytes, _key: bytes) -> Known | None:
        """Return what is known of a client that brings no cookie: nothing."""
        return None

    def key_words(self, _exchange: CommonExchange | None) -> str:
        """Say by what clients are known that this chooses for by a hash: there are none."""
        return ""

    def _visit(self, exchange: CommonExchange, now_s: float) -> Visit:
        head = exchange.head
        if self._wanted not in head.fields:
            return Visit(NOTHING)
        values, rest = take_cookie(head.fields, self._name)
        if self._settings.indirect:
            head.fields = rest
        visit = Visit(NOTHING)
        for value in values[:2]:  # more than one is no browser's doing
            visit = Visit(self._cookie.read(value, now_s))
            if visit.reading.verdict is _V.VALID:
                break
        return visit

    def _give(
        self, exchange: CommonExchange, visit: Visit, what: tuple[int, float, float], verdict: PersistenceVerdict
    ) -> None:
        if not visit.lines:
            visit.given = verdict
            self._pool.cells.count_verdict(verdict)
        secure = b"Proto: https\r" in exchange.client.forwarded
        lines = set_cookie_lines(self._settings, self._cookie.write(*what), secure=secure)
        exchange.answer_lines = exchange.answer_lines.removesuffix(visit.lines) + lines
        visit.lines = lines


_INSERTED_OR_UPDATED: Final = {each: _V.INSERTED if each in _INSERTING else _V.UPDATED for each in _V}


_FIRST: Final = AlgorithmName.HASH.value  # by which the first server of a remembered client is chosen


class MemoryPersistence:
    """A pool whose clients are remembered by the node, by address or by a header field."""

    def __init__(self, pool: UpstreamPool, settings: Persistence, writer: MemoryWriter) -> None:
        self._pool = pool
        self._settings = settings
        self._writer = writer
        self._verdict: PersistenceVerdict | None = None  # of the last choice, where it was the first of its request
        self._given: PersistenceVerdict | None = None
        self._had: int | None = None  # the server remembered of the last client
        self.servers_changed()
        is_by_header = settings.type is PersistenceType.HEADER
        self._find = field_pattern(settings.header.encode()).search if is_by_header else None

    def servers_changed(self) -> None:
        """Take over which servers the pool has."""
        servers = self._pool.servers
        self._rows = {each.id.partition("/")[2]: row for row, each in servers.items()}
        self._able: frozenset[str] = frozenset(self._rows)
        self._first = FirstChoice([(row, each.id, each.server.weight) for row, each in servers.items()])

    def look(self, states: Sequence[ServerState]) -> None:
        """Take over which servers may have new clients, and which those they had."""
        self._first.update(frozenset([state.index for state in states if state.is_eligible]))
        self._able = frozenset(
            [name for name, row in self._rows.items() if self._pool.servers[row].may_have_remembered]
        )

    def choose(self, exchange: CommonExchange, tried: tuple[int, ...]) -> UpstreamServer | None:
        """Choose the server of an attempt, and remember it."""
        client = exchange.client
        visit = exchange.visit
        is_first = visit is None
        if visit is None:
            visit = exchange.visit = Visit(NOTHING)
        if self._find is None:
            server = self.choose_for_client(client.key, client.reactor.now, tried, is_first=is_first)
            self._note(visit)
            return server
        found = self._find(exchange.head.fields)
        if found is None or not found[1]:
            if is_first:
                visit.verdict = _V.NONE
                self._pool.cells.count_verdict(_V.NONE)
            self._pool.wanted = self._had = None
            key = self._pool.key_of(client.key, exchange.head)
            return self._pool.choose(key, client.reactor.now, tried)
        server = self._choose(header_key(found[1]), tried, is_first)
        self._note(visit)
        return server

    def _note(self, visit: Visit) -> None:
        """Have a request know what came of the choice that was made for it just now."""
        visit.verdict = visit.verdict if self._verdict is None else self._verdict
        visit.given = self._given or visit.given

    def choose_for_client(
        self, key: bytes, now_s: float, tried: tuple[int, ...], *, is_first: bool
    ) -> UpstreamServer | None:
        """Choose for a client known by its packed address. `is_first`: it was not asked for before."""
        settings = self._settings
        return self._choose(address_key(key, settings.ipv4_prefix, settings.ipv6_prefix), tried, is_first)

    def _choose(self, key: bytes, tried: tuple[int, ...], is_first: bool) -> UpstreamServer | None:
        pool, now_s = self._pool, time()
        pool.look_if_changed()
        pool.wanted = self._verdict = self._given = None
        remembered = self._writer.get(pool, key)
        verdict = verdict_on(remembered, now_s, self._rows, self._able)
        self._had = None if remembered is None else self._rows.get(remembered.server)
        if is_first:
            self._verdict = verdict
            pool.cells.count_verdict(verdict)
        ttl_s = self._settings.ttl_s
        if remembered is not None and verdict is _V.VALID and (row := self._rows[remembered.server]) not in tried:
            server = pool.servers[row]
            if not pool.take(server):
                pool.wanted = row
                return None
            if remembered.expires_s - now_s <= ttl_s * 7 / 8:
                self._remember(key, remembered.server, now_s, _V.UPDATED)
            return server
        chosen = self._first.choose_server(key, (*tried, *pool.full()))
        if chosen is None or not pool.take(pool.servers[chosen]):
            return None
        server = pool.servers[chosen]
        is_update = bool(tried) or verdict not in _INSERTING
        self._remember(key, server.id.partition("/")[2], now_s, _V.UPDATED if is_update else _V.INSERTED)
        return server

    @contextmanager
    def explaining(self, told: Told) -> Iterator[None]:
        """See UpstreamPool; also of what chooses the first server of who is to be remembered."""
        with self._pool.explaining(told), self._first.explaining(lambda each: told.append((_FIRST, each))):
            yield

    def said(self, visit: Visit | None) -> Said:
        """Return what came of the last choice, which was for this visit, or for a TCP connection."""
        return (*((self._verdict, self._given) if visit is None else (visit.verdict, visit.given)), self._had)

    def knows(self, client_key: bytes, value: bytes) -> Known | None:
        """Return what is known of a client by its packed address, or the value of its field; None: it has none."""
        settings, pool = self._settings, self._pool
        if self._find is None:
            key = address_key(client_key, settings.ipv4_prefix, settings.ipv6_prefix)
        elif value:
            key = header_key(value)
        else:
            return None
        remembered = self._writer.get(pool, key)
        verdict = verdict_on(remembered, time(), self._rows, self._able)
        had = "" if remembered is None else f"{pool.name}/{remembered.server}"
        row = self._rows[remembered.server] if remembered is not None and verdict is _V.VALID else None
        return Known(verdict, had, row, lambda full: (_FIRST, self._first.explain(key, full)))

    def key_words(self, exchange: CommonExchange | None) -> str:
        """Say by what a client is known that this chose for by a hash; empty: the pool's algorithm chose."""
        if self._find is None:
            return "client address"
        is_known = exchange is not None and (found := self._find(exchange.head.fields)) is not None and found[1]
        return f"header {self._settings.header}" if is_known else ""

    def _remember(self, key: bytes, server: str, now_s: float, verdict: PersistenceVerdict) -> None:
        remembered = Remembered(server, int(now_s + self._settings.ttl_s))
        if self._writer.put((self._pool.name, key), remembered):
            self._given = verdict
            self._pool.cells.count_verdict(verdict)
        else:
            self._pool.cells.add(at.POOL_NOT_REMEMBERED, 1)


class MemoryWriter:
    """The table as this worker uses it: what is to be written waits for the thread that writes, and is found meanwhile."""

    def __init__(self, memory: Memory | None) -> None:
        self._memory = memory
        self._waiting: dict[Client, Remembered] = {}
        self._being_written: dict[Client, Remembered] = {}
        self.pools: dict[str, UpstreamPool] = {}
        self._is_failing = memory is None
        self._error: MemoryFailed | None = None  # of the last write

    def get(self, pool: UpstreamPool, key: bytes) -> Remembered | None:
        """Return what is remembered of a client of a pool."""
        client = (pool.name, key)
        found = self._waiting.get(client) or self._being_written.get(client)
        if found is None and self._memory is not None:
            try:
                return self._memory.get(pool.name, key)
            except MemoryFailed as error:
                self._failed(Counter([pool.name]), error)
        return found

    def put(self, client: Client, remembered: Remembered) -> bool:
        """Remember a client. Returns whether there was room for it."""
        if self._memory is None or (len(self._waiting) >= PERSISTENCE_PENDING_MAX and client not in self._waiting):
            return False
        self._waiting[client] = remembered
        return True

    async def run(self) -> None:
        """Write what is waiting, again and again."""
        while True:
            await anyio.sleep(PERSISTENCE_WRITE_INTERVAL_S)
            if self._waiting:
                batch = self._take()
                await anyio.to_thread.run_sync(self._write, batch)
                self._written()

    def write_last(self) -> None:
        """Write what is waiting, before the worker leaves."""
        if self._waiting:
            self._write(self._take())
            self._written()

    def _take(self) -> dict[Client, Remembered]:
        batch = self._being_written = self._waiting
        self._waiting = {}
        self._error = None
        return batch

    def _write(self, batch: dict[Client, Remembered]) -> None:
        assert self._memory is not None
        try:
            self._memory.write(batch, time())
        except MemoryFailed as error:
            self._error = error

    def _written(self) -> None:
        batch, self._being_written = self._being_written, {}
        if self._error is not None:
            self._failed(Counter([pool for pool, _ in batch]), self._error)
        else:
            self._is_failing = False

    def _failed(self, clients: Counter[str], error: MemoryFailed) -> None:
        for pool, count in clients.items():
            self.pools[pool].cells.add(at.POOL_NOT_REMEMBERED, count)
        if not self._is_failing:
            self._is_failing = True
            log.warning("clients are not remembered, a hash says where they go: %s", error)


PoolPersistence = CookiePersistence | MemoryPersistence


def open_writer(path: Path, limits: Limits) -> MemoryWriter:
    """Open the table of the node. Where that fails nobody is remembered, and each client that is not is counted."""
    try:
        memory = Memory(path, limits.persistence_entries_max, limits.persistence_bytes_max)
    except MemoryFailed as error:
        log.warning("clients are not remembered, a hash says where they go: %s", error)
        return MemoryWriter(None)
    return MemoryWriter(memory)


def persist(worker: Worker, configuration: Configuration, file_name: str) -> MemoryWriter | None:
    """Give each pool of a worker its persistence, where it has none yet.

    Returns the writer of the table, the one that there is or a new one, if a pool needs it. It has to be run.
    """
    writer, state_dir = worker.memory, configuration.engine.state_dir
    for pool in worker.pools:
        settings = pool.settings.persistence
        if settings is None or pool.persistence is not None:
            continue
        if settings.type is PersistenceType.COOKIE:
            pool.persist_with(CookiePersistence(pool, settings))
            continue
        if writer is None:
            limits = configuration.limits
            writer = open_writer(Path(state_dir) / file_name, limits) if state_dir else MemoryWriter(None)
        writer.pools[pool.name] = pool
        pool.persist_with(MemoryPersistence(pool, settings, writer))
    return writer
