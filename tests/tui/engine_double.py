"""A small engine that speaks the control API on a Unix socket, without workers or traffic.

Responsible for whole messages and for carrying out changes. Knows nothing of proxying. Invariant: it is a real HTTP server
on a real socket; when it is stopped, its connections are gone.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast, get_args

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from lbapp.control.changes import ConfigurationFile
from lbapp.control.live import (
    COLUMNS,
    EngineState,
    ListenerState,
    PoolState,
    ServerState,
    TableName,
    WorkerState,
    packed,
    without_defaults,
)
from lbapp.control.messages import (
    Actor,
    DrainStatus,
    Event,
    Latency,
    Percentiles,
    ProbeDone,
    ServerStatus,
    Status,
    Traffic,
)
from lbapp.control.past import PastNode, PastPoint, PastRates, PastStatus
from tests.tui.changing_double import ME as ME
from tests.tui.changing_double import Changing, Refused
from tests.tui.fleet_double import FleetDouble
from tests.tui.looks_double import LooksDouble

CHECK = {"rise": 2, "fall": 3}
WATCH_INTERVAL_S = 0.5


def percentiles(p50: float | None) -> Percentiles:
    return {"p50": p50, "p90": p50, "p99": p50 and p50 * 4, "p999": p50 and p50 * 9}


def traffic(rate: float = 12.0) -> Traffic:
    latency: Latency = {
        "window_s": 10.0,
        "connect": percentiles(0.4),
        "first_byte": percentiles(3.0),
        "total": percentiles(4.0),
    }
    return {
        "connections": 7,
        "connections_total": 70,
        "in_flight": 3,
        "requests_total": 1200,
        "requests_per_s": rate,
        "responses": {"2xx": 1190, "5xx": 10},
        "errors_total": 10,
        "error_rate": 0.01,
        "bytes_in_total": 1000,
        "bytes_out_total": 2_000_000,
        "retries_total": 2,
        "failures": {"connect_refused": 2, "connect_timeout": 0},
        "outcomes": {"completed": 1200},
        "latency": latency,
    }


def drain(**more: Any) -> DrainStatus:
    """Return a drain that is under way."""
    found: Any = {
        "phase": "draining", "since": 0.0, "timeout_s": 300.0, "remaining_s": 300.0, "hard": False, "in_flight": 0, "tunnels": 0,
        "oldest_s": None, "remembered": None, "finish_s": None,
    } | more  # fmt: skip
    return cast(DrainStatus, found)


def server(pool: str, name: str, rate: float = 12.0) -> ServerStatus:
    return {
        **traffic(rate),
        "id": f"{pool}/{name}",
        "pool": pool,
        "name": name,
        "address": "127.0.0.1:9001",
        "admin": "ready",
        "health": "up",
        "health_reason": "HTTP 200",
        "health_since": 1_700_000_000.0,
        "health_because": "HTTP 200",
        "probe": None,
        "no_new_clients": "",
        "is_for_nobody": False,
        "agent": None,
        "is_eligible": True,
        "weight": 100,
        "configured_weight": 100,
        "connections_max": 0,
        "fleet_connections_max": 0,
        "connections_max_here": 0,
        "is_backup": False,
        "is_leaving": False,
        "ejected": "",
        "ejected_until": None,
        "share_percent": 100.0,
        "idle_connections": 4,
        "drain": None,
        "ramp": None,
        "changed_at": None,
        "changed_by": None,
    }


def was(at: float, servers: list[ServerStatus], seconds: float = 1.0, **figures: Any) -> PastStatus:
    """Return a moment that was recorded. `figures`: of everything."""
    counted: Any = {"requests": 25, "requests_per_s": 25.0, "errors": 5, "error_rate": 0.2, "in_flight": 2}
    counted |= {"p50": 4.0, "p99": 40.0, **figures}
    rows = [{key: one[key] for key in ("id", "pool", "admin", "health", "weight")} | counted for one in servers]
    pools = [
        {"name": pool, **counted, "servers": [row for row in rows if row["pool"] == pool]}
        for pool in dict.fromkeys(one["pool"] for one in servers)
    ]
    node: PastNode = {"cpu_percent": 34.0, "memory_bytes": 70_000_000, "connections": 9}
    found = {"at": at, "seconds": seconds, "node": node, "listeners": [{"name": "web", **counted}], "pools": pools}
    return cast(PastStatus, found)


def status(servers: list[ServerStatus], revision: int = 1) -> Status:
    pools = list(dict.fromkeys(one["pool"] for one in servers))
    return {
        "at": time.time(),
        "revision": revision,
        "engine": {
            "version": "1",
            "node": "node-a",
            "pid": 1,
            "phase": "serving",
            "started_at": 0.0,
            "uptime_s": 90.0,
            "generation": 1,
            "configuration_path": "lbapp.toml",
            "configuration": 1,
            "confirm_by": None,
            "ready": True,
            "fleet": None,
            "drain": None,
            "workers": [],
            "cpu_percent": 12.0,
            "memory_bytes": 50_000_000,
        },
        "listeners": [
            {
                **traffic(),
                "name": "web",
                "protocol": "http",
                "bind": ["0.0.0.0:8080"],
                "pool": pools[0],
                "turned_away": {},
                "rate_limited_total": 0,
                "recycled_total": 0,
                "overloaded_since": None,
                "state": "serving",
                "tls": None,
            }
        ],
        "pools": [
            {
                **traffic(36.0),
                "name": pool,
                "algorithm": "round_robin",
                "published": True,
                "eligible": sum(one["is_eligible"] for one in servers if one["pool"] == pool),
                "total": sum(one["pool"] == pool for one in servers),
                "servers": [one for one in servers if one["pool"] == pool],
                "persistence": None,
                "retries_refused_total": 0,
                "connections_max": 0,
                "fleet_connections_max": 0,
                "connections_max_here": 0,
                "queue": None,
                "failover": None,
                "discovered_as": None,
                "served_by": pool,
                "is_on_backups": False,
                "is_in_panic": False,
            }
            for pool in pools
        ],
    }


def live_tables(status: Status) -> dict[str, Any]:
    """Return the tables of the live feed that say what a status says."""
    engine: Any = status["engine"]
    servers: list[Any] = [one for pool in status["pools"] for one in pool["servers"]]
    said: dict[TableName, list[Any]] = {
        "engine": [{**engine, "drain": _live_drain(engine["drain"], status["at"])}],
        "workers": engine["workers"],
        "listeners": [{**one, "certificates": None} for one in status["listeners"]],
        "pools": [{**pool, "check": CHECK, "states": {}} for pool in status["pools"]],
        "servers": [{**one, "drain": _live_drain(one["drain"], status["at"])} for one in servers],
    }
    kinds: dict[TableName, Any] = {
        "engine": EngineState, "workers": WorkerState, "listeners": ListenerState, "pools": PoolState, "servers": ServerState
    }  # fmt: skip
    return {
        table: {
            "columns": list(COLUMNS[table]),
            "states": [
                without_defaults(table, {name: row[name] for name in kinds[table].__annotations__ if name in row})
                for row in rows
            ],
            "figures": [_live_figures(table, row) for row in rows],  # by row: `live_line` packs them
        }
        for table, rows in said.items()
    }


def _live_figures(table: TableName, row: Any) -> list[Any]:
    total = row["latency"]["total"] if "latency" in row else {}
    more = {"silent_s": 0, "queued": None, "responses_5xx_total": 0}
    return [{**more, **total, **row}[name] for name in COLUMNS[table]]


def _live_drain(drain: Any, at: float) -> Any:
    return drain and {**drain, "until": at + drain["remaining_s"], "oldest_since": None, "finish_at": None}


def live_line(status: Status, tables: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Return the line of the live feed for one whose tables are `before`."""
    head = {"look": "double-1", "at": status["at"], "revision": status["revision"], "window_s": 10.0}

    def names(of: dict[str, Any]) -> list[Any]:
        return [(one["pool"], one["name"]) for one in of["servers"]["states"]]

    if not before or names(tables) != names(before):
        wholes = {
            table: {**each, "figures": {"values": packed(each["figures"], len(each["columns"]))}}
            for table, each in tables.items()
        }
        return {"kind": "whole", **head, **wholes}
    changes = {table: _live_changes(now, before[table]) for table, now in tables.items()}
    return {"kind": "changes", **head, **changes}


