"""`[pool.health_check]`, its agent, and their rules.

Responsible for these keys, for turning them into the model, and for what makes no sense among them. Knows nothing of files or
lines. Invariant: a key that has no meaning for the type of check is refused, not ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, Field

from lbapp.config import values
from lbapp.config.actions import Expression
from lbapp.config.lines import Path as KeyPath
from lbapp.config.table import STRICT
from lbapp.model.health import AgentCheck, CheckType, HealthCheck, NotFoundMeans, StartPolicy
from lbapp.model.transport import UNIX_PREFIX

_CHECK: Final = HealthCheck()
_AGENT: Final = AgentCheck(0)
_STATUS: Final = re.compile(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?").fullmatch
_CLASS: Final = re.compile(r"([1-5])xx").fullmatch
_HTTP_ONLY: Final = (
    "path", "method", "host", "headers", "expect_status", "expect_headers", "expect_body", "expect_body_regex", "not_found",
)  # fmt: skip
_TCP_ONLY: Final = ("send", "expect")
_OF_PROBES: Final = (
    "interval", "fast_interval", "down_interval", "timeout", "jitter_percent", "fall", "rise", "port", "tls",
)  # fmt: skip
Duration = Annotated[float, BeforeValidator(values.positive_duration_s)]
Port = Annotated[int, BeforeValidator(values.whole_number(1, 65535))]
Probes = Annotated[int, BeforeValidator(values.whole_number(1, 100))]


def statuses(value: object) -> list[tuple[int, int]]:
    """Return ranges of statuses: `200`, `"200-299"`, `"2xx"`, or a list of them. Raises ValueError."""
    ranges = []
    for each in value if isinstance(value, list) else [value]:
        text = str(each) if isinstance(each, (int, str)) and not isinstance(each, bool) else ""
        if match := _STATUS(text):
            ranges.append((int(match[1]), int(match[2] or match[1])))
        elif match := _CLASS(text):
            ranges.append((int(match[1]) * 100, int(match[1]) * 100 + 99))
        if not match or ranges[-1][0] > ranges[-1][1]:
            wanted = 'a status, "200-399", "2xx", or a list of them'
            raise ValueError(f"{values.shown(each)} is not accepted; allowed: {wanted}")
    if not ranges:
        raise ValueError("no status is accepted at all; name one at least")
    return ranges


def target(value: object) -> str:
    """Return what a probe asks for: a path with what is behind it. Raises ValueError."""
    if not isinstance(value, str) or not re.fullmatch(r"(?:/[!-~]*|\*)", value):
        raise ValueError(f'{values.shown(value)} is not accepted; allowed: a path, such as "/health?deep=1", in ASCII')
    return value


def text(value: object) -> str:
    """Return text that is not empty. Raises ValueError."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{values.shown(value)} is not accepted; allowed: text")
    return value


class AgentTable(BaseModel):
    """`[pool.health_check.agent]`."""

    model_config = STRICT

    port: Port
    interval: Duration = _AGENT.interval_s
    timeout: Duration = _AGENT.timeout_s


