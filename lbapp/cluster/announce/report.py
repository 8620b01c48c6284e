"""What has become of this node's addresses, told to the engine and to the log.

Responsible for the report's words and for when it is sent. Knows nothing of any daemon. Invariants: an address counts as
announced only while a session is up that carries it to somebody; an engine that takes no report holds nothing up.
"""

from __future__ import annotations

import logging
import time
from typing import Final, Literal

import anyio

from lbapp.cluster.announce.backend import Found
from lbapp.cluster.announce.decision import RouteState
from lbapp.control import calls
from lbapp.control.client import AsyncControlClient
from lbapp.control.fleet import AnnounceReport
from lbapp.control.standing import EcmpWord
from lbapp.model.announce import AnnounceSettings, Ecmp, RouteBackend
from lbapp.model.errors import EngineUnreachable, RequestRefused

_log: Final = logging.getLogger("lbapp.announce")
_INTERVAL_S: Final = 2.0
SEND_TIMEOUT_S: Final = 1.0
_StateWord = Literal["starting", "withdrawn", "announced", "drained", "failed"]
_STATES: Final[dict[RouteState, _StateWord]] = {
    RouteState.WITHDRAWN: "withdrawn",
    RouteState.ANNOUNCED: "announced",
    RouteState.DRAINED: "drained",
}
_BACKENDS: Final[dict[RouteBackend, Literal["bird", "exabgp", "keepalived"]]] = {
    RouteBackend.BIRD: "bird",
    RouteBackend.EXABGP: "exabgp",
    RouteBackend.KEEPALIVED: "keepalived",
}
_ECMP: Final[dict[Ecmp, EcmpWord]] = {
    Ecmp.PLAIN: "plain",
    Ecmp.RESILIENT: "resilient",
    Ecmp.HANDOFF: "handoff",
    Ecmp.SINGLE: "single",
}


def report_of(
    settings: AnnounceSettings, state: RouteState | None, found: Found, problem: str, since: float
) -> AnnounceReport:
    """Return the report of a state (None: nothing is decided yet); `problem`: why the backend does not do as it was told."""
    word: _StateWord = "starting" if state is None else _STATES[state]
    is_offered = state in (RouteState.ANNOUNCED, RouteState.DRAINED)
    if problem:
        word = "failed"
    elif is_offered and not any(session["is_up"] for session in found.sessions):
        word, problem = "failed", "no session is up: nobody is told that clients may come here"
    return {
        "at": time.time(),
        "backend": _BACKENDS[settings.backend],
        "state": word,
        "since": since,
        "addresses": list(settings.addresses),
        "med": settings.med if state is RouteState.DRAINED else None,
        "ecmp": _ECMP[settings.ecmp],
        "sessions": list(found.sessions),
        "problem": problem,
    }


class Reporter:
    """Tells the engine when something has changed, and every two seconds."""

    def __init__(self, engine: AsyncControlClient) -> None:
        self._engine = engine
        self._sent_s = float("-inf")
        self._sent: list[object] = []
        self._is_up: dict[str, bool] = {}
        self._refusal = ""

    async def tell(self, report: AnnounceReport) -> None:
        """Send a report, unless the last one said the same a moment ago."""
        self._log_sessions(report)
        said: list[object] = [report["state"], report["sessions"], report["problem"]]
        if said == self._sent and time.monotonic() - self._sent_s < _INTERVAL_S:
            return
        self._sent_s, self._sent = time.monotonic(), said
        refusal = ""
        try:
            with anyio.move_on_after(SEND_TIMEOUT_S):
                await self._engine.ask(calls.report_routes(report))
        except EngineUnreachable:
            pass  # the looks say so
        except RequestRefused as error:
            refusal = str(error)
        if refusal and refusal != self._refusal:
            _log.warning("the engine does not take the report: %s", refusal)
        self._refusal = refusal

    def _log_sessions(self, report: AnnounceReport) -> None:
        now = {session["name"]: session["is_up"] for session in report["sessions"]}
        for session in report["sessions"]:
            if self._is_up.get(session["name"], False) is not session["is_up"]:
                _log.info("session %s: %s", session["name"], session["state"])
        self._is_up = now
