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
from typing import Any, cast

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from lbapp.control.messages import Actor, DrainStatus, Event, Latency, Percentiles, ServerStatus, Status, Traffic
from tests.tui.changing_double import ME as ME
from tests.tui.changing_double import Changing, Refused


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


class EngineDouble:
    """Servers that can be changed, and the patches that came."""

    def __init__(self, servers: list[ServerStatus] | None = None) -> None:
        self.servers = servers or [server("app", f"s{number}", 10.0 * number) for number in (1, 2, 3)]
        self.patches: list[tuple[str, dict[str, object]]] = []
        self.forced: list[bool] = []  # of each patch
        self.refuses_with: tuple[str, str] | None = None
        self.events: list[Event] = []
        self.stops: list[dict[str, object]] = []
        self.revision = 1
        self._changed_in: dict[str, int] = {}
        self.changing = Changing(self)
        self.published: dict[str, bool] = {}
        self.node_state = "ready"
        self.confirm_by: float | None = None
        self.is_empty = False

    def current(self) -> Status:
        found = status(self.servers, self.revision)
        found["engine"]["confirm_by"] = self.confirm_by
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
                Route("/v1/pools", self._pools),
                Route("/v1/pools/{pool}/servers/{server}", self._patch, methods=["PATCH"]),
                Route("/v1/pools/{pool}/servers/{server}", self._server, methods=["GET"]),
                Route("/v1/stop", self._stop, methods=["POST"]),
                *self.changing.routes(),
            ]
        )

    async def _status(self, _request: Request) -> Response:
        return JSONResponse(self.current())

    async def _pools(self, _request: Request) -> Response:
        return JSONResponse({"pools": self.current()["pools"]})

    async def _stop(self, request: Request) -> Response:
        self.stops.append(await request.json())
        return JSONResponse({"accepted": True})

    async def _watch(self, _request: Request) -> Response:
        async def lines() -> AsyncIterator[str]:
            while True:
                yield json.dumps(self.current()) + "\n"
                await anyio.sleep(0.05)

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    async def _events(self, request: Request) -> Response:
        after = int(request.query_params["after"])
        return JSONResponse({"events": [event for event in self.events if event["seq"] > after]})

    async def _server(self, request: Request) -> Response:
        return JSONResponse(self._find(request))

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
