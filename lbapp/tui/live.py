"""Keeping the rows of a scene up with the lines of the live feed.

Responsible for which row of the scene each row of the feed is, and for every field on the way. Knows nothing of where lines come
from, or of the Status, which `staging` makes a scene of.

Invariants: those of `scene`; between two lines the scene is whole; a row stays the same object until the next Whole; what is
told of servers twice a second costs what is looked at. A line of another version raises KeyError, TypeError or ValueError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any, Final, cast

from lbapp.control.live import (
    COLUMNS,
    Changes,
    DrainState,
    EngineState,
    Line,
    TableName,
    Whole,
    WorkerState,
    unpacked,
    with_defaults,
)
from lbapp.control.messages import EngineStatus
from lbapp.control.shape import flaw
from lbapp.tui.format import clean
from lbapp.tui.live_rows import COLUMNS_READ, Columns, LiveServer
from lbapp.tui.scene import DrainRow, Figures, ListenerRow, PoolRow, RampRow, Scene, ServerRow, Target
from lbapp.tui.staging import clean_value, unlike

_DAY_S: Final = 86_400
_TRAFFIC: Final = (
    "connections", "in_flight", "requests_per_s", "error_rate", "p50", "p90", "p99", "requests_total", "errors_total",
    "retries_total", "bytes_in_total", "bytes_out_total",
)  # fmt: skip
# What the scene has of each table's figures, in the order in which they are taken.
_TAKEN: Final[Mapping[TableName, tuple[str, ...]]] = {
    "engine": COLUMNS["engine"],
    "workers": COLUMNS["workers"],
    "listeners": (*_TRAFFIC, "rate_limited_total"),
    "pools": (*_TRAFFIC, "queued"),
    "servers": COLUMNS_READ,
}
_Taken = Callable[[Sequence[Any]], tuple[Any, ...]]
_Numbered = Iterable[tuple[int, tuple[Any, ...]]]


class LiveScene:
    """A scene that is kept up. `scene` is None until the first line, and another with each Whole.

    `look` names the last line, `counted` the last that its figures are of; empty: they are not known.
    """

    def __init__(self) -> None:
        self.scene: Scene | None = None
        self.look = self.counted = ""
        self.rated: tuple[str, ...] = ()  # the ids and names of all that `rates` are of
        self._columns = Columns((), 0)
        self._taken: dict[TableName, _Taken] = {}
        self._servers: list[ServerRow] = []
        self._pools: dict[str, PoolRow] = {}  # by the name that the engine knows
        self._draining: set[int] = set()
        self._checks: dict[str, Mapping[str, Any]] = {}
        self._engine: dict[str, Any] = {}
        self._workers: list[dict[str, Any]] = []
        self._node = _NO_FIGURES
        self._beats: list[tuple[Any, ...]] = []

    def take(self, line: Line, *, has_figures: bool = True) -> None:
        """Take in a line. `has_figures`: it was asked for with them."""
        if line["kind"] == "whole":
            self.counted = ""
            self._begin(line)
        elif line["kind"] == "changes" and self.scene is not None:
            self._go_on(line, self.scene)
        else:
            raise ValueError(f"a line of kind {line['kind']}")
        self.look = str(line["look"])
        if has_figures:
            self.counted = self.look

    def rates(self) -> list[float]:
        """Return the requests per second of all servers and pools, in the order of `rated`; 0.0: not known."""
        pools = self.scene.pools if self.scene else ()
        return [each or 0.0 for each in (*self._columns.requests_per_s, *(pool.requests_per_s for pool in pools))]

    # -- everything --------------------------------------------------------------------------------------------------

    def _begin(self, whole: Whole) -> None:
        self._taken = {name: _taker(whole[name]["columns"], taken) for name, taken in _TAKEN.items()}
        self._columns = Columns(whole["servers"]["columns"], len(whole["servers"]["states"]))
        scene = Scene()
        pools = [with_defaults("pools", each) for each in whole["pools"]["states"]]
        taken_pools: set[str] = set()
        scene.pools = [PoolRow(name=unlike(clean(each["name"]), taken_pools)) for each in pools]
        self._checks, self._draining = {}, set()
        self._pools = {each["name"]: row for each, row in zip(pools, scene.pools, strict=True)}
        scene.listeners = [ListenerRow() for _ in whole["listeners"]["states"]]
        taken_servers: set[str] = set()
        self._servers = [
            self._new_server(number, state, taken_servers) for number, state in enumerate(whole["servers"]["states"])
        ]
        self._engine, self._node = {}, _NO_FIGURES
        self._workers = [{} for _ in whole["workers"]["states"]]
        self._beats = [_NO_FIGURES for _ in self._workers]
        everything: Any = {name: {**whole[name], "states": list(enumerate(whole[name]["states"]))} for name in _TAKEN}
        self._go_on(cast(Changes, {**whole, **everything}), scene)
        scene.index()
        self.rated = (*(server.id for server in self._servers), *(pool.name for pool in scene.pools))
        self.scene = scene

    def _new_server(self, number: int, state: Mapping[str, Any], taken: set[str]) -> ServerRow:
        pool = self._pools[state["pool"]]
        target = Target(pool.servers[0].target.pool if pool.servers else state["pool"], state["name"])
        row = LiveServer(unlike(clean(target.id), taken), target, pool.name, self._columns, number)
        pool.servers.append(row)
        return row

    # -- what changed ------------------------------------------------------------------------------------------------

    def _go_on(self, changes: Changes, scene: Scene) -> None:
        at = scene.at = float(changes["at"])
        scene.revision = int(changes["revision"])
        figures: Any = changes.get("servers", {}).get("figures")
        if figures is not None:
            self._columns.take(figures)
        for row, state in _states(changes, "pools"):
            self._checks[state["name"]] = state.get("check") or _NO_CHECK
            _say_pool(scene.pools[row], with_defaults("pools", state))
        for row, state in _states(changes, "servers"):
            _say_server(self._servers[row], with_defaults("servers", state), self._checks[state["pool"]], at)
            if state.get("drain") is not None:
                self._draining.add(row)
        for row, state in _states(changes, "listeners"):
            _say_listener(scene.listeners[row], with_defaults("listeners", state), at)
        self._count("listeners", _figures(changes, "listeners"), scene.listeners, "")
        self._count("pools", _figures(changes, "pools"), scene.pools, "queued")
        for number in list(self._draining):
            self._count_drain(number)
        self._say_engine(changes, scene)

    def _count(self, table: TableName, figures: _Numbered, rows: Sequence[Figures], last: str) -> None:
        """Take in figures. `last`: where the last of them belongs, which not all kinds of rows have."""
        taken = self._taken[table]
        for number, each in figures:
            row = rows[number]
            (
                row.connections, row.in_flight, row.requests_per_s, row.error_rate, row.p50, row.p90, row.p99,
                row.requests_total, row.errors_total, row.retries_total, row.bytes_in_total, row.bytes_out_total, more,
            ) = taken(each)  # fmt: skip
            if last:
                setattr(row, last, more)

    def _count_drain(self, number: int) -> None:
        """Have a drain say what is in flight now; without one there is nothing to look after any more."""
        row = self._servers[number]
        if row.drain is None:
            self._draining.discard(number)
        elif row.drain.in_flight != row.in_flight:
            row.drain = replace(row.drain, in_flight=row.in_flight or 0)

    def _say_engine(self, changes: Changes, scene: Scene) -> None:
        for _, state in _states(changes, "engine"):
            self._engine = clean_value(_shaped(with_defaults("engine", state), EngineState))
        for _, figures in _figures(changes, "engine"):
            self._node = self._taken["engine"](figures)
        for row, state in _states(changes, "workers"):
            self._workers[row] = _shaped(with_defaults("workers", state), WorkerState)
        for row, figures in _figures(changes, "workers"):
            self._beats[row] = self._taken["workers"](figures)
        cpu_percent, memory_bytes = self._node
        drain = self._engine["drain"]
        engine = {
            **self._engine,
            "uptime_s": scene.at - self._engine["started_at"],
            "cpu_percent": cpu_percent,
            "memory_bytes": memory_bytes,
            "workers": [
                {**worker, "connections": connections, "heartbeat_age_s": silent_s}
                for worker, (connections, silent_s) in zip(self._workers, self._beats, strict=True)
            ],
            "drain": drain
            and {
                "phase": drain["phase"],
                "since": drain["since"],
                "timeout_s": drain["timeout_s"],
                "remaining_s": max(0.0, drain["until"] - scene.at),
                "connections": sum(each.connections or 0 for each in scene.listeners),
                "in_flight": sum(each.in_flight or 0 for each in scene.listeners),
                "finish_s": _left(drain["finish_at"], scene.at),
                **{name: drain[name] for name in _OF_STEPS if name in drain},
            },
        }
        scene.engine = cast(EngineStatus, engine)


_OF_STEPS: Final = ("step", "step_since", "step_until", "step_why", "then_stop", "ecmp")  # of a drain of the node
_NO_CHECK: Final[Mapping[str, None]] = {"rise": None, "fall": None}
_NO_FIGURES: Final[tuple[Any, Any]] = (None, None)


def _shaped(state: dict[str, Any], shape: Any) -> dict[str, Any]:
    """Return a state that goes on as it is. Raises ValueError when it is one of another version."""
    if what := flaw(state, shape):
        raise ValueError(what)
    return state


def _taker(columns: Sequence[str], taken: Sequence[str]) -> _Taken:
    """Return what takes the figures that are wanted out of a row."""
    return itemgetter(*map(columns.index, taken))


def _states(changes: Changes, table: TableName) -> Iterable[tuple[int, Mapping[str, Any]]]:
    return cast(Any, changes).get(table, {}).get("states", ())  # type: ignore[no-any-return]


def _figures(changes: Changes, table: TableName) -> _Numbered:
    """Return the figures of a line, each row's with its number."""
    figures = cast(Any, changes).get(table, {}).get("figures")
    if figures is None:
        return ()
    rows = unpacked(figures["values"])
    return zip(figures.get("rows", range(len(rows))), rows, strict=True)


