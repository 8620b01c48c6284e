"""The Prometheus exposition of one engine.

Responsible for names, labels and help texts of the metrics. Knows nothing of HTTP or of how figures are
counted. Each help text ends with how values of several nodes are merged: sum, max,
min or last.

Histogram bounds are powers of four from 256 us: each is also a bound of the scoreboard's own buckets, so the
counts are exact. Sums are made from the buckets' middles and are at most 3.2 % off.

Invariants: counters never go back while the engine lives; a series exists from the start, also before its
first event.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client.core import (
    CollectorRegistry,
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from lbapp import __version__
from lbapp.control.messages import CertificateStatus
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.scoreboard.totals import ListenerTotals, PoolTotals
from lbapp.engine.supervisor.pool_watch import Situation
from lbapp.engine.supervisor.reading import StatusReader
from lbapp.engine.supervisor.server_state import ServerState
from lbapp.engine.supervisor.state import ServerStates
from lbapp.engine.supervisor.traffic import Figures, of_listener, of_server
from lbapp.model.admission import TurnedAway
from lbapp.model.entities import Pool
from lbapp.model.histogram import BUCKETS, bucket_bounds, bucket_of, counts
from lbapp.model.outcomes import Ender, FailureKind, Outcome, Phase
from lbapp.model.persistence import PersistenceVerdict
from lbapp.model.states import AdminState, HealthState
from lbapp.model.tls import HandshakeEnd

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
_BOUNDS_US: Final = tuple(4**power for power in range(4, 14))  # 256 us .. 67 s
_BOUND_BUCKETS: Final = tuple(bucket_of(bound - 1) for bound in _BOUNDS_US)
_MIDDLES_US: Final = tuple(sum(bucket_bounds(bucket)) / 2 for bucket in range(BUCKETS))
_CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx")
_EMPTY: Final = ([*((str(bound / 1e6), 0.0) for bound in _BOUNDS_US), ("+Inf", 0.0)], 0.0)
Labelled = Sequence[tuple[list[str], Figures]]


def collect(reader: StatusReader, states: ServerStates) -> list[Metric]:
    """Read everything that is exposed, at one moment."""
    return list(_Readings(reader, states).collect())


def render(families: list[Metric]) -> bytes:
    """Return the text format 0.0.4. Needs nothing of the engine, so that a thread may do it."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(families))
    return generate_latest(registry)