class HealthCheckTable(BaseModel):
    """`[pool.health_check]`."""

    model_config = STRICT

    type: Annotated[CheckType, BeforeValidator(values.word_of(CheckType))] = _CHECK.type
    interval: Duration = _CHECK.interval_s
    fast_interval: Duration = _CHECK.fast_interval_s
    down_interval: Duration | None = _CHECK.down_interval_s
    timeout: Duration = _CHECK.timeout_s
    jitter_percent: Annotated[int, BeforeValidator(values.whole_number(0, 50))] = _CHECK.jitter_percent
    fall: Probes = _CHECK.fall
    rise: Probes = _CHECK.rise
    start: Annotated[StartPolicy, BeforeValidator(values.word_of(StartPolicy))] = _CHECK.start
    port: Port | None = _CHECK.port
    tls: bool | None = _CHECK.tls
    path: Annotated[str, BeforeValidator(target)] = _CHECK.path
    method: Annotated[str, BeforeValidator(values.method)] = _CHECK.method
    host: Annotated[str, BeforeValidator(values.route_host)] | None = _CHECK.host
    headers: Annotated[dict[str, str], BeforeValidator(values.route_headers)] = Field(default_factory=dict)
    expect_status: Annotated[list[tuple[int, int]], BeforeValidator(statuses)] = Field(
        default_factory=lambda: list(_CHECK.expect_status)
    )
    expect_headers: Annotated[dict[str, str], BeforeValidator(values.route_headers)] = Field(default_factory=dict)
    expect_body: Annotated[str, BeforeValidator(text)] | None = _CHECK.expect_body
    expect_body_regex: Expression | None = _CHECK.expect_body_regex
    not_found: Annotated[NotFoundMeans, BeforeValidator(values.word_of(NotFoundMeans))] = _CHECK.not_found
    send: Annotated[str, BeforeValidator(text)] | None = _CHECK.send
    expect: Annotated[str, BeforeValidator(text)] | None = _CHECK.expect
    agent: AgentTable | None = None

    def to_model(self) -> HealthCheck:
        """Return the check under the model's names."""
        agent = self.agent
        return HealthCheck(
            type=self.type,
            path=self.path,
            interval_s=self.interval,
            timeout_s=self.timeout,
            fall=self.fall,
            rise=self.rise,
            fast_interval_s=self.fast_interval,
            down_interval_s=self.down_interval,
            jitter_percent=self.jitter_percent,
            method=self.method,
            host=self.host,
            headers=tuple(self.headers.items()),
            expect_status=tuple(self.expect_status),
            expect_body=self.expect_body,
            expect_body_regex=self.expect_body_regex,
            expect_header=tuple(self.expect_headers.items()),
            port=self.port,
            tls=self.tls,
            send=self.send,
            expect=self.expect,
            not_found=self.not_found,
            start=self.start,
            agent=None if agent is None else AgentCheck(agent.port, agent.interval, agent.timeout),
        )


def health_rules(path: KeyPath, pool: dict[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Yield what does not hold in a pool's health check. Works on data of any shape."""
    table = pool.get("health_check")
    kind = table.get("type", _CHECK.type.value) if isinstance(table, dict) else None
    if not isinstance(table, dict) or kind not in [each.value for each in CheckType]:
        return
    here = (*path, "health_check")
    yield from _meaning(here, table, str(kind))
    yield from _agreement(here, table)
    if _has_unix_server(pool):
        for key in ("port", "agent"):
            if key in table:
                yield (*here, key), "a server on a Unix socket has no other port; remove it, or give the server a port"


def _meaning(here: KeyPath, table: dict[str, Any], kind: str) -> Iterator[tuple[KeyPath, str]]:
    wrong = {"http": _TCP_ONLY, "tcp": _HTTP_ONLY, "none": (*_TCP_ONLY, *_HTTP_ONLY, *_OF_PROBES)}[kind]
    for key in wrong:
        if key in table:
            wanted = "'http' or 'tcp'" if key in _OF_PROBES else "'http'" if key in _HTTP_ONLY else "'tcp'"
            yield (*here, key), f"{key} has a meaning with type {wanted} only; remove it, or change the type"
    if kind == "none" and table.get("start") == StartPolicy.CHECKED.value:
        yield (*here, "start"), "without a check no server is ever found good; allowed with type 'none': 'eligible'"


def _agreement(here: KeyPath, table: dict[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    try:
        interval_s = values.positive_duration_s(table.get("interval", "5s"))
        fast_s = values.positive_duration_s(table.get("fast_interval", "1ms"))
        ranges = statuses(table.get("expect_status", "200-399"))
    except ValueError:
        return  # the schema says so
    if fast_s > interval_s:
        sentence = f"it is longer than the interval, {interval_s:g}s; probes in doubt come no slower than the others"
        yield (*here, "fast_interval"), sentence
    is_special = table.get("not_found") == NotFoundMeans.NO_NEW_CLIENTS.value
    if is_special and any(low <= 404 <= high for low, high in ranges):
        yield (*here, "not_found"), "404 is one of the statuses of expect_status; it cannot mean both"


def _has_unix_server(pool: dict[str, Any]) -> bool:
    servers = pool.get("server")
    listed = servers if isinstance(servers, list) else []
    return any(isinstance(each, dict) and str(each.get("address")).startswith(UNIX_PREFIX) for each in listed)