def _left(moment: float | None, at: float) -> float | None:
    return None if moment is None else max(0.0, moment - at)


def _say_server(row: ServerRow, state: Mapping[str, Any], check: Mapping[str, Any], at: float) -> None:
    probe, drain, ramp, who = state["probe"], state["drain"], state["ramp"], state["changed_by"]
    row.name, row.address = clean(state["name"]), clean(state["address"])
    row.admin, row.health = state["admin"], state["health"]
    row.health_reason, row.health_since = clean(state["health_reason"]), state["health_since"]
    row.streak = probe["streak"] if probe else 0
    row.is_last_good = probe["is_success"] if probe else None
    row.rise, row.fall = check["rise"], check["fall"]
    row.weight, row.configured_weight = state["weight"], state["configured_weight"]
    row.agent_percent, row.share_percent = state["agent_percent"], state["share_percent"]
    row.connections_max = state["connections_max"]
    row.is_eligible, row.is_backup = state["is_eligible"], state["is_backup"]
    row.is_leaving, row.is_for_nobody = state["is_leaving"], state["is_for_nobody"]
    row.no_new_clients, row.ejected = clean(state["no_new_clients"]), clean(state["ejected"])
    row.drain = drain and _drain(drain, row.in_flight, at)
    row.ramp = ramp and RampRow(ramp["after"], ramp["until"])
    row.changed_at, row.changed_by = state["changed_at"], clean(who["user"]) if who else ""


