"""The part of the control API that looks at single exchanges and connections.

Responsible for its paths and for every rule about their queries. Knows nothing of how workers are asked. Invariants: those of
`api`; ending somebody's connection is an event with who did it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lbapp.control.looking import Captures, CaptureStatus, Sessions, SessionStatus
from lbapp.engine.questions import ANYWHERE, Capture, Session, Where
from lbapp.engine.supervisor.events import Events
from lbapp.engine.supervisor.looking import Looking
from lbapp.engine.wire.access_line import text_of
from lbapp.model.errors import RequestRefused
from lbapp.model.limits import LOG_LINES_PER_SECOND_MAX, SESSIONS_LISTED_MAX
from lbapp.model.log_filter import LogFilter, Preference

Guard = Callable[[Callable[[Request], Awaitable[Response]]], Callable[[Request], Awaitable[Response]]]
Stream = Callable[[Request, AsyncGenerator[bytes, None]], Response]
_LINES_PER_SECOND: Final = 100.0
_STATUS: Final = re.compile(r"([1-5])xx|([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?").fullmatch
_WORDS: Final = (
    "listener",
    "pool",
    "server",
    "client",
    "path",
    "status",
    "slower_ms",
    "failed",
    "prefer",
    "slow_ms",
    "rate",
)
_TARGET_BYTES: Final = 256


@dataclass(slots=True)
class LookApi:
    """The handlers. `looking` returns who asks the workers; `stream` makes an answer of chunks that come over time."""

    events: Events
    looking: Callable[[], Looking]
    stream: Stream

    def routes(self, guarded: Guard) -> list[Route]:
        """Return the routes, each guarded."""
        return [
            Route("/v1/log", guarded(self._log)),
            Route("/v1/captures", guarded(self._captures)),
            Route("/v1/sessions", guarded(self._sessions)),
            Route("/v1/sessions/{session}", guarded(self._session), methods=["DELETE"]),
        ]

    async def _log(self, request: Request) -> Response:
        query = dict(request.query_params)
        wanted, preference = read_filter(query), read_preference(query)
        rate = number_of(request.query_params.get("rate"), "rate", _LINES_PER_SECOND)
        lines = self._lines(self.looking().follow(wanted, min(rate, LOG_LINES_PER_SECOND_MAX), preference))
        return self.stream(request, lines)

    @staticmethod
    async def _lines(batches: AsyncGenerator[tuple[list[str], int], None]) -> AsyncGenerator[bytes, None]:
        async with aclosing(batches) as told:
            async for lines, skipped in told:
                more = f'{{"skipped":{skipped}}}\n' if skipped else ""
                yield ("".join(lines) + more).encode("ascii")

    async def _sessions(self, request: Request) -> Response:
        limit = number_of(request.query_params.get("limit"), "limit", SESSIONS_LISTED_MAX)
        where = _where(dict(request.query_params), ("limit", "pool", "server"))
        found, connections = await self.looking().sessions(min(int(limit), SESSIONS_LISTED_MAX), where)
        answer: Sessions = {"connections": connections, "sessions": [_status(number, each) for number, each in found]}
        return JSONResponse(answer)

    async def _captures(self, _request: Request) -> Response:
        found, skipped = await self.looking().captures()
        answer: Captures = {"skipped": skipped, "captures": [_capture(each) for each in found]}
        return JSONResponse(answer)

    async def _session(self, request: Request) -> Response:
        number = int(number_of(request.path_params["session"], "session", 0))
        where = _where(dict(request.query_params), ("pool", "server"))
        if not await self.looking().end_session(number, where):
            there = f" at {where.server or where.pool}" if where != ANYWHERE else ""
            raise RequestRefused(
                "unknown_session", f"there is no connection {number}{there}", "See: lbapp sessions", 404
            )
        message = f"connection {number} was closed"
        self.events.add("session_closed", "node", message, actor=request.state.actor)
        return JSONResponse({"closed": number})


def read_filter(query: dict[str, str]) -> LogFilter:
    """Return what a query asks for. Raises RequestRefused 422 invalid_query."""
    _check_words(query, _WORDS)
    low, high = _statuses(query.get("status", ""))
    return LogFilter(
        listener=query.get("listener", ""),
        pool=query.get("pool", ""),
        server=query.get("server", ""),
        client=query.get("client", ""),
        path=query.get("path", "").encode(),
        status_min=low,
        status_max=high,
        slower_us=int(1000 * number_of(query.get("slower_ms"), "slower_ms", 0.0)),
        is_failed=_is_asked_for(query, "failed"),
    )


def read_preference(query: dict[str, str]) -> Preference | None:
    """Return what a query asks for before all else, where there is too much. Raises RequestRefused 422 invalid_query."""
    slow_us = int(1000 * number_of(query.get("slow_ms"), "slow_ms", 0.0))
    if _is_asked_for(query, "prefer"):
        return Preference(slow_us)
    if "slow_ms" in query:
        raise _invalid("slow_ms goes with prefer=1", "slower_ms leaves out all that took less")
    return None


def _is_asked_for(query: dict[str, str], name: str) -> bool:
    return query.get(name, "0") not in ("", "0")


def _where(query: dict[str, str], words: tuple[str, ...]) -> Where:
    """Return which connections a query is about. Raises RequestRefused 422 invalid_query."""
    _check_words(query, words)
    return Where(query.get("pool", ""), query.get("server", ""))


def _check_words(query: dict[str, str], words: tuple[str, ...]) -> None:
    for name in query:
        if name not in words:
            raise _invalid(f"there is no {name}", f"There are {', '.join(words)}")


def _statuses(text: str) -> tuple[int, int]:
    if not text:
        return 0, 0
    match = _STATUS(text)
    if match is None:
        raise _invalid(f"status={text} is no status", "Such as 503, 5xx or 400-499")
    if match[1]:
        return int(match[1]) * 100, int(match[1]) * 100 + 99
    return int(match[2]), int(match[3] or match[2])


def number_of(text: str | None, name: str, default: float) -> float:
    """Return a number of a query. Raises RequestRefused 422 invalid_query."""
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,6})?", text):
        raise _invalid(f"{name}={text} is no number", f"Such as {name}=100")
    return float(text)


def _invalid(message: str, hint: str) -> RequestRefused:
    return RequestRefused("invalid_query", message, hint, 422)


def _status(number: int, session: Session) -> SessionStatus:
    return {
        "id": number,
        "client": session.client,
        "port": session.port or None,
        "listener": session.listener,
        "state": session.state,
        "age_s": round(session.age_s, 3),
        "busy_s": round(session.busy_s, 3),
        "server": session.server or None,
        "method": text_of(session.method, _TARGET_BYTES) or None,
        "target": text_of(session.target, _TARGET_BYTES) or None,
        "bytes_out": session.bytes_out,
    }


def _capture(capture: Capture) -> CaptureStatus:
    return {
        "at": capture.at_s,
        "who": capture.who,
        "client": capture.client,
        "port": capture.port or None,
        "listener": capture.listener,
        "pool": capture.pool or None,
        "server": capture.server or None,
        "reason": capture.reason,
        "offset": None if capture.offset < 0 else capture.offset,
        "offset_is": capture.offset_is or None,
        "excerpt": capture.excerpt,
        "excerpt_offset": capture.excerpt_offset,
    }
