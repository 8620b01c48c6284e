"""The part of the double that looks at single exchanges: its log, connections, captures, decisions, changes.

Responsible for whole answers. Knows nothing of a pool's state. Invariant: whoever follows the log gets every line from when he
asked on, until he leaves; who is there can be seen.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, cast

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from lbapp.control.changes import ActionDone
from lbapp.control.decisions import DecisionStatus
from lbapp.control.looking import CaptureStatus, LogLine, SessionStatus, Skipped


def session(number: int, busy_s: float, **more: Any) -> SessionStatus:
    """Return a connection that waits for an answer."""
    found: dict[str, Any] = {
        "id": number, "client": "192.0.2.9", "port": 40_000 + number, "listener": "web", "state": "headers", "age_s": busy_s + 1,
        "busy_s": busy_s, "server": "app/s1", "method": "GET", "target": f"/export/{number}", "bytes_out": 2_200_000,
    }  # fmt: skip
    return cast(SessionStatus, found | more)


def capture(**more: Any) -> CaptureStatus:
    """Return a request with a byte in its first line that no request may have."""
    found: dict[str, Any] = {
        "at": 1_795_443_727.5, "who": "client", "client": "192.0.2.66", "port": 4_711, "listener": "web", "pool": None,
        "server": None, "reason": "the target has a byte that none may have", "offset": 6, "offset_is": "byte",
        "excerpt": "GET /a\\x00b HTTP/1.1\\x0d\\x0aHost: a\\x0d\\x0a", "excerpt_offset": 0,
    }  # fmt: skip
    return cast(CaptureStatus, found | more)


def decision(**more: Any) -> DecisionStatus:
    """Return a decision for app/s2."""
    found: dict[str, Any] = {
        "at": 1_795_443_727.92, "client": "192.0.2.9", "port": 51_322, "pool": "app", "algorithm": "round_robin", "attempt": 1,
        "server": "app/s2", "by": "round_robin", "candidates": [{"server": "app/s2", "score": "its turn"}], "candidates_total": 1,
        "skipped": [{"server": "app/s3", "reason": "DRAIN"}], "skipped_total": 1, "persistence": [], "remembered": None,
        "key": None, "waited": False, "note": "",
    }  # fmt: skip
    return cast(DecisionStatus, found | more)


class LooksDouble:
    """What there is to see. `lines` may grow while it is followed; `followers`: who is there, by query."""

    def __init__(self) -> None:
        self.lines: list[LogLine | Skipped] = []
        self.refuses_log = False
        self.followers: list[dict[str, str]] = []
        self.log_queries: list[dict[str, str]] = []
        self.sessions: list[SessionStatus] = []
        self.closed: list[int] = []
        self.captures: list[CaptureStatus] = []
        self.decisions: list[DecisionStatus] = []
        self.previews: list[DecisionStatus] = []
        self.decision_queries: list[tuple[str, dict[str, str]]] = []
        self.actions: list[ActionDone] = []

    @property
    def last_target(self) -> str | None:
        """What the last line asked for."""
        return cast(LogLine, self.lines[-1])["target"]

    def routes(self) -> list[Route]:
        return [
            Route("/v1/log", self._log),
            Route("/v1/sessions", self._sessions),
            Route("/v1/sessions/{session}", self._close, methods=["DELETE"]),
            Route("/v1/captures", self._captures),
            Route("/v1/decisions", self._decisions),
            Route("/v1/decisions/preview", self._preview),
            Route("/v1/changes", self._changes),
        ]

    async def _log(self, request: Request) -> Response:
        query = dict(request.query_params)
        self.log_queries.append(query)
        if self.refuses_log:
            error = {"code": "no_log", "message": "there is no log here", "hint": "Look elsewhere"}
            return JSONResponse({"error": error}, status_code=404)
        return StreamingResponse(self._lines(query), media_type="application/x-ndjson")

    async def _lines(self, query: dict[str, str]) -> AsyncIterator[str]:
        told = len(self.lines)
        self.followers.append(query)
        try:
            while True:
                new, told = self.lines[told:], len(self.lines)
                if new:
                    yield "".join(json.dumps(line) + "\n" for line in new)
                await anyio.sleep(0.02)
        finally:
            self.followers.remove(query)

    async def _sessions(self, _request: Request) -> Response:
        return JSONResponse({"connections": len(self.sessions), "sessions": self.sessions})

    async def _close(self, request: Request) -> Response:
        number = int(request.path_params["session"])
        self.closed.append(number)
        self.sessions = [each for each in self.sessions if each["id"] != number]
        return JSONResponse({"closed": number})

    async def _captures(self, _request: Request) -> Response:
        return JSONResponse({"skipped": 3, "captures": self.captures})

    async def _decisions(self, request: Request) -> Response:
        self.decision_queries.append(("recorded", dict(request.query_params)))
        return JSONResponse({"decisions": self.decisions})

    async def _preview(self, request: Request) -> Response:
        self.decision_queries.append(("preview", dict(request.query_params)))
        return JSONResponse({"decisions": self.previews})

    async def _changes(self, _request: Request) -> Response:
        return JSONResponse({"actions": self.actions, "unavailable": ""})
