"""The part of the control API that looks back.

Responsible for its paths and for every rule about their queries. Knows nothing of how the figures are kept. Invariants: those of
`api`; looking back changes nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lbapp.engine.supervisor.api_look import number_of
from lbapp.engine.supervisor.generation import Generation
from lbapp.model.errors import RequestRefused
from lbapp.model.limits import LATENCY_WINDOWS_S

Guard = Callable[[Callable[[Request], Awaitable[Response]]], Callable[[Request], Awaitable[Response]]]
_WINDOWS: Final = ", ".join(f"{window:g}" for window in LATENCY_WINDOWS_S)


@dataclass(slots=True)
class PastApi:
    """The handlers. `generation` returns the present one."""

    generation: Callable[[], Generation]

    def routes(self, guarded: Guard) -> list[Route]:
        """Return the routes, each guarded."""
        return [Route("/v1/latency", guarded(self._latency))]

    async def _latency(self, request: Request) -> Response:
        query = dict(request.query_params)
        for name in query:
            if name not in ("window", "pool"):
                raise RequestRefused("invalid_query", f"there is no {name}", "There are window and pool", 422)
        window_s = number_of(query.get("window"), "window", LATENCY_WINDOWS_S[0])
        if window_s not in LATENCY_WINDOWS_S:
            message = f"there is no window of {window_s:g} s"
            raise RequestRefused("invalid_query", message, f"There are {_WINDOWS}", 422)
        generation = self.generation()
        pools = generation.running.configuration.pools
        if "pool" in query:
            pools = (generation.commands.find_pool(query["pool"]),)
        return JSONResponse(await generation.windows.report(window_s, pools, with_listeners="pool" not in query))
