"""The schema beside the reference configuration and the page about it: neither leaves a key out or shows another default."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
from pydantic.fields import FieldInfo

from lbapp.config.access_log import AccessLogTable
from lbapp.config.actions import (
    FixedResponseTable,
    ForwardingTable,
    HstsTable,
    PrefixChangeTable,
    RedirectTable,
    RequestHeadersTable,
    ResponseHeadersTable,
    ShareTable,
)
from lbapp.config.admission import AdmissionTable
from lbapp.config.capacity import QueueTable
from lbapp.config.cluster import ClusterTable
from lbapp.config.discovery import DiscoverTable
from lbapp.config.hashing import HashTable
from lbapp.config.load import load_configuration, parse_configuration
from lbapp.config.metrics import MetricsTable
from lbapp.config.passive import OutlierTable, SlowStartTable
from lbapp.config.readiness import ReadinessTable
from lbapp.config.schema import (
    Document,
    DrainTable,
    EngineTable,
    LimitsTable,
    ListenerTable,
    PoolTable,
    RetryTable,
    RouteTable,
    ServerTable,
)
from lbapp.config.table import Table
from lbapp.config.tracing import TracingTable
from lbapp.config.transport import ListenerTcpTable, PoolTcpTable
from lbapp.model.limits import Limits

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "conf/lbapp.reference.toml"
MINIMAL = '[[listener]]\nname="l"\nbind="127.0.0.1:0"\npool="app"\n[[pool]]\nname="app"\n'
# What has no default that would stand as a value: where it runs decides, or leaving it out means something.
EXAMPLES = {
    "engine.workers",
    "engine.control_socket",
    "engine.state_dir",
    "engine.operators",
    "engine.viewers",
    *(f"cluster.{key}" for key in ("node", "password_file", "ca_file", "ready_min")),
    "readiness.pools",
    "listener.pool",
    *(f"listener.{key}" for key in ("tunnel_idle_timeout", "unix_user", "unix_group", "tcp.user_timeout")),
    "pool.discover.port",
    "pool.hash.key",
    "pool.hash.name",
    *(f"pool.{key}" for key in ("connections_max", "failover", "server.connections_max")),
    *(f"pool.{key}" for key in ("proxy_protocol", "source", "tcp.user_timeout")),
    *(f"listener.admission.{key}" for key in ("client_connections_max", "client_request_rate", "client_burst")),
    "pool.persistence",  # shown key by key: tests/config/test_persistence.py
    "pool.health_check",  # likewise: tests/config/test_health.py
    *(f"{table}.tls" for table in ("listener", "pool")),  # likewise: tests/config/test_tls.py
    *(
        f"listener.route.{key}"
        for key in ("sni", "host", "path", "path_regex", "method", "headers", "pool", "strip_prefix")
    ),
    *(f"listener.route.redirect.{key}" for key in ("scheme", "host", "port", "path")),
    *(
        f"{table}.{side}_headers.{key}"
        for table in ("listener", "listener.route")
        for side in ("request", "response")
        for key in ("set", "add", "remove")
    ),
}
SAMPLES = {"_rate_min": '"7B"', "_rate": '"7/s"', "_timeout": '"7s"', "_age": '"7s"', "_size": '"1MiB"'}
TABLES: dict[str, type[Table]] = {
    "engine": EngineTable,
    "limits": LimitsTable,
    "access_log": AccessLogTable,
    "metrics": MetricsTable,
    "readiness": ReadinessTable,
    "cluster": ClusterTable,
    "listener": ListenerTable,
    "listener.request_headers": RequestHeadersTable,
    "listener.response_headers": ResponseHeadersTable,
    "listener.hsts": HstsTable,
    "listener.forwarding": ForwardingTable,
    "listener.route": RouteTable,
    "listener.route.request_headers": RequestHeadersTable,
    "listener.route.response_headers": ResponseHeadersTable,
    "listener.route.split": ShareTable,
    "listener.route.replace_prefix": PrefixChangeTable,
    "listener.route.redirect": RedirectTable,
    "listener.route.respond": FixedResponseTable,
    "listener.tcp": ListenerTcpTable,
    "listener.tracing": TracingTable,
    "listener.admission": AdmissionTable,
    "pool": PoolTable,
    "pool.drain": DrainTable,
    "pool.tcp": PoolTcpTable,
    "pool.retry": RetryTable,
    "pool.discover": DiscoverTable,
    "pool.hash": HashTable,
    "pool.queue": QueueTable,
    "pool.outlier": OutlierTable,
    "pool.slow_start": SlowStartTable,
    "pool.server": ServerTable,
}


def shown(dotted: str) -> Any:
    """Return what the reference shows at `dotted`; of a list of tables the first that has it, of lists in them all."""
    value: Any = tomllib.loads(REFERENCE.read_text())
    for part in dotted.split("."):
        value = value[part]
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lists = {key for each in value for key in each if isinstance(each[key], list)}
            merged = {key: each[key] for each in reversed(value) for key in each}
            value = merged | {key: [one for each in value for one in each.get(key, [])] for key in lists - {"bind"}}
    return value


def keys() -> Iterator[tuple[str, type[Table], str, FieldInfo]]:
    for path, table in TABLES.items():
        for key, field in table.model_fields.items():
            if f"{path}.{key}" not in TABLES:
                yield f"{path}.{key}", table, key, field


def test_every_table_of_the_schema_is_looked_at() -> None:
    # Those of other files, such as that of `lbapp dns`, are looked at by their own tests.
    reached = Document.model_json_schema()["$defs"]
    assert {table for table in Table.__subclasses__() if table.__name__ in reached} == set(TABLES.values())
    assert set(Document.model_fields) == {path for path in TABLES if "." not in path}


@pytest.mark.parametrize("path", TABLES)
def test_reference_shows_every_key_of_a_table_and_no_other(path: str) -> None:
    commented = {"tls"} if path == "listener" else set()  # it names files of a machine: tests/config/test_tls.py
    assert set(shown(path)) == set(TABLES[path].model_fields) - commented


def test_every_default_in_the_reference_is_the_schemas() -> None:
    required = {"endpoints", "name", "bind", "address", "pool", "weight", "prefix", "by", "max_age", "window"}
    for dotted, table, key, field in keys():
        if field.is_required():
            assert key in required, dotted
        elif dotted not in EXAMPLES:
            others = {name: shown(f"{dotted.rpartition('.')[0]}.{name}") for name in required & set(table.model_fields)}
            read = table.model_validate({**others, key: shown(dotted)})
            assert getattr(read, key) == field.get_default(call_default_factory=True), dotted


def test_examples_are_keys() -> None:
    assert not EXAMPLES - {dotted for dotted, *_ in keys()}


def test_limits_have_a_key_for_every_field_and_their_defaults() -> None:
    assert len(LimitsTable.model_fields) == len(fields(Limits))
    assert parse_configuration(MINIMAL, "minimal").limits == Limits() == load_configuration(REFERENCE).limits


def test_each_limit_reaches_its_own_field() -> None:
    for key in LimitsTable.model_fields:
        value = next((each for part, each in SAMPLES.items() if part in key), "7")
        limits = asdict(parse_configuration(f"limits.{key} = {value}\n{MINIMAL}", "f").limits)
        changed = [name for name, default in asdict(Limits()).items() if limits[name] != default]
        assert changed == [f"{key}_s" if value == SAMPLES["_timeout"] else key.replace("_size_", "_bytes_")]


def test_page_about_the_configuration_names_every_key() -> None:
    page = (ROOT / "docs/configuration.md").read_text()
    for dotted, *_ in keys():
        assert re.search(rf"`{dotted.rpartition('.')[2]}`", page), dotted
    for path in TABLES:
        assert f"[{path}]" in page, path


def test_smallest_configuration_is_valid() -> None:
    assert load_configuration(ROOT / "conf/lbapp.toml").servers