class _Collected(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


class _Readings:
    def __init__(self, reader: StatusReader, states: ServerStates) -> None:
        self._reader = reader
        self._states = states

    def collect(self) -> Iterator[Metric]:
        reading, pools = self._reader.figures()
        rows = self._reader.running.rows
        names = [listener.name for listener in self._reader.running.configuration.listeners]
        listeners = [([name], of_listener(reading.listeners[rows.listeners[name]])) for name in names]
        states = list(self._states.by_id.values())
        servers = [([state.server.pool, state.server.name], of_server(reading.servers[state.row])) for state in states]
        unserved = {pool.name: reading.pools[rows.pools[pool.name]] for pool, _ in pools}
        yield from self._engine()
        yield from _traffic("listener", ["listener"], listeners, "of clients")
        yield self._incomplete(reading.listeners)
        yield from self._admission()
        yield _histogram("listener_request_seconds", "Whole exchanges", ["listener"], listeners, "total")
        yield from _traffic("server", ["pool", "server"], servers, "to servers")
        yield from _server_only(servers)
        yield from _states_of(states)
        yield _outcomes(
            "pool_unserved_total",
            "Exchanges that reached no server",
            ["pool"],
            [([n], o) for n, o in unserved.items()],
        )

        yield from _tls(
            [(name, reading.listeners[rows.listeners[name]], found) for name, found in self._certificates()]
        )
        totals = [(pool, self._reader.totals(pool)) for pool, _ in pools]
        yield from _persistence(totals)
        yield from _queues([(pool, each) for pool, each in totals if pool.is_limited])
        yield from self._served([pool for pool, _ in pools])

    def _served(self, pools: Sequence[Pool]) -> Iterator[Metric]:
        watch = self._reader.pools
        eligible = GaugeMetricFamily(
            "lbapp_pool_eligible_servers", "Servers that may get new clients (merge: sum)", labels=["pool"]
        )
        away = GaugeMetricFamily(
            "lbapp_pool_failed_over", "1: another pool takes over, or nobody (merge: sum)", labels=["pool"]
        )
        backups = GaugeMetricFamily("lbapp_pool_on_backups", "1: its backups serve it (merge: sum)", labels=["pool"])
        panic = GaugeMetricFamily("lbapp_pool_panic", "1: health is ignored (merge: sum)", labels=["pool"])
        for pool in pools:
            eligible.add_metric([pool.name], len(watch.eligible(pool)))
            away.add_metric([pool.name], watch.served_by(pool) != pool.name)
            backups.add_metric([pool.name], watch.situation(pool) is Situation.BACKUPS)
            panic.add_metric([pool.name], watch.is_panic(pool))
        yield from (eligible, away, backups, panic)

    def _certificates(self) -> list[tuple[str, list[CertificateStatus]]]:
        certificates = self._reader.certificates
        listeners = self._reader.running.configuration.listeners
        if certificates is None:
            return []
        return [(each.name, certificates.of_listener(each.name)) for each in listeners if each.tls is not None]

    def _incomplete(self, listeners: Sequence[ListenerTotals]) -> Metric:
        metric = CounterMetricFamily(
            "lbapp_listener_incomplete_total",
            "Exchanges that were not complete, by who ended them and how far they had come (merge: sum)",
            labels=["listener", "ended_by", "phase"],
        )
        running = self._reader.running
        for listener in running.configuration.listeners:
            counted = listeners[running.rows.listeners[listener.name]].incomplete
            for ender in Ender:
                for phase in Phase:
                    metric.add_metric([listener.name, ender.value, phase.value], counted[at.incomplete(ender, phase)])
        return metric

    def _admission(self) -> Iterator[Metric]:
        overload = self._reader.overload
        turned_away = CounterMetricFamily(
            "lbapp_listener_turned_away_total", "Connections not let in (merge: sum)", labels=["listener", "reason"]
        )
        recycled = CounterMetricFamily(
            "lbapp_listener_recycled_total", "Idle connections closed to make room (merge: sum)", labels=["listener"]
        )
        overloaded = GaugeMetricFamily(
            "lbapp_listener_overloaded", "1: turns clients away for want of room (merge: sum)", labels=["listener"]
        )
        for listener in self._reader.running.configuration.listeners:
            totals = overload.totals(listener)
            for reason in TurnedAway:
                turned_away.add_metric([listener.name, reason.name.lower()], totals.turned_away[reason])
            recycled.add_metric([listener.name], totals.recycled)
            overloaded.add_metric([listener.name], overload.overloaded_since(listener) is not None)
        shortages = CounterMetricFamily(
            "lbapp_descriptor_shortages_total", "Connections not made for want of file descriptors (merge: sum)"
        )
        shortages.add_metric([], overload.shortages)
        dropped = CounterMetricFamily(
            "lbapp_log_lines_dropped_total", "Lines of the access log not written (merge: sum)"
        )
        dropped.add_metric([], overload.log_lines_dropped)
        yield from (turned_away, recycled, overloaded, shortages, dropped)

    def _engine(self) -> Iterator[Metric]:
        info = GaugeMetricFamily("lbapp_build_info", "Version (merge: last)", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
        started = GaugeMetricFamily("lbapp_start_time_seconds", "Start in Unix seconds (merge: max)")
        started.add_metric([], self._reader.running.started_at)
        yield started
        workers = self._reader.worker_statuses()
        restarts = CounterMetricFamily("lbapp_worker_restarts_total", "Replaced workers (merge: sum)", labels=["slot"])
        faults = CounterMetricFamily(
            "lbapp_worker_faults_total", "Connections ended by an error in lbapp itself (merge: sum)", labels=["slot"]
        )
        ages = GaugeMetricFamily("lbapp_worker_heartbeat_age_seconds", "Silence (merge: max)", labels=["slot"])
        for worker in workers:
            restarts.add_metric([str(worker["slot"])], worker["restarts_total"])
            faults.add_metric([str(worker["slot"])], worker["faults_total"])
            ages.add_metric([str(worker["slot"])], worker["heartbeat_age_s"])
        yield from (restarts, faults, ages)


def _traffic(subject: str, labels: list[str], entities: Labelled, whose: str) -> Iterator[Metric]:
    gauges = (
        ("connections", f"Open connections {whose}", "connections"),
        ("in_flight", "Exchanges and relayed connections now", "in_flight"),
    )
    counters = (
        ("connections_total", f"Connections {whose}", "connections_total"),
        ("requests_total", "Exchanges ended", "requests"),
        ("bytes_in_total", "Bytes from clients", "bytes_in"),
        ("bytes_out_total", "Bytes to clients", "bytes_out"),
        ("retries_total", "Repeated attempts", "retries"),
        ("errors_total", "5xx answers and exchanges without a whole response", "errors"),
    )
    for name, help_text, attribute in gauges:
        gauge = GaugeMetricFamily(f"lbapp_{subject}_{name}", f"{help_text} (merge: sum)", labels=labels)
        for values, figures in entities:
            gauge.add_metric(values, getattr(figures, attribute))
        yield gauge
    for name, help_text, attribute in counters:
        counter = CounterMetricFamily(f"lbapp_{subject}_{name}", f"{help_text} (merge: sum)", labels=labels)
        for values, figures in entities:
            counter.add_metric(values, getattr(figures, attribute))
        yield counter
    responses = CounterMetricFamily(
        f"lbapp_{subject}_responses_total", "Responses by class (merge: sum)", labels=[*labels, "class"]
    )
    for values, figures in entities:
        for word, count in zip(_CLASSES, figures.responses, strict=True):
            responses.add_metric([*values, word], count)
    yield responses
    ended = [(values, figures.outcomes) for values, figures in entities]
    yield _outcomes(f"{subject}_outcomes_total", "How exchanges ended", labels, ended)


def _outcomes(
    name: str, help_text: str, labels: list[str], entities: Sequence[tuple[list[str], tuple[int, ...]]]
) -> Metric:
    metric = CounterMetricFamily(f"lbapp_{name}", f"{help_text} (merge: sum)", labels=[*labels, "outcome"])
    for values, outcomes in entities:
        for outcome in Outcome:
            metric.add_metric([*values, outcome.name.lower()], outcomes[outcome])
    return metric


def _tls(listeners: Sequence[tuple[str, ListenerTotals, list[CertificateStatus]]]) -> Iterator[Metric]:
    handshakes = CounterMetricFamily(
        "lbapp_listener_tls_handshakes_total", "How TLS handshakes ended (merge: sum)", labels=["listener", "end"]
    )
    resumed = CounterMetricFamily(
        "lbapp_listener_tls_resumed_total", "Resumed TLS sessions (merge: sum)", labels=["listener"]
    )
    labels = ["listener", "file"]
    ends = GaugeMetricFamily(
        "lbapp_certificate_not_after_seconds", "End of a certificate in Unix seconds (merge: min)", labels=labels
    )
    days = GaugeMetricFamily("lbapp_certificate_days_left", "Days left of a certificate (merge: min)", labels=labels)
    for name, totals, certificates in listeners:
        for end in HandshakeEnd:
            handshakes.add_metric([name, end.name.lower()], totals.handshakes[end])
        resumed.add_metric([name], totals.resumed)
        for certificate in certificates:
            ends.add_metric([name, certificate["file"]], certificate["not_after"])
            days.add_metric([name, certificate["file"]], certificate["days_left"])
    yield from (handshakes, resumed, ends, days)


def _persistence(pools: Sequence[tuple[Pool, PoolTotals]]) -> Iterator[Metric]:
    verdicts = CounterMetricFamily(
        "lbapp_pool_persistence_total", "Looks for a client's server (merge: sum)", labels=["pool", "verdict"]
    )
    lost = CounterMetricFamily(
        "lbapp_pool_not_remembered_total", "Clients that could not be written down (merge: sum)", labels=["pool"]
    )
    refused = CounterMetricFamily(
        "lbapp_pool_retries_refused_total", "Attempts beyond the retry budget (merge: sum)", labels=["pool"]
    )
    for pool, totals in pools:
        refused.add_metric([pool.name], totals.retries_refused)
        if pool.persistence is not None:
            lost.add_metric([pool.name], totals.not_remembered)
            for verdict in PersistenceVerdict:
                verdicts.add_metric([pool.name, verdict.name.lower()], totals.verdicts[verdict])
    yield from (verdicts, lost, refused)


def _queues(pools: Sequence[tuple[Pool, PoolTotals]]) -> Iterator[Metric]:
    queued = GaugeMetricFamily("lbapp_pool_queued", "Who wait for room now (merge: sum)", labels=["pool"])
    total = CounterMetricFamily("lbapp_pool_queued_total", "Who had to wait for room (merge: sum)", labels=["pool"])
    waits = HistogramMetricFamily("lbapp_pool_queue_seconds", "Waits for room (merge: sum)", labels=["pool"])
    for pool, totals in pools:
        queued.add_metric([pool.name], totals.queued)
        total.add_metric([pool.name], totals.queued_total)
        buckets, total_s = _cumulative(totals.queue_wait)
        waits.add_metric([pool.name], buckets, total_s)
    yield from (queued, total, waits)


def _server_only(servers: Labelled) -> Iterator[Metric]:
    labels = ["pool", "server"]
    failures = CounterMetricFamily(
        "lbapp_server_failures_total", "Failed attempts by kind (merge: sum)", labels=[*labels, "kind"]
    )
    for values, figures in servers:
        for kind in FailureKind:
            failures.add_metric([*values, kind.name.lower()], figures.failures[kind])
    yield failures
    yield _histogram("server_connect_seconds", "New connections", labels, servers, "connect")
    yield _histogram("server_first_byte_seconds", "Request sent to response head", labels, servers, "first_byte")
    yield _histogram("server_request_seconds", "Whole exchanges", labels, servers, "total")


def _states_of(states: Sequence[ServerState]) -> Iterator[Metric]:
    labels = ["pool", "server"]
    weights = GaugeMetricFamily("lbapp_server_weight", "Weight (merge: last)", labels=labels)
    eligible = GaugeMetricFamily("lbapp_server_eligible", "1: may get new clients (merge: sum)", labels=labels)
    health = GaugeMetricFamily("lbapp_server_health", "1 for the present one (merge: last)", labels=[*labels, "health"])
    admin = GaugeMetricFamily("lbapp_server_admin", "1 for the present one (merge: last)", labels=[*labels, "admin"])
    ejected = GaugeMetricFamily("lbapp_server_ejected", "1: ejected for its errors (merge: sum)", labels=labels)
    shares = GaugeMetricFamily("lbapp_server_share", "Share of its weight, 0 to 1 (merge: last)", labels=labels)
    for state in states:
        values = [state.server.pool, state.server.name]
        ejected.add_metric(values, bool(state.ejected))
        shares.add_metric(values, state.share_permille / 1000)
        weights.add_metric(values, state.weight)
        eligible.add_metric(values, state.is_eligible)
        for one in HealthState:
            health.add_metric([*values, one.name.lower()], state.health is one)
        for wish in AdminState:
            admin.add_metric([*values, wish.name.lower()], state.admin is wish)
    yield from (weights, eligible, health, admin, ejected, shares)


def _histogram(name: str, help_text: str, labels: list[str], entities: Labelled, attribute: str) -> Metric:
    metric = HistogramMetricFamily(f"lbapp_{name}", f"{help_text} (merge: sum)", labels=labels)
    for values, figures in entities:
        buckets, total_s = _cumulative(getattr(figures, attribute))
        metric.add_metric(values, buckets, total_s)
    return metric


def _cumulative(total: int) -> tuple[list[tuple[str, float]], float]:
    if not total:
        return _EMPTY
    row = counts(total)
    running = list(accumulate(row))
    buckets = [
        (str(bound / 1e6), float(running[bucket])) for bound, bucket in zip(_BOUNDS_US, _BOUND_BUCKETS, strict=True)
    ]
    sum_us = sum(count * middle for count, middle in zip(row, _MIDDLES_US, strict=True) if count)
    return [*buckets, ("+Inf", float(running[-1]))], sum_us / 1e6
