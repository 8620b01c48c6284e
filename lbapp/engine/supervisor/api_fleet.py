"""The part of the control API about the fleet, about whether this node is ready, and about its routes and records.

Responsible for their paths. Knows nothing of the store or of how a change is made. Invariants: those of `api`; `/v1/ready`
answers 503 with the whole Readiness beside the error, so that a status code is enough for who asks by that alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lbapp.engine.supervisor.calls import actor_of, json_body
from lbapp.engine.supervisor.fleet_link import FleetLink
from lbapp.engine.supervisor.fleet_node import EngineNode
from lbapp.engine.supervisor.fleet_status import fleet_status
from lbapp.engine.supervisor.generation import Generation
from lbapp.model.limits import CONFIGURATION_BODY_BYTES_MAX

Guard = Callable[[Callable[[Request], Awaitable[Response]]], Callable[[Request], Awaitable[Response]]]
_READY_HINT = "It should get no new clients; see: lbapp status"


@dataclass(slots=True)
class FleetApi:
    """The handlers."""

    generation: Callable[[], Generation]
    link: FleetLink
    node: EngineNode

    def routes(self, guarded: Guard) -> list[Route]:
        """Return the routes, each guarded."""
        return [
            Route("/v1/ready", guarded(self._ready)),
            Route("/v1/fleet", guarded(self._fleet)),
            Route("/v1/fleet/configuration", guarded(self._publish), methods=["POST"]),
            Route("/v1/fleet/configuration/stop", guarded(self._stop_roll), methods=["POST"]),
            Route("/v1/reports/announce", guarded(self._announce), methods=["PUT"]),
            Route("/v1/reports/dns", guarded(self._dns), methods=["PUT"]),
        ]

    async def _ready(self, _request: Request) -> Response:
        found = self.generation().reader.readiness()
        if found["ready"]:
            return JSONResponse(found)
        error = {"code": "not_ready", "message": "; ".join(found["reasons"]), "hint": _READY_HINT}
        return JSONResponse({**found, "error": error}, 503)

    async def _fleet(self, _request: Request) -> Response:
        return JSONResponse(fleet_status(self.link, self.node))

    async def _publish(self, request: Request) -> Response:
        body = await json_body(request, CONFIGURATION_BODY_BYTES_MAX)
        return JSONResponse(await self.node.configurations.publish(body, actor_of(request)))

    async def _stop_roll(self, request: Request) -> Response:
        return JSONResponse(await self.node.configurations.stop(await json_body(request), actor_of(request)))

    async def _announce(self, request: Request) -> Response:
        self.node.reports.take_announce(await json_body(request))
        return JSONResponse({"accepted": True})

    async def _dns(self, request: Request) -> Response:
        self.node.reports.take_dns(await json_body(request))
        return JSONResponse({"accepted": True})
