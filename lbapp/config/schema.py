"""The configuration file as a schema: every key, its type, its default.

Responsible for what may stand in the TOML and for turning a valid document into the model. Knows nothing of files or lines.
Keys carry no unit in their name, their values do; `[limits]` names each field of `model.limits.Limits` that way.

Invariant: what stands here and nothing else is accepted; every default is the model's. What spans tables is in rules.py.
"""

from __future__ import annotations

import os
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from lbapp.config import actions, values
from lbapp.config.access_log import AccessLogTable
from lbapp.config.admission import AdmissionTable, RequestRate
from lbapp.config.capacity import CapacityKeys
from lbapp.config.cluster import ClusterTable
from lbapp.config.discovery import DiscoverKeys, name_servers
from lbapp.config.hashing import HashKeys
from lbapp.config.health import HealthCheckTable
from lbapp.config.metrics import MetricsTable
from lbapp.config.passive import PassiveKeys
from lbapp.config.persistence import PersistenceTable
from lbapp.config.readiness import ReadinessTable
from lbapp.config.table import Table
from lbapp.config.tls import ListenerTlsTable, PoolTlsTable, ServerNamePattern
from lbapp.config.tracing import TracingTable
from lbapp.config.transport import Account, ListenerKeys, PoolKeys
from lbapp.model import entities
from lbapp.model.actions import PrefixChange
from lbapp.model.entities import AlgorithmName, Bind, Protocol
from lbapp.model.limits import Limits
from lbapp.model.states import WEIGHT_MAX

Duration = Annotated[float, BeforeValidator(values.positive_duration_s)]
Size = Annotated[int, BeforeValidator(values.size_bytes)]
DurationOrNone = Annotated[float, BeforeValidator(values.duration_s)]
HeadSize = Annotated[int, BeforeValidator(values.head_size_bytes)]
PersistenceSize = Annotated[int, BeforeValidator(values.persistence_size_bytes)]
Name = Annotated[str, BeforeValidator(values.name)]
Address = Annotated[tuple[str, int], BeforeValidator(values.server_address)]
Binds = Annotated[list[Bind], BeforeValidator(values.binds)]
Path = Annotated[str, BeforeValidator(values.path_prefix)]
Count = Annotated[int, BeforeValidator(values.whole_number(1, 1_000_000))]
CountOrNone = Annotated[int, BeforeValidator(values.whole_number(0, 100_000))]
Weight = Annotated[int, BeforeValidator(values.whole_number(0, WEIGHT_MAX))]
Workers = Annotated[int, BeforeValidator(values.whole_number(1, 256))]

_DEFAULTS = Limits()
_POOL = entities.Pool("", ())
_SERVER = entities.Server("", "", "", 1)


class EngineTable(Table):
    """`[engine]`."""

    workers: Workers = Field(default_factory=lambda: len(os.sched_getaffinity(0)))
    control_socket: Annotated[str, BeforeValidator(values.socket_path)] | None = None
    state_dir: Annotated[str, BeforeValidator(values.file_path)] | None = None
    operators: Account | None = None
    viewers: Account | None = None
    nameservers: Annotated[list[tuple[str, int]], BeforeValidator(name_servers)] = Field(default_factory=list)


