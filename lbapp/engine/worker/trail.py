"""What is left of an exchange when it has ended: a line of the access log.

Responsible for putting a record together from what the data path knows, and for handing it on. Knows nothing of how a line gets
to its target. The common exchange has a way of its own, which makes the same line with less work: a test holds both against each
other.

Invariants: every exchange and every TCP connection of a listener that is logged leaves one line, or is counted as dropped;
nothing here waits; a listener that is not logged costs one comparison an exchange.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from time import monotonic, time
from typing import TYPE_CHECKING, Final, NamedTuple

from lbapp.engine.policy.ending import phase_before_server, phase_of
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.wire.access_line import (
    COMBINED_HEADERS,
    LINE_OF,
    Verdicts,
    json_client,
    json_second,
    json_server,
    json_text,
    json_trace,
    persistence_text,
)
from lbapp.engine.wire.cookies import field_pattern
from lbapp.engine.wire.heads import RequestHead
from lbapp.engine.worker.client_text import client_of
from lbapp.engine.worker.log_writer import LogWriter
from lbapp.engine.worker.observers import Observer
from lbapp.model.access_log import AccessLog, LogFormat, LogTarget
from lbapp.model.entities import Configuration
from lbapp.model.exchange_record import ExchangeRecord
from lbapp.model.limits import LOG_TARGET_BYTES_MAX
from lbapp.model.outcomes import Outcome, Phase

if TYPE_CHECKING:
    from lbapp.engine.worker.common import CommonExchange
    from lbapp.engine.worker.downstream import Downstream
    from lbapp.engine.worker.run import Worker
    from lbapp.engine.worker.upstream import UpstreamServer

_MILLIS: Final = tuple(f"{each:03d}" for each in range(1000))
_KNOWN_MAX: Final = 4096  # methods and hosts whose quoted form is kept
_SERVERS_KNOWN_MAX: Final = 16_384  # servers likewise: they come and go while a log goes on


class ConnectionEnd(NamedTuple):
    """How a TCP connection ended. `started` in monotonic seconds; `connect_us` -1: no server was reached.

    `persistence`: what was found of the client, and what it was given.
    """

    started: float
    outcome: Outcome
    pool: str
    server: str = ""
    attempts: int = 0
    connect_us: int = -1
    moved: tuple[int, int] = (0, 0)
    persistence: Verdicts = (None, None)

    @property
    def phase(self) -> Phase | None:
        """How far it had come; None: it was complete."""
        return phase_of(
            self.outcome,
            has_answered=self.connect_us >= 0,
            was_sent=False,
            has_server=bool(self.server),
            has_waited=False,
        )


class Trail:
    """What the listeners of one worker leave behind: lines of a log, where there is one, and what observers see."""

    def __init__(self, settings: AccessLog, observers: Mapping[int, Observer]) -> None:
        self.settings = settings
        self._observers = observers
        self._writer = None if settings.target is LogTarget.OFF else LogWriter(settings)
        self._line_of = LINE_OF[settings.format]
        names = settings.headers if settings.format is LogFormat.JSON else ()
        if settings.format is LogFormat.COMBINED:
            names = COMBINED_HEADERS
        self._finders = tuple((name, field_pattern(name.encode()).search) for name in names)
        may_be_quick = settings.format is LogFormat.JSON and not names
        self._add_quickly = None if self._writer is None or not may_be_quick else self._writer.add
        self._second_began = self._stamped_s = -math.inf  # on the monotonic clock
        self._second = self._stamp = ""
        self._quoted: dict[bytes, str] = {}
        self._servers: dict[str, str] = {}
        self._clock_offset_s = 0.0
        self.look_at_the_clock()

    def look_at_the_clock(self) -> None:
        """Take over where the clock is: it may have been set."""
        self._clock_offset_s = time() - monotonic()
        self._second_began = self._stamped_s = -math.inf

    def reopen(self) -> None:
        """See LogWriter."""
        if self._writer is not None:
            self._writer.reopen()

    @property
    def dropped(self) -> int:
        """See LogWriter."""
        return 0 if self._writer is None else self._writer.dropped

    def finish(self) -> None:
        """See LogWriter."""
        if self._writer is not None:
            self._writer.finish()

    def end(self) -> None:
        """See LogWriter."""
        if self._writer is not None:
            self._writer.end()

    def common_exchange_ended(self, exchange: CommonExchange, server: UpstreamServer, now: float) -> None:
        """Write down a common exchange that completed: hot. Targets are printable ASCII, as every parser makes sure."""
        head, client, visit, started = exchange.head, exchange.client, exchange.visit, exchange.started
        host, target = (head.host, head.target) if head.asked is None else head.asked
        text = target.decode("latin-1")
        if (
            self._observers
            or '"' in text
            or "\\" in text
            or len(text) > LOG_TARGET_BYTES_MAX
            or self._add_quickly is None
        ):
            self.exchange_ended(exchange, Outcome.COMPLETED, None, client.bytes_in, exchange.bytes_out)
            return
        if started != self._stamped_s:
            self._stamp_at(started)
        quoted = self._quoted
        try:
            method, host_text, names = quoted[head.method], quoted[host], self._servers[server.id]
        except KeyError:
            method, host_text, names = self._quote(head.method), self._quote(host), self._name(server.id)
        self._add_quickly(
            f'{self._stamp}{client.logged_as or _client_text(client)}"method":{method},"host":{host_text},'
            f'"target":"{text}","version":"1.1","status":{exchange.status},{names}"bytes_in":{client.bytes_in},'
            f'"bytes_out":{exchange.bytes_out},"queue_us":0,"connect_us":0,"first_byte_us":{exchange.first_byte_us},'
            f'"total_us":{int((now - started) * 1e6)},"attempts":1,'
            f'"persistence":{"null" if visit is None else persistence_text((visit.verdict, visit.given))},'
            f'"outcome":"completed","ended_by":null,"phase":null'
            f"{'' if head.trace is None else json_trace(*head.trace)}}}\n"
        )

    def _stamp_at(self, started: float) -> None:
        """Have the stamp be that of a moment, which all exchanges that begin in one batch of events share."""
        since_s = started - self._second_began
        if not 0.0 <= since_s < 1.0:
            since_s = self._begin_second(started)
        self._stamp = f'{self._second}{_MILLIS[int(since_s * 1000)]}Z",'
        self._stamped_s = started

    def _begin_second(self, started: float) -> float:
        """Take over the second of a moment; return how much of it had passed then."""
        at_s = started + self._clock_offset_s
        second = int(at_s)
        self._second = json_second(second)
        self._second_began = second - self._clock_offset_s
        return min(max(0.0, started - self._second_began), 0.9999)

    def exchange_ended(
        self, exchange: CommonExchange, outcome: Outcome, phase: Phase | None, bytes_in: int, bytes_out: int
    ) -> None:
        """Write down an exchange, whatever became of it."""
        head, server, visit = exchange.head, exchange.server, exchange.visit
        record = self._record(exchange.client, head, exchange.started)
        record.status, record.bytes_in, record.bytes_out = exchange.status, bytes_in, bytes_out
        record.outcome, record.phase = outcome, phase
        record.pool = exchange.pool.name
        record.queue_us = exchange.queue_us
        if server is not None:
            record.server, record.attempts = server.id, exchange.retries + 1
            record.connect_us, record.first_byte_us = exchange.connect_us, exchange.first_byte_us
        if visit is not None:
            record.verdict, record.given = visit.verdict, visit.given
        self._leave(exchange.client, record)

    def answered(
        self, client: Downstream, head: RequestHead | None, outcome: Outcome, status: int, bytes_out: int
    ) -> None:
        """Write down a request that lbapp answered itself; `head` None: it was not understood."""
        record = self._record(client, head, client.reactor.now)
        record.outcome, record.status, record.bytes_out = outcome, status, bytes_out
        record.bytes_in = 0 if head is None else client.bytes_in
        record.phase = phase_before_server(outcome)
        self._leave(client, record)

    def connection_ended(self, client: Downstream, ended: ConnectionEnd) -> None:
        """Write down a TCP connection."""
        record = self._record(client, None, ended.started)
        record.pool, record.outcome = ended.pool, ended.outcome
        record.bytes_in, record.bytes_out = ended.moved
        record.server, record.attempts, record.connect_us = ended.server, ended.attempts, ended.connect_us
        record.verdict, record.given = ended.persistence
        record.phase = ended.phase
        self._leave(client, record)

    def _leave(self, client: Downstream, record: ExchangeRecord) -> None:
        if self._writer is not None and client.listener.settings.is_logged:
            self._writer.add(self._line_of(record))
        for observer in self._observers.values():
            observer.see(record)

    def _record(self, client: Downstream, head: RequestHead | None, started: float) -> ExchangeRecord:
        address, port = client_of(client)
        record = ExchangeRecord(started + self._clock_offset_s, address, port, client.listener.name)
        record.total_us = int((monotonic() - started) * 1e6)
        record.connections = client.listener.cells.connections()
        if head is not None:
            record.method, record.version = head.method, head.version
            record.trace = head.trace
            record.host, record.target = (head.host, head.target) if head.asked is None else head.asked
            record.headers = tuple(
                (name, found[1]) for name, find in self._finders if (found := find(head.fields)) is not None
            )
        return record

    def _quote(self, data: bytes) -> str:
        if len(self._quoted) >= _KNOWN_MAX:
            self._quoted.clear()
        self._quoted[data] = found = json_text(data)
        return found

    def _name(self, server: str) -> str:
        if len(self._servers) >= _SERVERS_KNOWN_MAX:
            self._servers.clear()
        self._servers[server] = found = json_server(server.partition("/")[0], server)
        return found


def _client_text(client: Downstream) -> str:
    client.logged_as = found = json_client(*client_of(client), client.listener.name)
    return found


def follow(worker: Worker, configuration: Configuration) -> None:
    """Have the listeners of a worker leave what a configuration and observers ask for. A log that stays as it is goes on."""
    settings, before = configuration.access_log, worker.trail
    if before is not None and before.settings != settings:
        worker.log_lines_dropped += before.dropped
        before.finish()
        before = None
    is_logged = settings.target is not LogTarget.OFF
    if before is None and (is_logged or worker.observers):
        before = Trail(settings, worker.observers)
    worker.trail = before if is_logged or worker.observers else None
    for runtime in worker.listeners:
        is_asked_for = bool(worker.observers) or (is_logged and runtime.settings.is_logged)
        runtime.trail = worker.trail if is_asked_for else None


def reopen(worker: Worker) -> None:
    """Open the file of a worker's log anew."""
    if worker.trail is not None:
        worker.trail.reopen()


def look_after(worker: Worker) -> None:
    """Say how many lines of a worker's log were dropped, and take over where the clock is."""
    dropped = worker.log_lines_dropped
    if worker.trail is not None:
        worker.trail.look_at_the_clock()
        dropped += worker.trail.dropped
    worker.segment.cells[worker.block + at.WORKER_LOG_LINES_DROPPED] = dropped
