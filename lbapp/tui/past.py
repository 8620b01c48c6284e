"""An earlier moment, as a source of figures like any other.

Responsible for the rows of a moment that was recorded, and for answering what can be answered about it. Knows nothing of keys or
of how one goes from moment to moment. Invariants: what was not recorded is None or `-`, and is never filled up from now;
nothing can be changed there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from lbapp.control.calls import Answer, Call
from lbapp.control.config_file import ConfigFile
from lbapp.control.looking import LogLine, Skipped
from lbapp.control.messages import Event
from lbapp.control.past import PastFigures, PastPool, PastRates, PastServer, PastStatus
from lbapp.model.errors import LbappError, RequestRefused
from lbapp.tui.format import clean, clock, duration
from lbapp.tui.scene import ListenerRow, PoolRow, Scene, ServerRow, Target
from lbapp.tui.source import Source
from lbapp.tui.staging import unlike
from lbapp.tui.trends import Trends

NOT_RECORDED: Final = "-"
HISTORY: Final = "/v1/history"
_FIGURES: Final = frozenset({"in_flight", "requests_per_s", "error_rate", "p50", "p99"})


class PastSource:
    """One moment of `origin`, which is an engine or a file. `seconds`: over how long its figures were counted.

    `rates`: of the seconds before it, where they are known.
    """

    is_live: Final = False
    has_figures: Final = True
    problem: Final = ""
    turns: Final = 0

    def __init__(self, origin: Source, found: PastStatus, rates: PastRates | None = None) -> None:
        self._origin = origin
        self.at, self.seconds = found["at"], found["seconds"]
        self.scene = scene_of_past(found)
        self.events: Sequence[Event] = [event for event in origin.events if event["at"] <= self.at]
        self.trends = Trends() if rates is None else trends_of(rates)

    @property
    def name(self) -> str:
        """What the figures are of."""
        return self._origin.name

    @property
    def title(self) -> str:
        """Whose figures they are."""
        return self._origin.title

    @property
    def freshness(self) -> str:
        """PAST, the time, and how long before now, or before the end of a file, that was."""
        now = self._origin.now()
        return (
            f"PAST {moment(self.at, now)} ({duration(now - self.at)} {'ago' if self._origin.is_of_now else 'before'})"
        )

    def rest(self, *, is_resting: bool) -> None:
        """Do nothing: nothing comes in."""

    @property
    def is_of_now(self) -> bool:
        """No: time does not pass here."""
        return False

    def now(self) -> float:
        """Return the moment (Unix seconds)."""
        return self.at

    def config_file(self, path: str) -> ConfigFile:
        """Raises LbappError: what stood in a file then is not recorded."""
        raise LbappError(f"what stood in {clean(path)} is not recorded")

    async def ask(self, call: Call[Answer]) -> Answer:
        """Answer about the past. Raises RequestRefused for all that is not recorded, and for every change."""
        if call.is_change:
            raise RequestRefused("past", "the past cannot be changed", "0 goes back to now", 409)
        if call.path == HISTORY:
            # How it went is told up to this moment, not up to now. A thousandth more: the query is not to cut its own end off.
            until = {} if "at" in call.query else {"until": f"{self.at + 0.001:.3f}"}
            return await self._origin.ask(replace(call, query={**call.query, **until}))
        raise RequestRefused("not_recorded", "this is not recorded: there are only the figures in the tables", "", 404)

    async def follow_log(self, query: Mapping[str, str]) -> AsyncIterator[LogLine | Skipped]:
        """Raise RequestRefused: requests have no past."""
        lines: Sequence[LogLine | Skipped] = ()
        for line in lines:
            yield line
        raise RequestRefused("not_recorded", "single requests are not recorded: they have no past", "", 404)


def moment(at: float, now: float) -> str:
    """Return the local time of `at` (Unix seconds), with the date where that is not the one of `now`."""
    is_today = datetime.fromtimestamp(at).date() == datetime.fromtimestamp(now).date()
    return clock(at) if is_today else f"{day_and_time(at)}:{datetime.fromtimestamp(at).second:02}"


def day_and_time(at: float) -> str:
    """Return the local date and minute of a Unix time."""
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M")


def trends_of(rates: PastRates) -> Trends:
    """Return the short past of every pool and server, by the ids that rows have."""
    every = {**rates["pools"], **rates["servers"]}
    return Trends.of_seconds({clean(name): values for name, values in every.items()})


def scene_of_past(found: PastStatus) -> Scene:
    """Return the scene of a moment that was recorded, with printable texts and unique ids."""
    scene = Scene(at=found["at"], node_was=found["node"])
    names: set[str] = set()
    scene.listeners = [
        ListenerRow(**_figures(each), name=unlike(clean(each["name"]), names), protocol=NOT_RECORDED)
        for each in found["listeners"]
    ]
    taken_pools: set[str] = set()
    taken_servers: set[str] = set()
    for each in found["pools"]:
        pool = _pool(each, unlike(clean(each["name"]), taken_pools))
        for one in each["servers"]:
            row = _server(one)
            row.pool, row.id = pool.name, unlike(row.id, taken_servers)
            pool.servers.append(row)
        pool.eligible, pool.total = sum(row.is_eligible for row in pool.servers), len(pool.servers)
        scene.pools.append(pool)
    scene.index()
    return scene


def _pool(one: PastPool, name: str) -> PoolRow:
    return PoolRow(**_figures(one), name=name, algorithm=NOT_RECORDED)


def _server(one: PastServer) -> ServerRow:
    pool, _, name = one["id"].partition("/")
    return ServerRow(
        **_figures(one),
        id=clean(one["id"]),
        target=Target(pool, name),
        name=clean(name),
        address=NOT_RECORDED,
        admin=clean(one["admin"]),
        health=clean(one["health"]),
        weight=one["weight"],
        is_eligible=one["admin"] == "ready" and one["health"] != "down" and one["weight"] > 0,
    )


def _figures(one: PastFigures) -> dict[str, Any]:
    return {name: value for name, value in one.items() if name in _FIGURES}
