"""The control API: HTTP paths onto readings and commands.

Responsible for routes, query fields, body sizes, streams and the one shape of errors. Knows nothing of how a
status is made or what a change does. Invariants: every answer that is not 2xx is {"error": {code, message,
hint}}; no error in one request reaches another; a stream ends when the engine leaves, and their number is
bounded.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from lbapp.control.messages import ErrorDetail
from lbapp.engine.supervisor.access import Role
from lbapp.engine.supervisor.api_configuration import ConfigurationApi
from lbapp.engine.supervisor.api_decisions import DecisionsApi
from lbapp.engine.supervisor.api_fleet import FleetApi
from lbapp.engine.supervisor.api_look import LookApi
from lbapp.engine.supervisor.api_past import PastApi
from lbapp.engine.supervisor.api_servers import ServersApi
from lbapp.engine.supervisor.bodies import is_forced_by, read_how, read_new_server, why_of_new_server
from lbapp.engine.supervisor.calls import actor_of, json_body, number_in
from lbapp.engine.supervisor.commands import ask_stop
from lbapp.engine.supervisor.events import EVENTS_MISSED, EventFilter, Events
from lbapp.engine.supervisor.file_look import FileLook
from lbapp.engine.supervisor.fleet_link import FleetLink
from lbapp.engine.supervisor.fleet_node import EngineNode
from lbapp.engine.supervisor.generation import Generation
from lbapp.engine.supervisor.life import Life
from lbapp.engine.supervisor.live import LiveFeed
from lbapp.engine.supervisor.node_commands import NodeCommands
from lbapp.engine.supervisor.reload import Reloads
from lbapp.engine.supervisor.upgrade import Upgrades
from lbapp.model.errors import Problem, RequestRefused
from lbapp.model.limits import (
    EVENTS_MAX,
    PERSISTENCE_LISTED_MAX,
    READING_INTERVAL_S,
    WATCHES_MAX,
)

_WATCH_GAP_S: Final = 0.05  # changes so close together go out as one line
_WATCH_INTERVAL_S_MAX: Final = 2.0  # with very many servers, so that watching costs a fifth of a core at most
CHANGES_SHOWN: Final = 100
_REFUSED_AGAIN_S: Final = 60.0  # until the same refusal is another event
_REFUSED_KEPT: Final = 1_000
_PATH_LETTERS_MAX: Final = 120
_LINES: Final = "application/x-ndjson"
_CODES: Final = {
    404: ("not_found", "there is nothing at {path}", "GET /v1/status is where to start"),
    405: ("method_not_allowed", "{path} does not answer {method}", ""),
}

_log = logging.getLogger("lbapp")
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(slots=True)
class Api:
    """The handlers. `close` ends all streams."""

    events: Events
    life: Life
    generation: Generation
    reloads: Reloads
    file_look: FileLook
    upgrades: Upgrades
    link: FleetLink
    node: EngineNode
    leave: Callable[[], None]  # for another engine, which serves
    faults: int = 0
    _streams: int = 0
    _refused: dict[tuple[int | None, str, str], float] = field(default_factory=dict)  # when each was said last
    _closed: anyio.Event = field(default_factory=anyio.Event)
    _live: LiveFeed = field(init=False)

    def __post_init__(self) -> None:
        self._live = LiveFeed(lambda: self.generation.reader, self._closed.is_set)

    def app(self) -> Starlette:
        """Return the ASGI application."""
        routes = [
            Route("/v1/status", self._guarded(self._status)),
            Route("/v1/workers", self._guarded(self._workers)),
            Route("/v1/pools", self._guarded(self._pools)),
            Route("/v1/pools/{pool}", self._guarded(self._pool), methods=["GET", "PATCH"]),
            Route("/v1/pools/{pool}/servers", self._guarded(self._new_server), methods=["POST"]),
            Route("/v1/pools/{pool}/servers/{server}", self._guarded(self._server), methods=["GET", "PATCH", "DELETE"]),
            Route("/v1/node", self._guarded(self._node), methods=["PATCH"]),
            Route("/v1/servers", self._guarded(self._servers), methods=["PATCH"]),
            Route("/v1/changes", self._guarded(self._changes)),
            Route("/v1/diff", self._guarded(self._diff)),
            Route("/v1/undo", self._guarded(self._undo), methods=["POST"]),
            Route("/v1/upgrade", self._guarded(self._upgrade), methods=["POST"]),
            Route("/v1/persistence", self._guarded(self._persistence), methods=["GET", "DELETE"]),
            Route("/v1/watch", self._guarded(self._watch)),
            Route("/v1/events", self._guarded(self._events)),
            Route("/v1/stop", self._guarded(self._stop), methods=["POST"]),
            Route("/metrics", self._guarded(self._metrics)),
            *ConfigurationApi(self.reloads, self.file_look).routes(
                self._guarded, lambda endpoint: self._guarded(endpoint, Role.OPERATE)
            ),
            *ServersApi(lambda: self.generation).routes(self._guarded),
            *FleetApi(lambda: self.generation, self.link, self.node).routes(self._guarded),
            *PastApi(lambda: self.generation).routes(self._guarded),
            *LookApi(self.events, lambda: self.generation.reader.workers.looking, self._stream).routes(self._guarded),
            *DecisionsApi(
                lambda: self.generation.reader.workers.looking, lambda name: self.generation.commands.find_pool(name)
            ).routes(self._guarded),
        ]
        app = Starlette(routes=routes, exception_handlers={HTTPException: _http_error})
        app.router.redirect_slashes = False  # a redirect has not the shape of an error
        return app

    def serve(self, generation: Generation) -> None:
        """Answer by another generation from now on."""
        former, self.generation = self.generation, generation
        former.states.changed.fire()  # so that who watches sees the new one

    def close(self) -> None:
        """End every stream after what it has to say."""
        self._closed.set()
        self.generation.reader.workers.looking.close()
        self.generation.states.changed.fire()
        self.events.close()

    def _guarded(self, endpoint: Endpoint, needed: Role = Role.LOOK) -> Endpoint:
        """Return the endpoint for those who may use it: who looks needs `needed`, who does anything else has to operate."""

        async def guarded(request: Request) -> Response:
            try:
                self._check_role(request, endpoint.__name__, needed)
                return await endpoint(request)
            except RequestRefused as refused:
                return _error(refused.status, refused.code, refused.message, refused.hint, refused.problems)
            except ClientDisconnect:
                return _error(400, "bad_request", "the request ended before its body", "")
            except Exception:  # noqa: BLE001 - a control command
                self.faults += 1
                _log.exception("%s %s failed in lbapp itself", request.method, request.url.path)
                return _error(500, "internal", "lbapp failed to answer this", "The engine's log has the details")

        return guarded

    def _check_role(self, request: Request, asked: str, needed: Role) -> None:
        """Let nobody do more than they may; the first such try is an event. Raises RequestRefused 403 forbidden.

        `asked` is what paths that a caller can make up without end have in common.
        """
        is_looking = request.method in ("GET", "HEAD") and needed is Role.LOOK
        if request.state.role >= (Role.LOOK if is_looking else Role.OPERATE):
            return
        actor = actor_of(request)
        path = "".join(letter if letter.isprintable() else "?" for letter in request.url.path[:_PATH_LETTERS_MAX])
        message = f"{actor['user']} may not {request.method} {path}"
        key = (actor["uid"], request.method, asked)
        now_s = time.monotonic()
        if now_s - self._refused.get(key, -_REFUSED_AGAIN_S) >= _REFUSED_AGAIN_S:
            if len(self._refused) >= _REFUSED_KEPT:
                self._refused.clear()
            self._refused[key] = now_s
            self.events.add("call_refused", "node", message, actor=actor)
        hint = "Members of the group engine.operators may" + (
            ", those of engine.viewers may look" if is_looking else ""
        )
        raise RequestRefused("forbidden", message, hint, 403)

    async def _status(self, _request: Request) -> Response:
        return JSONResponse(self.generation.reader.status())

    async def _workers(self, _request: Request) -> Response:
        return JSONResponse({"workers": self.generation.reader.worker_statuses()})

    async def _pools(self, _request: Request) -> Response:
        return JSONResponse({"pools": self.generation.reader.status()["pools"]})

    async def _pool(self, request: Request) -> Response:
        body = await json_body(request)  # first: another generation may serve when it has come
        pool = self.generation.commands.find_pool(request.path_params["pool"])
        if request.method != "PATCH":
            return JSONResponse(self.generation.reader.pool(pool))
        return JSONResponse(await self.generation.commands.change_pool(pool, body, actor_of(request)))

    async def _server(self, request: Request) -> Response:
        body = await json_body(request)  # first: another generation may serve when it has come
        state = self.generation.commands.find_server(request.path_params["pool"], request.path_params["server"])
        if request.method == "DELETE":
            how = read_how(body, actor_of(request), ("reason", "unrecorded", "force"))
            is_forced = is_forced_by(body)
            pool, name = state.pool.name, state.server.name
            return JSONResponse(
                await self.reloads.edit(lambda: self.generation.commands.removal(pool, name, is_forced=is_forced), how)
            )
        if request.method != "PATCH":
            return JSONResponse(self.generation.reader.server(state))
        return JSONResponse(await self.generation.commands.change_server(state, body, actor_of(request)))

    async def _new_server(self, request: Request) -> Response:
        body = await json_body(request)
        pool, fields = request.path_params["pool"], read_new_server(body)
        how = read_how(why_of_new_server(body), actor_of(request), ("reason", "unrecorded"))
        return JSONResponse(await self.reloads.edit(lambda: self.generation.commands.addition(pool, fields), how))

    async def _persistence(self, request: Request) -> Response:
        query = request.query_params
        pool = self.generation.commands.find_pool(query["pool"]).name if "pool" in query else None
        if request.method == "DELETE":
            return JSONResponse(await self.generation.clients.clear(pool, query.get("key"), actor_of(request)))
        limit = number_in(request, "limit", PERSISTENCE_LISTED_MAX)
        return JSONResponse(
            await self.generation.clients.listed(pool, query.get("key"), min(limit, PERSISTENCE_LISTED_MAX))
        )

    async def _servers(self, request: Request) -> Response:
        return JSONResponse(await self.generation.commands.change_servers(await json_body(request), actor_of(request)))

    async def _node(self, request: Request) -> Response:
        body = await json_body(request)
        nodes = NodeCommands(self.link, self.node)
        return JSONResponse(await nodes.change(self.generation, body, actor_of(request)))

    async def _changes(self, request: Request) -> Response:
        before = number_in(request, "before", 0) if "before" in request.query_params else None
        return JSONResponse(self.generation.intents.actions_done(number_in(request, "limit", CHANGES_SHOWN), before))

    async def _diff(self, _request: Request) -> Response:
        differences = [*self.generation.intents.differences(), *self.reloads.edits()]
        file = (await self.file_look.read())["why_other"]
        return JSONResponse({"differences": differences, "file": file, "fleet": self.node.changes.differences()})

    async def _undo(self, request: Request) -> Response:
        return JSONResponse(await self.generation.commands.undo(await json_body(request), actor_of(request)))

    async def _upgrade(self, request: Request) -> Response:
        how = read_how(await json_body(request), actor_of(request), ("reason",))
        done = await self.upgrades.upgrade(how.actor, how.reason)
        self.leave()  # whether or not anybody is there any more to be answered
        return JSONResponse(done)

    async def _stop(self, request: Request) -> Response:
        ask_stop(self.life, self.events, await json_body(request), actor_of(request))
        return JSONResponse({"accepted": True})

    async def _metrics(self, _request: Request) -> Response:
        from lbapp.engine.supervisor.metrics import CONTENT_TYPE, collect, render
        from lbapp.engine.supervisor.metrics_fleet import collect_fleet

        generation = self.generation
        families = collect(generation.reader, generation.states)
        families += collect_fleet(self.link, self.node, generation.reader)
        text = await anyio.to_thread.run_sync(render, families)  # the most of it, with many servers
        return Response(text, media_type=CONTENT_TYPE)

    async def _watch(self, request: Request) -> Response:
        wanted = request.query_params.get("as", "status")
        if wanted == "changes":
            figures = request.query_params.get("figures", "yes")
            if figures not in ("yes", "no"):
                raise RequestRefused(
                    "invalid_query", f"figures={figures} is neither", "Use figures=yes or figures=no", 422
                )
            after = request.query_params.get("after", "")
            return self._stream(request, self._live.follow(after, has_figures=figures == "yes"))
        if wanted != "status":
            raise RequestRefused("invalid_query", f"as={wanted} is no kind of line", "Use as=changes or as=status", 422)
        return self._stream(request, _as_lines(self._statuses()))

    async def _events(self, request: Request) -> Response:
        query = request.query_params
        before = number_in(request, "before", 0) if "before" in query else None
        kinds = frozenset(filter(None, query.get("kind", "").split(",")))
        wanted = EventFilter(number_in(request, "after", 0), before, kinds, query.get("subject", ""))
        limit = number_in(request, "limit", EVENTS_MAX)
        if query.get("follow", "0") in ("", "0"):
            return JSONResponse({"events": self.events.page(wanted, limit)})
        return self._stream(request, _as_lines(self._followed(wanted)))

    async def _followed(self, wanted: EventFilter) -> AsyncIterator[Any]:
        """Give events that are wanted as they happen, and say in any case where some were missed."""
        async for event in self.events.follow(wanted.after):
            if event["kind"] == EVENTS_MISSED or wanted.takes(event):
                yield event

    def _stream(self, request: Request, chunks: AsyncGenerator[bytes, None]) -> Response:
        if request.method == "HEAD":
            return Response(media_type=_LINES)
        if self._streams >= WATCHES_MAX:
            message = f"there are {WATCHES_MAX} watches already"
            raise RequestRefused("too_many_watches", message, "End one of them first", 503)
        return StreamingResponse(self._counted(chunks), media_type=_LINES)

    async def _counted(self, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        self._streams += 1
        try:
            async with aclosing(chunks) as open_chunks:
                async for chunk in open_chunks:
                    yield chunk
        finally:
            self._streams -= 1

    async def _statuses(self) -> AsyncIterator[Any]:
        while True:
            started_s = time.monotonic()
            status = self.generation.reader.status()
            cost_s = time.monotonic() - started_s
            yield status
            if self._closed.is_set():
                return
            if status["revision"] == self.generation.states.revision:
                with anyio.move_on_after(max(READING_INTERVAL_S, min(_WATCH_INTERVAL_S_MAX, 5 * cost_s))):
                    await self.generation.states.changed.wait()
            await anyio.sleep(_WATCH_GAP_S)


async def _as_lines(messages: AsyncIterator[Any]) -> AsyncGenerator[bytes, None]:
    async for message in messages:
        yield json.dumps(message, separators=(",", ":")).encode() + b"\n"


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    code, message, hint = _CODES.get(status, ("refused", "{path} refused {method}", ""))
    path = request.url.path
    return _error(status, code, message.format(path=path, method=request.method), hint)


def _error(status: int, code: str, message: str, hint: str, problems: Sequence[Problem] = ()) -> Response:
    headers = {"Connection": "close"} if status == 413 else None
    detail: ErrorDetail = {"code": code, "message": message, "hint": hint}
    if problems:
        detail["problems"] = [{**asdict(each), "allowed": each.allowed} for each in problems]  # type: ignore[typeddict-item]
    # In ASCII: what a message quotes may be no text that UTF-8 can carry, such as half of a surrogate pair.
    return Response(json.dumps({"error": detail}), status_code=status, headers=headers, media_type="application/json")
