"""A fleet as one node knows it, for the engine double: its members, what is wanted of all of them, a roll.

Responsible for whole messages and for what an operator can ask of a fleet. Knows nothing of the console or of a store. Invariant:
what is refused has changed nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lbapp.control.fleet import (
    AnnounceReport,
    Applied,
    DnsReport,
    FleetConfigurationStatus,
    FleetStatus,
    IntentStatus,
    MemberState,
    MemberStatus,
)
from lbapp.control.messages import Actor, FleetGlance, NodeDrainStatus

ALICE: Actor = {"uid": 1000, "user": "alice", "pid": 4711}


def routes_report(**more: Any) -> AnnounceReport:
    """Return that the addresses of a node are announced to two routers."""
    session = {"name": "up1", "state": "Established", "is_up": True, "since": "00:10:00", "bfd": "Up"}
    found: Any = {
        "at": time.time(), "backend": "bird", "state": "announced", "since": time.time() - 600, "addresses": ["198.51.100.10/32"],
        "med": None, "ecmp": "plain", "sessions": [session, {**session, "name": "up2"}], "problem": "",
    } | more  # fmt: skip
    return cast(AnnounceReport, found)


def dns_report(**more: Any) -> DnsReport:
    """Return that the records of a node are published."""
    found: Any = {
        "at": time.time(), "name": "www.lb.example", "server": "192.0.2.53", "ttl_s": 20.0, "state": "published",
        "records": ["198.51.100.10", "198.51.100.11"], "own": ["198.51.100.10"], "left_at": None, "gone_at": None, "problem": "",
    } | more  # fmt: skip
    return cast(DnsReport, found)


def member_state(**more: Any) -> MemberState:
    """Return what a node that serves says of itself."""
    found: Any = {
        "at": time.time(), "phase": "serving", "ready": True, "reasons": [], "drain": None, "connections": 210, "in_flight": 12,
        "requests_total": 120_000, "requests_per_s": 980.0, "error_rate": 0.01, "cpu_percent": 31.0, "memory_bytes": 150_000_000,
        "servers_eligible": 3, "servers_total": 3, "configuration": 4, "fleet_configuration": 7, "differs": 0,
        "announce": routes_report(), "dns": dns_report(),
    } | more  # fmt: skip
    return cast(MemberState, found)


def member(name: str, **more: Any) -> MemberStatus:
    """Return a node that lives."""
    found: Any = {
        "name": name, "is_self": name == "node-a", "is_alive": True, "seen_at": time.time() - 1, "version": "1.4.0",
        "started_at": time.time() - 90_000, "host": f"{name}.example", "state": member_state(), "share": 0.5,
    } | more  # fmt: skip
    return cast(MemberStatus, found)


def intent(on: str, setting: str, value: Any, here: Any, **more: Any) -> IntentStatus:
    """Return what alice wants of all nodes."""
    found: Any = {
        "on": on, "setting": setting, "value": value, "here": here, "by": "alice", "node": "lb2", "at": time.time() - 60,
        "reason": "kernel update", "until": None, "revision": 12,
    } | more  # fmt: skip
    return cast(IntentStatus, found)


def roll(**more: Any) -> FleetConfigurationStatus:
    """Return a configuration that all three nodes serve by."""
    names = ["node-a", "lb2", "lb3"]
    found: Any = {
        "number": 7, "mode": "all", "by": "alice", "node": "node-a", "at": time.time() - 600, "reason": "", "order": names,
        "reached": 3, "stopped": "", "results": dict.fromkeys(names, ""),
    } | more  # fmt: skip
    return cast(FleetConfigurationStatus, found)


def fleet_of(*members: MemberStatus, **more: Any) -> FleetStatus:
    """Return a fleet with these members as node-a knows it."""
    found: Any = {
        "fleet": "prod", "node": "node-a", "state": "synced", "problem": "", "age_s": 0.4, "members": list(members),
        "intents": [], "configuration": roll(),
    } | more  # fmt: skip
    return cast(FleetStatus, found)


def three_nodes(**more: Any) -> FleetStatus:
    """Return a fleet of three nodes that are all well."""
    return fleet_of(*(member(name, share=1 / 3) for name in ("node-a", "lb2", "lb3")), **more)


ALONE: FleetStatus = {
    "fleet": "", "node": "node-a", "state": "off", "problem": "", "age_s": None, "intents": [], "configuration": None,
    "members": [member("node-a", share=1.0, state=member_state(fleet_configuration=0, announce=None, dns=None))],
}  # fmt: skip


def node_drain(**more: Any) -> NodeDrainStatus:
    """Return a drain of a node that waits for DNS."""
    found: Any = {
        "phase": "draining", "since": time.time(), "timeout_s": 300.0, "remaining_s": 300.0, "connections": 7, "in_flight": 3,
        "finish_s": None, "step": "dns", "step_since": time.time(), "step_until": time.time() + 20.5,
        "step_why": "resolvers still know its addresses", "then_stop": False, "ecmp": "plain",
    } | more  # fmt: skip
    return cast(NodeDrainStatus, found)


# In the place of results: somebody has deleted the configuration.
GONE: dict[str, str] = {}


class Refused(Exception):
    """What is answered with an error: code, message, hint."""


class FleetDouble:
    """What a node of a fleet answers. `results`: of a published configuration, one set each time it is asked for."""

    def __init__(self) -> None:
        self.status: FleetStatus = ALONE
        self.published: list[dict[str, Any]] = []
        self.stops: list[dict[str, Any]] = []
        self.asked = 0  # how often what is known was asked for
        self.results: Sequence[dict[str, str]] = ()
        self.quorum = ""  # why a node may not be drained without force
        self.revision = 12
        self.is_slow = False  # the others do not hear of what is written

    def glance(self) -> FleetGlance | None:
        """Return how it stands in short, as a status has it."""
        found = self.status
        if not found["fleet"]:
            return None
        alive = [each for each in found["members"] if each["is_alive"]]
        ready = [each for each in alive if each["state"] and each["state"]["ready"]]
        here = [each["state"]["differs"] for each in alive if each["is_self"] and each["state"]]
        since = None if found["state"] != "stale" else time.time() - (found["age_s"] or 0.0)
        return {
            "name": found["fleet"], "node": found["node"], "state": found["state"], "members": len(alive), "ready": len(ready),
            "known": len(found["members"]), "stale_since": since, "differs": sum(here),
        }  # fmt: skip

    def routes(self) -> list[Route]:
        """Return what it answers to."""
        return [
            Route("/v1/fleet", self._fleet),
            Route("/v1/fleet/configuration", self._publish, methods=["POST"]),
            Route("/v1/fleet/configuration/stop", self._stop, methods=["POST"]),
        ]

    def check_synced(self) -> None:
        """Refuse what is for other nodes while the store does not answer."""
        if self.status["state"] != "synced":
            reason = "the store does not answer, so nothing was changed"
            raise Refused("fleet_unreachable", reason, "Without --fleet it is for this node alone")

    def check_quorum(self, body: dict[str, Any]) -> None:
        """Refuse a drain that would leave too few nodes."""
        if self.quorum and body["state"] == "drain" and not body.get("force"):
            raise Refused("quorum", self.quorum, "Use --force")

    def write(self) -> Applied:
        """Take in an action of the fleet: this node makes it at once, the others one by one, as the fleet is asked about."""
        self.revision += 1
        self._have("node-a")
        others = [each["name"] for each in self.status["members"] if each["is_alive"] and not each["is_self"]]
        return {"revision": self.revision, "actor": ALICE, "done": ["node-a"], "waiting": others}

    def _have(self, name: str) -> None:
        state = self.member(name)["state"]
        if state is not None:
            state["fleet_revision"] = self.revision

    def member(self, name: str) -> MemberStatus:
        """Return a node."""
        return next(each for each in self.status["members"] if each["name"] == name)

    def change_node(self, body: dict[str, Any]) -> dict[str, Any]:
        """Drain another node, or end that."""
        if body["node"] not in [each["name"] for each in self.status["members"]]:
            raise Refused("unknown_node", f"the fleet has no node {body['node']}", "See: lbapp nodes")
        state = self.member(body["node"])["state"]
        assert state is not None
        before = "drain" if state["drain"] else "ready"
        state["drain"] = node_drain() if body["state"] == "drain" else None
        return {"before": before, "after": body["state"], "drain": None, "fleet": self.write()}

    async def _fleet(self, _request: Request) -> Response:
        self.asked += 1
        behind = [
            each["name"]
            for each in self.status["members"]
            if each["is_alive"] and each["state"] and each["state"].get("fleet_revision", 12) < self.revision
        ]
        if behind and not self.is_slow:
            self._have(behind[0])
        if self.results and self.status["configuration"]:
            first, *self.results = self.results
            if first is GONE:
                self.status["configuration"] = None
                return JSONResponse(self.status)
            self.status["configuration"]["results"] = first
            self.status["configuration"]["reached"] = max(self.status["configuration"]["reached"], len(first))
        return JSONResponse(self.status)

    async def _publish(self, request: Request) -> Response:
        body = await request.json()
        self.published.append(body)
        if self.status["state"] != "synced":
            return refusal("fleet_unreachable", "the store does not answer, so nothing was changed", "Try again", 503)
        now = self.status["configuration"]
        number = now["number"] + 1 if now else 1
        how = {"mode": "rolling", "reached": 1} if body.get("mode") == "rolling" else {"order": [], "reached": 0}
        self.status["configuration"] = roll(number=number, results={}, **how)
        return JSONResponse(self.status["configuration"])

    async def _stop(self, request: Request) -> Response:
        self.stops.append(await request.json())
        now = self.status["configuration"]
        if now is None or now["mode"] == "all":
            return refusal("not_rolling", "no configuration goes from node to node now", "See: lbapp fleet")
        now["stopped"] = f"by alice: {self.stops[-1]['reason']}"
        return JSONResponse(now)


def refusal(code: str, message: str, hint: str, status: int = 409) -> Response:
    """Return a refusal as an engine words it."""
    return JSONResponse({"error": {"code": code, "message": message, "hint": hint}}, status_code=status)
