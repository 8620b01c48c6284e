"""The part of the control API that looks back.

Responsible for its paths and for every rule about their queries. Knows nothing of how the figures are kept. Invariants: those of
`api`; looking back changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lbapp.control.past import PastRates
from lbapp.control.recall import course, rates, status_at
from lbapp.engine.supervisor.api_look import number_of
from lbapp.engine.supervisor.generation import Generation
from lbapp.model.amounts import Kind, Subject
from lbapp.model.errors import RequestRefused
from lbapp.model.limits import HISTORY_LAST_MAX_S, LATENCY_WINDOWS_S

Guard = Callable[[Callable[[Request], Awaitable[Response]]], Callable[[Request], Awaitable[Response]]]
_KINDS: Final[tuple[Kind, ...]] = ("pool", "server", "listener")
_LAST_S: Final = 1800.0
_RATES_MAX_S: Final = 60.0  # of every server at once
_UNDER_WAY_S: Final = 1.0  # the second that has not ended yet
_WINDOWS: Final = ", ".join(f"{window:g}" for window in LATENCY_WINDOWS_S)


@dataclass(slots=True)
class PastApi:
    """The handlers. `generation` returns the present one."""

    generation: Callable[[], Generation]

    def routes(self, guarded: Guard) -> list[Route]:
        """Return the routes, each guarded."""
        return [
            Route("/v1/latency", guarded(self._latency)),
            Route("/v1/history", guarded(self._history)),
            Route("/v1/history/file", guarded(self._file)),
        ]

    async def _file(self, _request: Request) -> Response:
        content = await self.generation().keeper.file_bytes()
        if content is None:
            raise RequestRefused("not_recorded", "there is no history file", "See: lbapp events", 404)
        return Response(content, media_type="application/octet-stream")

    async def _latency(self, request: Request) -> Response:
        query = _query(request, ("window", "pool"))
        window_s = number_of(query.get("window"), "window", LATENCY_WINDOWS_S[0])
        if window_s not in LATENCY_WINDOWS_S:
            raise _invalid(f"there is no window of {window_s:g} s", f"There are {_WINDOWS}")
        generation = self.generation()
        pools = generation.running.configuration.pools
        if "pool" in query:
            pools = (generation.commands.find_pool(query["pool"]),)
        return JSONResponse(await generation.windows.report(window_s, pools, with_listeners="pool" not in query))

    async def _history(self, request: Request) -> Response:
        query = _query(request, ("at", "pool", "server", "listener", "last", "step", "until", "rates"))
        keeper = self.generation().keeper
        if "at" in query:
            if len(query) > 1:
                raise _invalid("at stands alone", "It shows everything as it was then")
            at = number_of(query["at"], "at", 0.0)
            past = await keeper.past()
            return JSONResponse(await anyio.to_thread.run_sync(status_at, past, at))
        if "rates" in query:
            return JSONResponse(await self._rates(query))
        subjects = [Subject(kind, query[kind]) for kind in _KINDS if kind in query]
        if len(subjects) > 1:
            raise _invalid("a history is of one subject", "Name a pool, a server, a listener or none of them")
        last_s = number_of(query.get("last"), "last", _LAST_S)
        step_s = number_of(query.get("step"), "step", 60.0)
        if step_s not in (1.0, 60.0):
            raise _invalid(f"there is no step of {step_s:g} s", "There are 1 and 60")
        until = number_of(query.get("until"), "until", time.time())
        end = until if "until" in query else until + _UNDER_WAY_S
        past, span = await keeper.past(), (until - min(last_s, HISTORY_LAST_MAX_S), end)
        subject = subjects[0] if subjects else None
        return JSONResponse(await anyio.to_thread.run_sync(course, past, subject, span, int(step_s)))

    async def _rates(self, query: dict[str, str]) -> PastRates:
        if query.keys() - {"rates", "until"}:
            raise _invalid("rates stands alone, or with until", "It is of every pool and server")
        last_s = number_of(query["rates"], "rates", 0.0)
        until = number_of(query.get("until"), "until", time.time() + _UNDER_WAY_S)
        past = await self.generation().keeper.past()
        return await anyio.to_thread.run_sync(rates, past, (until - min(last_s, _RATES_MAX_S), until))


def _query(request: Request, words: tuple[str, ...]) -> dict[str, str]:
    """Return the query. Raises RequestRefused 422 invalid_query for a word that is none of these."""
    query = dict(request.query_params)
    for name in query:
        if name not in words:
            raise _invalid(f"there is no {name}", f"There are {', '.join(words)}")
    return query


def _invalid(message: str, hint: str) -> RequestRefused:
    return RequestRefused("invalid_query", message, hint, 422)