def _live_changes(now: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    states = enumerate(zip(now["states"], before["states"], strict=True))
    figures = enumerate(zip(now["figures"], before["figures"], strict=True))
    counted = [row for row, (new, old) in figures if new != old]
    found: dict[str, Any] = {"states": [[row, new] for row, (new, old) in states if new != old]}
    if counted:
        values = packed([now["figures"][row] for row in counted], len(now["columns"]))
        found["figures"] = {"values": values} | ({"rows": counted} if len(counted) < len(now["figures"]) else {})
    return found


def without_figures(line: dict[str, Any]) -> dict[str, Any]:
    """Return a line as it is for one who asked for states alone."""
    tables = get_args(TableName)
    return {
        name: {part: each for part, each in value.items() if part != "figures"} if name in tables else value
        for name, value in line.items()
    }


class EngineDouble:
    """Servers that can be changed, and the patches that came."""

    def __init__(self, servers: list[ServerStatus] | None = None) -> None:
        self.servers = servers or [server("app", f"s{number}", 10.0 * number) for number in (1, 2, 3)]
        self.patches: list[tuple[str, dict[str, object]]] = []
        self.forced: list[bool] = []  # of each patch
        self.refuses_with: tuple[str, str] | None = None
        self.events: list[Event] = []
        self.stops: list[dict[str, object]] = []
        self.probes: list[ProbeDone] = []
        self.points: list[PastPoint] = []
        self.asked: list[dict[str, str]] = []  # of the history
        self.followed: list[dict[str, str]] = []  # how the watch was asked for
        self.is_old = False  # it knows no live feed
        self.revision = 1
        self.moments: list[PastStatus] = []  # that are recorded, oldest first
        self.looks = LooksDouble()
        self._changed_in: dict[str, int] = {}
        self.changing = Changing(self)
        self.fleet = FleetDouble()
        self.published: dict[str, bool] = {}
        self.node_state = "ready"
        self.confirm_by: float | None = None
        self.is_empty = False
        self.toml: str | None = None  # the text of its configuration; None: it does not say

    def current(self) -> Status:
        found = status(self.servers, self.revision)
        found["engine"]["confirm_by"] = self.confirm_by
        found["engine"]["fleet"] = self.fleet.glance()
        if self.node_state == "drain":
            found["engine"]["drain"] = {
                "phase": "draining", "since": 0.0, "timeout_s": 300.0, "remaining_s": 300.0, "connections": 7, "in_flight": 3,
                "finish_s": None,
            }  # fmt: skip
        for pool in found["pools"]:
            pool["published"] = self.published.get(pool["name"], True)
        if self.is_empty:
            found["pools"], found["listeners"] = [], []
        return found

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/status", self._status),
                Route("/v1/watch", self._watch),
                Route("/v1/events", self._events),
                Route("/v1/workers", self._workers),
                Route("/v1/pools", self._pools),
                Route("/v1/pools/{pool}/servers/{server}", self._patch, methods=["PATCH"]),
                Route("/v1/pools/{pool}/servers/{server}", self._server, methods=["GET"]),
                Route("/v1/pools/{pool}/servers/{server}/probes", self._probes),
                Route("/v1/history", self._history),
                Route("/v1/configuration", self._configuration),
                Route("/v1/stop", self._stop, methods=["POST"]),
                *self.looks.routes(),
                *self.changing.routes(),
                *self.fleet.routes(),
            ]
        )

    async def _status(self, _request: Request) -> Response:
        return JSONResponse(self.current())

    async def _workers(self, _request: Request) -> Response:
        return JSONResponse({"workers": self.current()["engine"]["workers"]})

    async def _pools(self, _request: Request) -> Response:
        return JSONResponse({"pools": self.current()["pools"]})

    async def _configuration(self, _request: Request) -> Response:
        if self.toml is None:
            return _refusal("no_configuration", "there is no configuration here", "")
        found: ConfigurationFile = {
            "path": "lbapp.toml", "text": self.toml, "digest": "0", "problem": "", "running_text": self.toml,
            "running_number": 1, "is_file_other_than_running": False, "why_other": "",
        }  # fmt: skip
        return JSONResponse(found)

    async def _stop(self, request: Request) -> Response:
        self.stops.append(await request.json())
        return JSONResponse({"accepted": True})

    async def _watch(self, request: Request) -> Response:
        is_live = request.query_params.get("as") == "changes" and not self.is_old
        has_figures = request.query_params.get("figures") != "no"
        self.followed.append(dict(request.query_params))

        async def lines() -> AsyncIterator[str]:
            before: dict[str, Any] = {}
            async for status in self._statuses():
                if is_live:
                    tables = live_tables(status)
                    line = live_line(status, tables, before)
                    yield json.dumps(line if has_figures else without_figures(line)) + "\n"
                    before = tables
                else:
                    yield json.dumps(status) + "\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    async def _statuses(self) -> AsyncIterator[Status]:
        """Yield what is as often as an engine does, and what a test has changed at once: each line is a screen drawn anew."""
        said, said_at = "", 0.0
        while True:
            status, now = self.current(), time.monotonic()
            found = json.dumps({**status, "at": 0.0})
            if found != said or now - said_at >= WATCH_INTERVAL_S:
                said, said_at = found, now
                yield status
            await anyio.sleep(0.05)

    async def _events(self, request: Request) -> Response:
        after = int(request.query_params["after"])

        async def lines() -> AsyncIterator[str]:
            seq = after
            while True:
                for event in [event for event in self.events if event["seq"] > seq]:
                    seq = event["seq"]
                    yield json.dumps(event) + "\n"
                await anyio.sleep(0.02)

        if request.query_params.get("follow"):
            return StreamingResponse(lines(), media_type="application/x-ndjson")
        before = int(request.query_params.get("before", 10**9))
        subject, limit = request.query_params.get("subject", ""), int(request.query_params["limit"])
        found = [
            event for event in self.events if after < event["seq"] < before and event["subject"].startswith(subject)
        ]
        return JSONResponse({"events": found[-limit:]})

    async def _server(self, request: Request) -> Response:
        return JSONResponse(self._find(request))

    async def _probes(self, request: Request) -> Response:
        return JSONResponse({"server": self._find(request)["id"], "probes": self.probes})

    async def _history(self, request: Request) -> Response:
        if "at" in request.query_params:
            return self._moment(float(request.query_params["at"]))
        if "rates" in request.query_params:
            return JSONResponse(self._rates(float(request.query_params["rates"]), float(request.query_params["until"])))
        self.asked.append(dict(request.query_params))
        if not self.points:
            return _refusal("not_recorded", "nothing is recorded of that time", "")
        return JSONResponse({"kind": "node", "name": "", "step_s": 1, "points": self.points})

    def _rates(self, last_s: float, until: float) -> PastRates:
        seconds = [one for one in self.moments if one["seconds"] < 2 and until - last_s < one["at"] <= until]
        pools: Any = [pool for one in seconds for pool in one["pools"]]
        servers = [each for pool in pools for each in pool["servers"]]
        return {
            "at": [one["at"] for one in seconds],
            "pools": {each["name"]: [each["requests_per_s"]] * len(seconds) for each in pools},
            "servers": {each["id"]: [each["requests_per_s"]] * len(seconds) for each in servers},
        }

    def _moment(self, at: float) -> Response:
        for one in reversed(self.moments):
            if one["at"] - (one["seconds"] if one["seconds"] > 2 else 0.5) <= at < one["at"] + 5:
                return JSONResponse(one)
        return _refusal("not_recorded", "nothing is recorded of that time", "")

    def _find(self, request: Request) -> ServerStatus:
        wanted = (request.path_params["pool"], request.path_params["server"])
        return next(one for one in self.servers if (one["pool"], one["name"]) == wanted)

    async def _patch(self, request: Request) -> Response:
        if self.refuses_with:
            return _refusal("no", *self.refuses_with)
        one = self._find(request)
        patch = await request.json()
        self.forced.append(patch.pop("force", False))
        try:
            self.check_revision(one["id"], patch.pop("expect_revision", None))
        except Refused as error:
            return _refusal(*error.args)
        self.patches.append((one["id"], patch))
        return JSONResponse(self.change(one, patch.get("state", one["admin"]), patch.get("weight", one["weight"]), ME))

    def add(self, one: ServerStatus) -> None:
        """Have another server, changed now as far as anybody knows who saw one of its name before."""
        self.revision += 1
        self._changed_in[one["id"]] = self.revision
        self.servers.insert(0, one)

    def check_revision(self, server_id: str, expected: int | None) -> None:
        """Refuse what was meant for a server as it was before somebody changed it."""
        if expected is not None and self._changed_in.get(server_id, 0) > expected:
            raise Refused("changed", f"{server_id} changed in revision {self.revision}", "Look at it again")

    def change(self, one: ServerStatus, state: str, weight: int, actor: Actor) -> Any:
        """Change a server, tell of it, and return what a ServerChange says."""
        self.revision += 1
        self._changed_in[one["id"]] = self.revision
        before = {"state": one["admin"], "weight": one["weight"]}
        one["weight"], one["admin"] = weight, cast(Any, state)
        one["is_eligible"] = one["admin"] == "ready" and one["weight"] > 0
        one["changed_by"], one["changed_at"] = actor, time.time()
        one["drain"] = None
        if one["admin"] == "drain":
            one["drain"] = drain(since=time.time(), timeout_s=300.0, remaining_s=299.0, in_flight=3)
        self.tell(one["id"], f"{one['id']} became {one['admin']} with weight {one['weight']}", actor)
        after = {"state": one["admin"], "weight": one["weight"]}
        return {"server": one, "before": before, "after": after, "event_seqs": [len(self.events)]}

    def tell(self, subject: str, message: str, actor: Actor) -> None:
        """Have something have happened."""
        self.events.append(
            {
                "seq": len(self.events) + 1,
                "at": time.time(),
                "kind": "admin_state_changed",
                "subject": subject,
                "message": message,
                "actor": actor,
                "before": None,
                "after": None,
            }
        )


def _refusal(code: str, message: str, hint: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message, "hint": hint}}, status_code=409)


@contextmanager
def answering(double: EngineDouble, socket: Path) -> Iterator[None]:
    """Answer on `socket` from a thread of its own; then cut every connection."""
    config = uvicorn.Config(
        double.app(), uds=str(socket), log_level="critical", lifespan="off", timeout_graceful_shutdown=0
    )
    runner = uvicorn.Server(config)
    thread = threading.Thread(target=runner.run, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 10
        while not runner.started:
            assert time.monotonic() < deadline, "the double did not start"
            time.sleep(0.01)
        yield
    finally:
        runner.should_exit = runner.force_exit = True
        thread.join(10)
        socket.unlink(missing_ok=True)
