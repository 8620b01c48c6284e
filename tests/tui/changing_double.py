"""What an operator can have done at the engine double: several servers at once, plans, a journal and its undo, kills, checks.

Responsible for carrying out and for writing down. Knows nothing of the console. Invariant: what is refused has changed nothing.
"""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lbapp.control.changes import ActionDone, PoolPlan
from lbapp.control.messages import Actor, ServerStatus
from tests.tui.fleet_double import Refused as Refused

if TYPE_CHECKING:
    from tests.tui.engine_double import EngineDouble

ME: Actor = {"uid": 1000, "user": "alice", "pid": 4711}
MINE: Actor = {**ME, "uid": os.getuid()}  # as the journal knows whoever runs the tests
BOB: Actor = {"uid": 99_999, "user": "bob", "pid": 4712}
CODES = {"forbidden": 403, "unknown_server": 404, "unknown_node": 404, "fleet_unreachable": 503}


class Changing:
    """The changes of one double. `too_little`: said of every pool that something is taken away from."""

    def __init__(self, double: EngineDouble) -> None:
        self._double = double
        self.actions = double.looks.actions  # which answers to GET /v1/changes
        self.asked: list[tuple[str, str, Any]] = []  # method, path and body of each change that came
        self.too_little = ""
        self.is_viewer = False
        self.peers: list[Callable[[], None]] = []  # what others do just before the next change

    def routes(self) -> list[Route]:
        """Return what it answers to."""
        return [
            Route("/v1/servers", self._answering(self._servers), methods=["PATCH"]),
            Route("/v1/servers/kill", self._answering(self._kill), methods=["POST"]),
            Route("/v1/undo", self._answering(self._undo), methods=["POST"]),
            Route("/v1/node", self._answering(self._node), methods=["PATCH"]),
            Route("/v1/confirm", self._answering(self._confirm), methods=["POST"]),
            Route("/v1/rollback", self._answering(self._rollback), methods=["POST"]),
            Route("/v1/pools/{pool}", self._answering(self._pool), methods=["PATCH"]),
            Route("/v1/pools/{pool}/servers", self._answering(self._add), methods=["POST"]),
            Route("/v1/pools/{pool}/servers/{server}", self._answering(self._remove), methods=["DELETE"]),
            Route("/v1/pools/{pool}/servers/{server}/check", self._answering(self._check), methods=["POST"]),
        ]

    def _answering(self, answer: Callable[[Request, Any], Any]) -> Callable[[Request], Awaitable[Response]]:
        async def answering(request: Request) -> Response:
            body = await request.json() if await request.body() else {}
            if not body.get("dry_run"):
                self.asked.append((request.method, request.url.path, body))
            try:
                if self.is_viewer:
                    raise Refused("forbidden", f"alice may not {request.method} {request.url.path}", "Ask an operator")
                if self._double.refuses_with:
                    raise Refused("no", *self._double.refuses_with)
                if body.get("fleet") or body.get("node"):
                    self._double.fleet.check_synced()
                return JSONResponse(answer(request, body))
            except Refused as error:
                code, message, hint = error.args
                detail = {"error": {"code": code, "message": message, "hint": hint}}
                return JSONResponse(detail, status_code=CODES.get(code, 409))

        return answering

    def record(
        self, changes: list[Any], actor: Actor = MINE, reason: str = "", undoes: tuple[int, ...] = (), fleet: int = 0
    ) -> None:
        """Write an action down, and tell of it by an event."""
        number = len(self.actions) + 1
        for earlier in self.actions:
            if earlier["number"] in undoes:
                earlier["is_undone"] = True
        if fleet:  # it is known by the name of who asked for it, and where
            actor = {"uid": None, "user": f"{pwd.getpwuid(os.getuid()).pw_name}@node-a", "pid": None}
        action: ActionDone = {
            "number": number, "at": time.time(), "actor": actor, "reason": reason, "group": "", "changes": changes,
            "undoes": list(undoes), "is_undone": False, "fleet": fleet,
        }  # fmt: skip
        self.actions.append(action)
        if not any("/" in change["on"] for change in changes):
            self._double.tell(str(changes[0]["on"]), f"action {number}", actor)

    def _server(self, name: str) -> ServerStatus:
        found = next((one for one in self._double.servers if one["id"] == name), None)
        if found is None:
            raise Refused("unknown_server", f"pool app has no server {name}", "Look again")
        return found

    def _servers(self, _request: Request, body: Any) -> Any:
        for peer in self.peers:
            peer()
        self.peers = []
        servers = [self._server(name) for name in body["servers"]]
        for one in servers:
            self._double.check_revision(one["id"], body.get("expect_revision"))
        after = [self._after(one, body) for one in servers]
        plans = [self._plan(pool, servers, after) for pool in dict.fromkeys(one["pool"] for one in servers)]
        if body.get("dry_run"):
            return {"plan": plans, "changes": []}
        if not body.get("force"):
            for plan in plans:
                self._guard(plan)
        changes = [
            self._double.change(one, state, weight, ME) for one, (state, weight) in zip(servers, after, strict=True)
        ]
        recorded = [
            change_done(each, name)
            for each in changes
            for name in ("state", "weight")
            if each["before"][name] != each["after"][name]
        ]
        if recorded:
            revision = self._double.fleet.revision + 1 if body.get("fleet") else 0
            self.record(recorded, reason=body.get("reason", ""), fleet=revision)
        of_fleet = {"fleet": self._double.fleet.write()} if body.get("fleet") else {}
        left = ("servers", "force", "expect_revision", "fleet")
        said = {name: value for name, value in body.items() if name not in left}
        if not said.get("hard", True):
            del said["hard"]
        self._double.patches += [(one["id"], said) for one in servers]
        self._double.forced.append(body.get("force", False))
        return {"plan": [], "changes": changes, **of_fleet}

    @staticmethod
    def _after(one: ServerStatus, body: Any) -> tuple[str, int]:
        weight = body.get("weight", one["weight"])
        if "weight_add" in body:
            weight = max(1, min(256, one["weight"] + body["weight_add"]))
        if "weight_percent" in body:
            weight = round(one["configured_weight"] * body["weight_percent"] / 100)
        return body.get("state", one["admin"]), weight

    def _plan(self, pool: str, servers: list[ServerStatus], after: list[tuple[str, int]]) -> PoolPlan:
        to_be = {
            one["id"]: state == "ready" and weight > 0 for one, (state, weight) in zip(servers, after, strict=True)
        }
        members = [one for one in self._double.servers if one["pool"] == pool]
        before = sum(one["is_eligible"] for one in members)
        left = sum(to_be.get(one["id"], one["is_eligible"]) for one in members)
        shares: Any = [
            {
                "server": one["id"],
                "before": one["is_eligible"] / before if before else 0.0,
                "after": to_be.get(one["id"], one["is_eligible"]) / left if left else 0.0,
            }
            for one in members
        ]
        return {
            "pool": pool, "requests_per_s": 36.0, "eligible_before": before, "eligible_after": left,
            "leaves_nobody": before > 0 and not left, "failover": None, "peak_in_flight": 40, "peak_at": time.time() - 60,
            "too_little": self.too_little if left < before else "", "keys_moved": None, "shares": shares,
        }  # fmt: skip

    @staticmethod
    def _guard(plan: PoolPlan) -> None:
        if plan["leaves_nobody"]:
            raise Refused("leaves_nobody", f"pool {plan['pool']} would have no server for new clients", "Use --force")
        if plan["too_little"]:
            raise Refused("too_little_capacity", f"pool {plan['pool']}: {plan['too_little']}", "Use --force")

    def _undo(self, _request: Request, body: Any) -> Any:
        action = self.actions[body["action"] - 1]
        back: list[Any] = [
            {**change, "before": change["after"], "after": change["before"]} for change in action["changes"]
        ]
        for change in [one for one in back if one["on"] == "node"]:
            self._double.fleet.check_quorum({**body, "state": change["after"]})
        members = [self._server(name) for name in dict.fromkeys(one["on"] for one in back if "/" in one["on"])]
        wanted = {one["id"]: {"state": one["admin"], "weight": one["weight"]} for one in members}
        for change in back:
            if "/" in change["on"]:
                if wanted[change["on"]][change["setting"]] != change["before"]:
                    raise Refused("nothing_to_undo", f"{change['on']} is other than that", "See: lbapp changes")
                wanted[change["on"]][change["setting"]] = change["after"]
        after: list[Any] = [(wish["state"], wish["weight"]) for wish in wanted.values()]
        if not body.get("force"):
            for pool in dict.fromkeys(one["pool"] for one in members):
                self._guard(self._plan(pool, members, after))
        for one, (state, weight) in zip(members, after, strict=True):
            self._double.change(one, state, weight, ME)
        self._take_back(back)
        of_fleet = self._double.fleet.revision + 1 if action.get("fleet") else 0
        self.record(back, reason=body.get("reason", ""), undoes=(action["number"],), fleet=of_fleet)
        self._make_again(action["undoes"])
        applied = {"fleet": self._double.fleet.write()} if body.get("fleet") or action.get("fleet") else {}
        return {"actions": [action["number"]], "changes": back, **applied}

    def _make_again(self, numbers: list[int]) -> None:
        """Know of the last action that it is a redo of these."""
        self.actions[-1]["redoes"] = list(numbers)
        for number in numbers:
            self.actions[number - 1]["is_undone"] = False

    def _take_back(self, changes: list[Any]) -> None:
        """Take back what is not about servers."""
        for change in changes:
            if change["setting"] == "published":
                self._double.published[change["on"]] = change["after"]
            elif change["on"] == "node":
                self._double.node_state = change["after"]

    def by_bob(self, name: str, state: str = "ready", weight: int = 100) -> None:
        """Have somebody else change a server."""
        change = self._double.change(self._server(name), state, weight, BOB)
        self.record([change_done(change, setting) for setting in ("state", "weight")], BOB)

    def _kill(self, _request: Request, body: Any) -> Any:
        return {"servers": [{"server": name, "closed": 3} for name in body["servers"]], "workers_silent": 0}

    def _check(self, _request: Request, _body: Any) -> Any:
        return {
            "at": time.time(), "is_success": True, "reason": "HTTP 200", "layer": "http", "duration_s": 0.004, "streak": 1,
            "excerpt": "",
        }  # fmt: skip

    def _pool(self, request: Request, body: Any) -> Any:
        name = request.path_params["pool"]
        before, self._double.published[name] = self._double.published.get(name, True), body["published"]
        change = {"on": name, "setting": "published", "before": before, "after": body["published"]}
        self.record([change], reason=body.get("reason", ""))
        pool = next(one for one in self._double.current()["pools"] if one["name"] == name)
        published = {"published": before}, {"published": body["published"]}
        of_fleet = {"fleet": self._double.fleet.write()} if body.get("fleet") else {}
        return {"pool": pool, "before": published[0], "after": published[1], "event_seqs": [], **of_fleet}

    def _node(self, _request: Request, body: Any) -> Any:
        self._double.fleet.check_quorum(body)
        if body.get("node"):
            return self._double.fleet.change_node(body)
        before, self._double.node_state = self._double.node_state, body["state"]
        self.record([{"on": "node", "setting": "state", "before": before, "after": body["state"]}])
        return {"before": before, "after": body["state"], "drain": None}

    def _confirm(self, _request: Request, _body: Any) -> Any:
        self._double.confirm_by = None
        return {
            "number": 7,
            "at": 0.0,
            "user": "alice",
            "reason": "",
            "state": "applied",
            "confirm_by": None,
            "is_serving": True,
        }

    def _rollback(self, _request: Request, body: Any) -> Any:
        changes = [{"what": "pool app", "kind": "changed", "how": "", "details": []}]
        return {"applied": not body.get("dry_run"), "number": 6, "confirm_by": None, "changes": changes, "warnings": []}

    def _add(self, request: Request, body: Any) -> Any:
        return {"applied": True, "number": 8, "confirm_by": None, "changes": [], "warnings": []}

    def _remove(self, request: Request, _body: Any) -> Any:
        name = f"{request.path_params['pool']}/{request.path_params['server']}"
        self._double.servers = [one for one in self._double.servers if one["id"] != name]
        return {"applied": True, "number": 9, "confirm_by": None, "changes": [], "warnings": []}


def change_done(change: Any, setting: str) -> Any:
    """Return one setting of a ServerChange as the journal has it."""
    before, after = change["before"][setting], change["after"][setting]
    return {"on": change["server"]["id"], "setting": setting, "before": before, "after": after}
