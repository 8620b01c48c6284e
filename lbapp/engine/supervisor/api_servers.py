"""The part of the control API about what is done at a server at once, and about its last probes.

Responsible for its paths. Knows nothing of how a check is made. Invariants: those of `api`; nothing here changes what an operator
wants of a server.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lbapp.control.messages import ProbesDone
from lbapp.engine.supervisor.bodies import object_of, servers_of, why_of
from lbapp.engine.supervisor.calls import actor_of, json_body
from lbapp.engine.supervisor.generation import Generation
from lbapp.engine.supervisor.server_state import ServerState

Guard = Callable[[Callable[[Request], Awaitable[Response]]], Callable[[Request], Awaitable[Response]]]


@dataclass(slots=True)
class ServersApi:
    """The handlers. `generation` returns the present one."""

    generation: Callable[[], Generation]

    def routes(self, guarded: Guard) -> list[Route]:
        """Return the routes, each guarded."""
        server = "/v1/pools/{pool}/servers/{server}"
        return [
            Route(f"{server}/check", guarded(self._check), methods=["POST"]),
            Route(f"{server}/probes", guarded(self._probes)),
            Route(f"{server}/kill", guarded(self._kill), methods=["POST"]),
            Route("/v1/servers/kill", guarded(self._kill_several), methods=["POST"]),
        ]

    def _state(self, request: Request) -> ServerState:
        return self.generation().commands.find_server(request.path_params["pool"], request.path_params["server"])

    async def _check(self, request: Request) -> Response:
        return JSONResponse(await self.generation().checks.check_now(self._state(request)))

    async def _probes(self, request: Request) -> Response:
        state = self._state(request)
        answer: ProbesDone = {"server": state.server.id, "probes": state.probes.probes()}
        return JSONResponse(answer)

    async def _kill(self, request: Request) -> Response:
        body = await json_body(request)  # first: another generation may serve when it has come
        why = why_of(object_of({} if body is None else body, ("reason",)))
        return JSONResponse(await self.generation().kills.kill([self._state(request)], actor_of(request), why.reason))

    async def _kill_several(self, request: Request) -> Response:
        body = object_of(await json_body(request), ("servers", "reason"))
        why, generation = why_of(body), self.generation()
        states = generation.commands.find_servers(servers_of(body))
        return JSONResponse(await generation.kills.kill(states, actor_of(request), why.reason))
