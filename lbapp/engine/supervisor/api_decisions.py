"""The part of the control API that says why servers are chosen.

Responsible for its paths and for every rule about their queries. Knows nothing of how workers are asked or decide. Invariants:
those of `api`; nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lbapp.control.decisions import Decisions, DecisionStatus
from lbapp.engine.supervisor.api_look import Guard, number_of
from lbapp.engine.supervisor.looking import Looking
from lbapp.engine.wire.forwarding import client_key, plain_address
from lbapp.model.decision import Decision
from lbapp.model.entities import Pool
from lbapp.model.errors import RequestRefused
from lbapp.model.hashing import KeyKind
from lbapp.model.limits import DECISIONS_LISTED_MAX
from lbapp.model.persistence import PersistenceType


@dataclass(slots=True)
class DecisionsApi:
    """The handlers. `looking` returns who asks the workers; `find_pool` raises RequestRefused 404 unknown_pool."""

    looking: Callable[[], Looking]
    find_pool: Callable[[str], Pool]

    def routes(self, guarded: Guard) -> list[Route]:
        """Return the routes, each guarded."""
        return [
            Route("/v1/decisions", guarded(self._decisions)),
            Route("/v1/decisions/preview", guarded(self._preview)),
        ]

    async def _decisions(self, request: Request) -> Response:
        query = dict(request.query_params)
        _check_names(query, ("pool", "client", "limit"))
        limit = int(number_of(query.get("limit"), "limit", DECISIONS_LISTED_MAX))
        pool = self.find_pool(query["pool"]).name if query.get("pool") else ""
        client = address_of(query["client"])[0] if query.get("client", "unix:") != "unix:" else query.get("client", "")
        found = await self.looking().decisions(pool, client, max(1, min(limit, DECISIONS_LISTED_MAX)))
        return _answer(found)

    async def _preview(self, request: Request) -> Response:
        query = dict(request.query_params)
        _check_names(query, ("pool", "client", "key"))
        pool, key = self.find_pool(query.get("pool", "")), query.get("key", "")
        packed = address_of(query["client"])[1] if query.get("client") else None
        check_whom(pool, has_address=packed is not None, has_key=bool(key))
        found = await self.looking().preview(
            pool.name, client_key(None) if packed is None else packed, key.encode("utf-8", "surrogateescape")
        )
        if not found:
            message = f"no worker could say how pool {pool.name} decides"
            raise RequestRefused("no_worker", message, "See: lbapp status; then try again", 503)
        return _answer(found)


def check_whom(pool: Pool, *, has_address: bool, has_key: bool) -> None:
    """Refuse what says nothing about the client that the pool knows it by. Raises RequestRefused 422 invalid_query."""
    remembers = None if pool.persistence is None else pool.persistence.type
    is_by_value = pool.algorithm.hashes and pool.hash.key is not KeyKind.IP
    if has_key and not is_by_value and remembers is not PersistenceType.HEADER:
        raise _invalid(f"pool {pool.name} knows no client by a value", "Ask with client=ADDRESS")
    if not has_address and (not has_key or remembers is PersistenceType.IP):
        raise _invalid(f"it is not said which client asks pool {pool.name}", "Such as client=192.0.2.7")


def _check_names(query: dict[str, str], known: tuple[str, ...]) -> None:
    for name in query:
        if name not in known:
            raise _invalid(f"there is no {name}", f"There are {', '.join(known)}")


def address_of(text: str) -> tuple[str, bytes]:
    """Return an address as the access log has it, and as pools hash it. Raises RequestRefused 422 invalid_query."""
    try:
        address = plain_address(ip_address(text))
    except ValueError as error:
        raise _invalid(f"client={text} is no address", "Such as 192.0.2.7 or 2001:db8::7") from error
    return str(address), client_key(address)


def _invalid(message: str, hint: str) -> RequestRefused:
    return RequestRefused("invalid_query", message, hint, 422)


def _answer(found: list[Decision]) -> Response:
    answer: Decisions = {"decisions": [status_of(each) for each in found]}
    return JSONResponse(answer)


def status_of(decision: Decision) -> DecisionStatus:
    """Return a decision as a message."""
    verdicts = [each.name.lower() for each in (decision.verdict, decision.given) if each is not None]
    return {
        "at": decision.at_s,
        "client": decision.client or None,
        "port": decision.port or None,
        "pool": decision.pool,
        "algorithm": decision.algorithm,
        "attempt": decision.attempt,
        "server": decision.server or None,
        "by": decision.by or None,
        "candidates": [{"server": each.server, "score": each.score} for each in decision.considered],
        "candidates_total": decision.candidates,
        "skipped": [{"server": each.server, "reason": each.reason} for each in decision.passed_over],
        "skipped_total": decision.skipped,
        "persistence": verdicts,
        "remembered": decision.remembered or None,
        "key": decision.key or None,
        "waited": decision.has_waited,
        "note": decision.note,
    }
