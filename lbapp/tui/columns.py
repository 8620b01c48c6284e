"""The columns of each table: listeners, pools, servers, events.

Responsible for which figure stands where, how wide, and what counts as a problem. Knows nothing of drawing or sorting.
Invariant: at 80 cells every figure of the issue fits; state is said by symbol and word.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from lbapp.control.messages import Event
from lbapp.tui.format import clock, count, milliseconds, share
from lbapp.tui.glyphs import Glyphs, Tone, sparkline, state_of
from lbapp.tui.listing import Column, Kind
from lbapp.tui.scene import Figures, ListenerRow, PoolRow, ServerRow

ERROR_RATE_PROBLEM: Final = 0.05
_WIDE: Final = 100

_BAD_EVENTS: Final = frozenset(
    {
        "server_went_down",
        "drain_timed_out",
        "pool_failed_over",
        "pool_in_panic",
        "pool_on_backups",
        "pool_unserved",
        "server_ejected",
        "name_not_resolved",
        "worker_not_started",
        "worker_died",
        "worker_hung",
    }
)

_Rated = TypeVar("_Rated", bound=Figures)
Past = Callable[[str], Sequence[float]]


def _error_tone(item: Figures) -> Tone:
    rate = item.error_rate
    if not rate:
        return "plain"
    return "bad" if rate >= ERROR_RATE_PROBLEM else "warn"


def _weight_tone(server: ServerRow) -> Tone:
    """Return how a weight stands out that is not the file's, or of which the server's agent wants another share."""
    is_as_in_file = server.configured_weight in (None, server.weight)
    return "plain" if is_as_in_file and server.agent_percent == 100 else "warn"


def _has_many_errors(item: Figures) -> bool:
    return (item.error_rate or 0.0) >= ERROR_RATE_PROBLEM


def _traffic_columns() -> list[Column[Figures]]:
    return [
        Column("conn", 5, lambda t: count(t.connections), lambda t: t.connections),
        Column("in-fl", 5, lambda t: count(t.in_flight), lambda t: t.in_flight),
        Column("req/s", 5, lambda t: count(t.requests_per_s), lambda t: t.requests_per_s),
        Column("err%", 5, lambda t: share(t.error_rate), lambda t: t.error_rate, tone=_error_tone),
        Column("p50", 5, lambda t: milliseconds(t.p50), lambda t: t.p50),
        Column("p99", 5, lambda t: milliseconds(t.p99), lambda t: t.p99),
    ]


def is_standby(server: ServerRow) -> bool:
    """Say whether a server is a backup that could serve and is not needed."""
    return server.is_backup and server.admin == "ready" and server.health != "down" and server.weight > 0


def is_server_problem(server: ServerRow) -> bool:
    """Say whether a server takes no new clients, or fails many of them. A backup that is not needed is none."""
    return not (server.is_eligible or is_standby(server)) or _has_many_errors(server)


def server_kind(glyphs: Glyphs, past: Past, now: Callable[[], float]) -> Kind[ServerRow]:
    """Return what the table of servers shows; `past`: the requests per second of an id; `now`: Unix seconds."""
    state: Column[ServerRow] = Column(
        "state",
        13,
        lambda s: state_of(s, glyphs, now())[0],
        lambda s: f"{s.admin} {s.health}",
        is_right=False,
        tone=lambda s: state_of(s, glyphs, now())[1],
    )
    name: Column[ServerRow] = Column("server", 0, lambda s: s.id, lambda s: s.id, is_right=False)
    address: Column[ServerRow] = Column(
        "address", 21, lambda s: s.address, lambda s: s.address, is_right=False, screen_width_min=_WIDE + 10
    )
    weight: Column[ServerRow] = Column(
        "wgt",
        3,
        lambda s: str(s.weight),
        lambda s: s.weight,
        tone=_weight_tone,
    )
    trend: Column[ServerRow] = _trend(glyphs, past, lambda s: s.id)
    columns: list[Column[ServerRow]] = [state, name, address, weight, *_traffic_columns(), trend]
    return Kind(
        columns,
        lambda s: s.id,
        is_server_problem,
        lambda s: f"{s.id} {s.address} {s.admin} {s.health}",
    )


def pool_kind(glyphs: Glyphs, past: Past) -> Kind[PoolRow]:
    """Return what the table of pools shows."""
    name: Column[PoolRow] = Column("pool", 0, lambda p: p.name, lambda p: p.name, is_right=False)
    servers: Column[PoolRow] = Column(
        "servers up",
        10,
        _servers_of,
        lambda p: p.eligible,
        tone=_pool_tone,
    )
    algorithm: Column[PoolRow] = Column(
        "algorithm", 20, lambda p: p.algorithm, lambda p: p.algorithm, is_right=False, screen_width_min=_WIDE
    )
    trend: Column[PoolRow] = _trend(glyphs, past, lambda p: p.name)
    columns: list[Column[PoolRow]] = [name, algorithm, servers, *_traffic_columns(), trend]
    return Kind(
        columns,
        lambda p: p.name,
        lambda p: not is_whole(p) or _has_many_errors(p),
        lambda p: f"{p.name} {p.algorithm}",
    )


def listener_kind() -> Kind[ListenerRow]:
    """Return what the table of listeners shows."""
    name: Column[ListenerRow] = Column(
        "listener",
        16,
        lambda i: i.name,
        lambda i: i.name,
        is_right=False,
        tone=lambda i: "warn" if i.state == "draining" else "plain",
    )
    bind: Column[ListenerRow] = Column(
        "accepts on", 0, lambda i: f"{i.protocol} {' '.join(i.bind)}", lambda i: i.protocol, is_right=False
    )
    return Kind(
        [name, bind, *_traffic_columns()],
        lambda i: i.name,
        lambda i: i.state != "serving" or _has_many_errors(i),
        lambda i: f"{i.name} {i.protocol} {' '.join(i.bind)}",
    )


def event_kind() -> Kind[Event]:
    """Return what the table of events shows."""
    columns: list[Column[Event]] = [
        Column("time", 8, lambda e: clock(e["at"]), lambda e: e["seq"], is_right=False),
        Column("subject", 18, lambda e: e["subject"], lambda e: e["subject"], is_right=False),
        Column("what happened", 0, lambda e: e["message"], lambda e: e["message"], is_right=False, tone=_event_tone),
        Column("by", 8, lambda e: _by(e), lambda e: _by(e), is_right=False),
    ]
    return Kind(
        columns,
        lambda e: str(e["seq"]),
        lambda e: _event_tone(e) == "bad",
        lambda e: f"{e['subject']} {e['message']} {e['kind']} {_by(e)}",
        is_newest_first=True,
    )


def _by(event: Event) -> str:
    actor = event["actor"]
    return actor["user"] if actor else "-"


def _event_tone(event: Event) -> Tone:
    if event["kind"] in _BAD_EVENTS:
        return "bad"
    return "good" if event["kind"] == "server_came_up" else "plain"


def _servers_of(pool: PoolRow) -> str:
    """Return how many servers take new clients, and behind it what is not as it should be."""
    text = f"{pool.eligible}/{pool.total}"
    if pool.served_by == "":
        return f"{text} 503"
    if pool.served_by not in (None, pool.name):
        return f"{text} >{pool.served_by}"
    if pool.is_in_panic:
        return f"{text} PANIC"
    if pool.is_on_backups:
        return f"{text} backup"
    return f"{text} q{count(pool.queued)}" if pool.queued else text


def is_whole(pool: PoolRow) -> bool:
    """Say whether a pool serves its own requests, none waits for long, and each of its servers could take part."""
    is_served = pool.served_by in (None, pool.name) and not pool.is_on_backups and not pool.is_in_panic
    return (
        is_served and pool.waiting_since is None and all(each.is_eligible or is_standby(each) for each in pool.servers)
    )


def _pool_tone(pool: PoolRow) -> Tone:
    if is_whole(pool):
        return "good"
    return "warn" if pool.eligible and not pool.is_in_panic else "bad"


def _trend(glyphs: Glyphs, past: Past, identity: Callable[[_Rated], str]) -> Column[_Rated]:
    return Column("trend", 6, lambda item: sparkline(past(identity(item)), 6, glyphs), lambda item: item.requests_per_s)
