"""The columns of each table: listeners, pools, servers, events.

Responsible for which figure stands where, how wide, and what counts as a problem. Knows nothing of drawing or sorting.
Invariant: at 80 cells every figure of the issue fits; state is said by symbol and word.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from lbapp.control.messages import Event, ListenerStatus, PoolStatus, ServerStatus, Traffic
from lbapp.tui.format import clock, count, milliseconds, share
from lbapp.tui.glyphs import Glyphs, Tone, sparkline, state_of
from lbapp.tui.listing import Column, Kind

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

_Rated = TypeVar("_Rated", bound=Traffic)
Past = Callable[[str], Sequence[float]]


def _error_tone(item: Traffic) -> Tone:
    rate = item["error_rate"]
    if not rate:
        return "plain"
    return "bad" if rate >= ERROR_RATE_PROBLEM else "warn"


def _weight_tone(server: ServerStatus) -> Tone:
    """Return how a weight stands out that is not the file's, or of which the server's agent wants another share."""
    agent = server["agent"]
    has_other_share = agent is not None and agent["percent"] != 100
    return "warn" if has_other_share or server["weight"] != server["configured_weight"] else "plain"


def _has_many_errors(item: Traffic) -> bool:
    return (item["error_rate"] or 0.0) >= ERROR_RATE_PROBLEM


def _traffic_columns() -> list[Column[Traffic]]:
    return [
        Column("conn", 5, lambda t: count(t["connections"]), lambda t: t["connections"]),
        Column("in-fl", 5, lambda t: count(t["in_flight"]), lambda t: t["in_flight"]),
        Column("req/s", 5, lambda t: count(t["requests_per_s"]), lambda t: t["requests_per_s"]),
        Column("err%", 5, lambda t: share(t["error_rate"]), lambda t: t["error_rate"], tone=_error_tone),
        Column("p50", 5, lambda t: milliseconds(_total(t, "p50")), lambda t: _total(t, "p50")),
        Column("p99", 5, lambda t: milliseconds(_total(t, "p99")), lambda t: _total(t, "p99")),
    ]


def _total(item: Traffic, which: str) -> float | None:
    total = item["latency"]["total"]
    return total["p50"] if which == "p50" else total["p99"]


def is_standby(server: ServerStatus) -> bool:
    """Say whether a server is a backup that could serve and is not needed."""
    return server["is_backup"] and server["admin"] == "ready" and server["health"] != "down" and server["weight"] > 0


def is_server_problem(server: ServerStatus) -> bool:
    """Say whether a server takes no new clients, or fails many of them. A backup that is not needed is none."""
    return not (server["is_eligible"] or is_standby(server)) or _has_many_errors(server)


def server_kind(glyphs: Glyphs, past: Past) -> Kind[ServerStatus]:
    """Return what the table of servers shows; `past` gives the requests per second of an id."""
    state: Column[ServerStatus] = Column(
        "state",
        13,
        lambda s: state_of(s, glyphs)[0],
        lambda s: f"{s['admin']} {s['health']}",
        is_right=False,
        tone=lambda s: state_of(s, glyphs)[1],
    )
    name: Column[ServerStatus] = Column("server", 0, lambda s: s["id"], lambda s: s["id"], is_right=False)
    address: Column[ServerStatus] = Column(
        "address", 21, lambda s: s["address"], lambda s: s["address"], is_right=False, screen_width_min=_WIDE + 10
    )
    weight: Column[ServerStatus] = Column(
        "wgt",
        3,
        lambda s: str(s["weight"]),
        lambda s: s["weight"],
        tone=_weight_tone,
    )
    trend: Column[ServerStatus] = _trend(glyphs, past, lambda s: s["id"])
    columns: list[Column[ServerStatus]] = [state, name, address, weight, *_traffic_columns(), trend]
    return Kind(
        columns,
        lambda s: s["id"],
        is_server_problem,
        lambda s: f"{s['id']} {s['address']} {s['admin']} {s['health']}",
    )


def pool_kind(glyphs: Glyphs, past: Past) -> Kind[PoolStatus]:
    """Return what the table of pools shows."""
    name: Column[PoolStatus] = Column("pool", 0, lambda p: p["name"], lambda p: p["name"], is_right=False)
    servers: Column[PoolStatus] = Column(
        "servers up",
        10,
        _servers_of,
        lambda p: p["eligible"],
        tone=_pool_tone,
    )
    algorithm: Column[PoolStatus] = Column(
        "algorithm", 20, lambda p: p["algorithm"], lambda p: p["algorithm"], is_right=False, screen_width_min=_WIDE
    )
    trend: Column[PoolStatus] = _trend(glyphs, past, lambda p: p["name"])
    columns: list[Column[PoolStatus]] = [name, algorithm, servers, *_traffic_columns(), trend]
    return Kind(
        columns,
        lambda p: p["name"],
        lambda p: not _is_whole(p) or _has_many_errors(p),
        lambda p: f"{p['name']} {p['algorithm']}",
    )


def listener_kind() -> Kind[ListenerStatus]:
    """Return what the table of listeners shows."""
    name: Column[ListenerStatus] = Column(
        "listener",
        16,
        lambda i: i["name"],
        lambda i: i["name"],
        is_right=False,
        tone=lambda i: "warn" if i["state"] == "draining" else "plain",
    )
    bind: Column[ListenerStatus] = Column(
        "accepts on", 0, lambda i: f"{i['protocol']} {' '.join(i['bind'])}", lambda i: i["protocol"], is_right=False
    )
    return Kind(
        [name, bind, *_traffic_columns()],
        lambda i: i["name"],
        lambda i: i["state"] != "serving" or _has_many_errors(i),
        lambda i: f"{i['name']} {i['protocol']} {' '.join(i['bind'])}",
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


def _servers_of(pool: PoolStatus) -> str:
    """Return how many servers take new clients, and behind it what is not as it should be."""
    text = f"{pool['eligible']}/{pool['total']}"
    queue = pool["queue"]
    if pool["served_by"] is None:
        return f"{text} 503"
    if pool["served_by"] != pool["name"]:
        return f"{text} >{pool['served_by']}"
    if pool["is_in_panic"]:
        return f"{text} PANIC"
    if pool["is_on_backups"]:
        return f"{text} backup"
    return f"{text} q{count(queue['queued'])}" if queue is not None and queue["queued"] else text


def _is_whole(pool: PoolStatus) -> bool:
    is_waited_for = pool["queue"] is not None and pool["queue"]["waiting_since"] is not None
    is_served = pool["served_by"] == pool["name"] and not pool["is_on_backups"] and not pool["is_in_panic"]
    return is_served and not is_waited_for and all(each["is_eligible"] or is_standby(each) for each in pool["servers"])


def _pool_tone(pool: PoolStatus) -> Tone:
    if _is_whole(pool):
        return "good"
    return "warn" if pool["eligible"] and not pool["is_in_panic"] else "bad"


def _trend(glyphs: Glyphs, past: Past, identity: Callable[[_Rated], str]) -> Column[_Rated]:
    return Column(
        "trend", 6, lambda item: sparkline(past(identity(item)), 6, glyphs), lambda item: item["requests_per_s"]
    )
