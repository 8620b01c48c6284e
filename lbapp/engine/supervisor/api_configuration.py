"""The part of the control API about the configuration as a whole.

Responsible for its paths. Knows nothing of how one is applied. Invariants: those of `api`; the text of a configuration, which may
hold secrets, is for those alone who may operate; the engine never writes its file.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lbapp.control.changes import ConfigurationText
from lbapp.engine.supervisor.bodies import read_candidate, read_how, read_number
from lbapp.engine.supervisor.calls import actor_of, json_body
from lbapp.engine.supervisor.configurations import FROM_FILE, Kept, as_message
from lbapp.engine.supervisor.file_look import FileLook
from lbapp.engine.supervisor.reload import Reloads
from lbapp.engine.supervisor.reload_words import no_configuration
from lbapp.model.limits import CONFIGURATION_BODY_BYTES_MAX

Guard = Callable[[Callable[[Request], Awaitable[Response]]], Callable[[Request], Awaitable[Response]]]
_NUMBER_DIGITS_MAX = 9


@dataclass(slots=True)
class ConfigurationApi:
    """The handlers."""

    reloads: Reloads
    file_look: FileLook

    def routes(self, guarded: Guard, guarded_for_operators: Guard) -> list[Route]:
        """Return the routes, each guarded; `guarded_for_operators`: also where nothing is changed."""
        return [
            Route("/v1/reload", guarded(self._reload), methods=["POST"]),
            Route("/v1/rollback", guarded(self._rollback), methods=["POST"]),
            Route("/v1/confirm", guarded(self._confirm), methods=["POST"]),
            Route("/v1/configuration", guarded_for_operators(self._configuration)),
            Route("/v1/configurations", guarded(self._configurations)),
            Route("/v1/configurations/{number}", guarded_for_operators(self._configuration_text)),
        ]

    async def _reload(self, request: Request) -> Response:
        body, text, digest = read_candidate(await json_body(request, CONFIGURATION_BODY_BYTES_MAX))
        how = read_how(body, actor_of(request), ("dry_run", "confirm_s", "reason", "unrecorded"))
        if text is not None:
            return JSONResponse(await self.reloads.apply_text(lambda _: (text, FROM_FILE), how, str(self.reloads.path)))
        return JSONResponse(await self.reloads.reload(how, digest))

    async def _rollback(self, request: Request) -> Response:
        body = await json_body(request)
        how = read_how(body, actor_of(request), ("number", "expect_number", "dry_run", "reason", "unrecorded"))
        return JSONResponse(await self.reloads.rollback(read_number(body), how))

    async def _confirm(self, request: Request) -> Response:
        how = read_how(await json_body(request), actor_of(request), ("expect_number",))
        return JSONResponse(self._kept(await self.reloads.confirm(how)))

    async def _configuration(self, _request: Request) -> Response:
        return JSONResponse(await self.file_look.read())

    async def _configurations(self, _request: Request) -> Response:
        return JSONResponse({"configurations": [self._kept(each) for each in self.reloads.history()]})

    async def _configuration_text(self, request: Request) -> Response:
        named = request.path_params["number"]
        if not (named.isascii() and named.isdigit() and len(named) <= _NUMBER_DIGITS_MAX):
            raise no_configuration(0)
        answer: ConfigurationText = {"number": int(named), "text": await self.reloads.text_of(int(named))}
        return JSONResponse(answer)

    def _kept(self, kept: Kept) -> dict[str, Any]:
        applied = self.reloads.applied
        return {**as_message(kept), "is_serving": applied is not None and applied.number == kept.number}