class LimitsTable(Table):
    """`[limits]`: the fields of `model.limits.Limits`, without units in their names.

    A field X_s is the key X, X_bytes_max is X_size_max, any other has its own name.
    """

    head_size_max: HeadSize = _DEFAULTS.head_bytes_max
    fields_max: Count = _DEFAULTS.fields_max
    request_body_size_max: Size = _DEFAULTS.request_body_bytes_max
    uri_size_max: HeadSize = _DEFAULTS.uri_bytes_max
    connections_max: Count = _DEFAULTS.connections_max
    client_connections_max: CountOrNone = _DEFAULTS.client_connections_max
    client_request_rate: RequestRate = _DEFAULTS.client_request_rate
    client_burst: CountOrNone = _DEFAULTS.client_burst
    client_idle_timeout: Duration = _DEFAULTS.client_idle_timeout_s
    request_head_timeout: Duration = _DEFAULTS.request_head_timeout_s
    body_idle_timeout: Duration = _DEFAULTS.body_idle_timeout_s
    request_body_rate_min: Size = _DEFAULTS.request_body_rate_min
    response_rate_min: Size = _DEFAULTS.response_rate_min
    server_idle_timeout: Duration = _DEFAULTS.server_idle_timeout_s
    exchange_timeout: DurationOrNone = _DEFAULTS.exchange_timeout_s
    connect_timeout: Duration = _DEFAULTS.connect_timeout_s
    response_timeout: Duration = _DEFAULTS.response_timeout_s
    tunnel_idle_timeout: Duration = _DEFAULTS.tunnel_idle_timeout_s
    proxy_header_timeout: Duration = _DEFAULTS.proxy_header_timeout_s
    tls_handshake_timeout: Duration = _DEFAULTS.tls_handshake_timeout_s
    idle_connections_max: CountOrNone = _DEFAULTS.idle_connections_max
    idle_connection_timeout: Duration = _DEFAULTS.idle_connection_timeout_s
    idle_connection_age: Duration = _DEFAULTS.idle_connection_age_s
    stop_timeout: Duration = _DEFAULTS.stop_timeout_s
    persistence_entries_max: Count = _DEFAULTS.persistence_entries_max
    persistence_size_max: PersistenceSize = _DEFAULTS.persistence_bytes_max
    retry_body_size_max: Size = _DEFAULTS.retry_body_bytes_max

    def to_model(self) -> Limits:
        """Return the limits under the model's names."""
        values: dict[str, Any] = {}
        for key, value in self:
            if isinstance(value, float):
                values[f"{key}_s"] = value
            else:
                values[key.replace("_size_max", "_bytes_max")] = value
        return Limits(**values)


class RouteTable(Table):
    """`[[listener.route]]`."""

    sni: ServerNamePattern | None = None
    host: Annotated[str, BeforeValidator(values.route_host)] | None = None
    path: Path | None = None
    path_regex: actions.Expression | None = None
    method: Annotated[str, BeforeValidator(values.method)] | None = None
    headers: Annotated[dict[str, Any], BeforeValidator(actions.header_matches)] = Field(default_factory=dict)
    pool: str | None = None
    split: list[actions.ShareTable] = Field(default_factory=list)
    split_by: Annotated[str, BeforeValidator(actions.split_key)] = "client"
    redirect: actions.RedirectTable | None = None
    respond: actions.FixedResponseTable | None = None
    strip_prefix: actions.Prefix | None = None
    replace_prefix: actions.PrefixChangeTable | None = None
    request_headers: actions.RequestHeadersTable = Field(default_factory=actions.RequestHeadersTable)
    response_headers: actions.ResponseHeadersTable = Field(default_factory=actions.ResponseHeadersTable)


class ListenerTable(Table, ListenerKeys):
    """`[[listener]]`."""

    name: Name
    bind: Binds
    protocol: Annotated[Protocol, BeforeValidator(values.word_of(Protocol))] = Protocol.HTTP
    pool: str | None = None
    route: list[RouteTable] = Field(default_factory=list)
    request_headers: actions.RequestHeadersTable = Field(default_factory=actions.RequestHeadersTable)
    response_headers: actions.ResponseHeadersTable = Field(default_factory=actions.ResponseHeadersTable)
    hsts: actions.HstsTable | None = None
    forwarding: actions.ForwardingTable = Field(default_factory=actions.ForwardingTable)
    tls: ListenerTlsTable | None = None
    admission: AdmissionTable = Field(default_factory=AdmissionTable)
    access_log: bool = entities.Listener("", ()).is_logged
    tracing: TracingTable = Field(default_factory=TracingTable)


class DrainTable(Table):
    """`[pool.drain]`."""

    timeout: Duration = _POOL.drain_timeout_s


class RetryTable(Table):
    """`[pool.retry]`."""

    attempts: Annotated[int, BeforeValidator(values.whole_number(1, 10))] = _POOL.retry.attempts
    timeout: Duration = _POOL.retry.timeout_s
    budget_percent: Annotated[int, BeforeValidator(values.whole_number(0, 100))] = _POOL.retry.budget_percent
    budget_min: Annotated[int, BeforeValidator(values.whole_number(0, 1000))] = _POOL.retry.budget_min
    on_status: Annotated[list[int], BeforeValidator(values.retry_statuses)] = Field(default_factory=list)


class ServerTable(Table):
    """`[[pool.server]]`."""

    name: Name
    address: Address
    weight: Weight = _SERVER.weight
    connections_max: CountOrNone = _SERVER.connections_max
    fleet_connections_max: CountOrNone = _SERVER.fleet_connections_max
    backup: bool = _SERVER.is_backup