def _drain(drain: DrainState, in_flight: int | None, at: float) -> DrainRow:
    return DrainRow(drain["phase"], drain["until"], drain["hard"], in_flight or 0, _left(drain["finish_at"], at))


def _say_pool(row: PoolRow, state: Mapping[str, Any]) -> None:
    queue, persistence = state["queue"], state["persistence"]
    row.algorithm, row.is_published = clean(state["algorithm"]), state["published"]
    row.eligible, row.total = state["eligible"], state["total"]
    row.served_by = clean(state["served_by"] or "")
    row.failover = state["failover"] and clean(state["failover"])
    row.is_on_backups, row.is_in_panic = state["is_on_backups"], state["is_in_panic"]
    row.queue_max = queue["length_max"] if queue else None
    row.waiting_since = queue["waiting_since"] if queue else None
    row.connections_max = state["connections_max"]
    row.persistence = clean(persistence["type"]) if persistence else ""
    row.discovered_as = state["discovered_as"] and clean(state["discovered_as"])


def _say_listener(row: ListenerRow, state: Mapping[str, Any], at: float) -> None:
    row.name, row.protocol = clean(state["name"]), clean(state["protocol"])
    row.bind = clean_value(state["bind"])
    row.pool = state["pool"] and clean(state["pool"])
    row.state, row.overloaded_since = state["state"], state["overloaded_since"]
    row.turned_away = clean_value(state["turned_away"])
    certificates: Any = [
        {**clean_value(each), "days_left": (each["not_after"] - at) / _DAY_S} for each in state["certificates"] or ()
    ]
    row.certificates = certificates