class PoolTable(Table, PoolKeys, CapacityKeys, PassiveKeys, HashKeys, DiscoverKeys):
    """`[[pool]]`."""

    name: Name
    algorithm: Annotated[AlgorithmName, BeforeValidator(values.word_of(AlgorithmName))] = _POOL.algorithm
    health_check: HealthCheckTable = Field(default_factory=HealthCheckTable)
    drain: DrainTable = Field(default_factory=DrainTable)
    persistence: PersistenceTable | None = None
    retry: RetryTable = Field(default_factory=RetryTable)
    tls: PoolTlsTable | None = None
    server: list[ServerTable] = Field(default_factory=list)


class Document(Table):
    """The whole file."""

    engine: EngineTable = Field(default_factory=EngineTable)
    limits: LimitsTable = Field(default_factory=LimitsTable)
    access_log: AccessLogTable = Field(default_factory=AccessLogTable)
    metrics: MetricsTable = Field(default_factory=MetricsTable)
    cluster: ClusterTable | None = None
    readiness: ReadinessTable = Field(default_factory=ReadinessTable)
    listener: list[ListenerTable] = Field(default_factory=list)
    pool: list[PoolTable] = Field(default_factory=list)

    def to_model(self) -> entities.Configuration:
        """Return the configuration. The rules that span tables have to hold."""
        limits = self.limits.to_model()
        return entities.Configuration(
            engine=entities.EngineSettings(
                self.engine.workers,
                self.engine.control_socket,
                self.engine.state_dir,
                tuple(self.engine.nameservers),
                self.engine.operators,
                self.engine.viewers,
            ),
            listeners=tuple(_listener(each, limits) for each in self.listener),
            pools=tuple(_pool(each) for each in self.pool),
            limits=limits,
            access_log=self.access_log.to_model(),
            metrics_bind=self.metrics.bind,
            cluster=None if self.cluster is None else self.cluster.to_model(),
            readiness=self.readiness.to_model(),
        )


def _listener(table: ListenerTable, limits: Limits) -> entities.Listener:
    return entities.Listener(
        name=table.name,
        binds=tuple(table.bind),
        protocol=table.protocol,
        pool=table.pool,
        routes=tuple(_route(each) for each in table.route),
        request_headers=table.request_headers.to_model(),
        response_headers=table.response_headers.to_model(),
        hsts=None if table.hsts is None else table.hsts.to_model(),
        forwarding=table.forwarding.to_model(),
        transport=table.to_transport(),
        tls=None if table.tls is None else table.tls.to_model(),
        admission=table.admission.to_model(limits, table.protocol),
        is_logged=table.access_log,
        tracing=table.tracing.to_model(),
    )


def _route(table: RouteTable) -> entities.Route:
    headers = table.headers.items()
    change = None if table.replace_prefix is None else table.replace_prefix.to_model()
    return entities.Route(
        pool=table.pool,
        host=table.host,
        path=table.path,
        method=table.method,
        headers=tuple((name, wanted) for name, wanted in headers if isinstance(wanted, str)),
        path_regex=table.path_regex,
        headers_present=tuple((name, wanted) for name, wanted in headers if isinstance(wanted, bool)),
        header_regexes=tuple((name, wanted[0]) for name, wanted in headers if isinstance(wanted, tuple)),
        split=tuple(each.to_model() for each in table.split),
        split_by_client=table.split_by == "client",
        redirect=None if table.redirect is None else table.redirect.to_model(),
        respond=None if table.respond is None else table.respond.to_model(),
        prefix_change=change if table.strip_prefix is None else PrefixChange(table.strip_prefix),
        request_headers=table.request_headers.to_model(),
        response_headers=table.response_headers.to_model(),
        sni=table.sni,
    )


def _pool(table: PoolTable) -> entities.Pool:
    return entities.Pool(
        name=table.name,
        servers=tuple(
            entities.Server(
                table.name,
                each.name,
                *each.address,
                each.weight,
                each.connections_max,
                each.backup,
                each.fleet_connections_max,
            )
            for each in table.server
        ),
        algorithm=table.algorithm,
        health_check=table.health_check.to_model(),
        drain_timeout_s=table.drain.timeout,
        transport=table.to_transport(),
        persistence=None if table.persistence is None else table.persistence.to_model(),
        retry=entities.Retry(
            table.retry.attempts,
            table.retry.timeout,
            table.retry.budget_percent,
            table.retry.budget_min,
            tuple(table.retry.on_status),
        ),
        tls=None if table.tls is None else table.tls.to_model(),
        discover=table.to_discover(),
        hash=table.to_hash(),
        capacity=table.to_capacity(),
        passive=table.to_passive(),
    )
