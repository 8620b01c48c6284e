"""What the engine says, as the decision takes it.

Responsible for turning an answer, a refusal or silence into one look, and for noticing at once that something has happened at
the engine. Knows nothing of routes. Invariant: whatever the engine does, a question is answered within the time it is given;
silence is not ready.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import anyio

from lbapp.cluster.announce.decision import Look, Sight
from lbapp.control import calls
from lbapp.control.client import AsyncControlClient
from lbapp.model.errors import EngineUnreachable, RequestRefused

_FOLLOW_PAUSE_S = 1.0  # between the end of one feed of events and the next attempt
_STEPS_BEFORE_ROUTES = ("dns", "clients")


async def ask(engine: AsyncControlClient, timeout_s: float) -> Look:
    """Ask the engine whether it should get new clients. `timeout_s`: after so long without an answer it is silent."""
    try:
        with anyio.fail_after(timeout_s):
            return look_of(await engine.ask(replace(calls.ready(), timeout_s=timeout_s)))
    except TimeoutError:
        return Look(Sight.NOT_READY, f"the engine says nothing for {timeout_s:g} s")
    except (EngineUnreachable, RequestRefused) as error:
        return Look(Sight.NOT_READY, error.message)


def look_of(answer: Any) -> Look:
    """Return what an answer comes to. A drain is a reason against the node by itself; with another it cannot serve either.

    `answer`: a Readiness, or whatever comes where something else listens.
    """
    if not isinstance(answer, dict) or not isinstance(answer.get("ready"), bool):
        return Look(Sight.NOT_READY, "what answers on the engine's socket says nothing that can be read")
    if answer["ready"]:
        return Look(Sight.READY, "the node is ready")
    found, drain = answer.get("reasons"), answer.get("drain")
    reasons = list(map(str, found)) if isinstance(found, list) else []
    why = "; ".join(reasons) or "the engine gives no reason"
    if not isinstance(drain, dict) or len(reasons) > 1:
        return Look(Sight.NOT_READY, why)
    is_before = drain.get("step") in _STEPS_BEFORE_ROUTES
    return Look(Sight.LEAVING if is_before else Sight.DRAINING, why)


async def follow(engine: AsyncControlClient, wake: Callable[[], None]) -> None:
    """Call `wake` at every event of the engine and at its end, until cancelled. It spares nobody the regular questions."""
    while True:
        try:
            newest = _newest(await engine.ask(calls.events(limit=1)))
            async with aclosing(engine.follow_events(newest)) as events:
                async for _ in events:
                    wake()
        except (EngineUnreachable, RequestRefused):
            wake()
        await anyio.sleep(_FOLLOW_PAUSE_S)


def _newest(answer: Any) -> int:
    """Return the number of the last event; 0 where there is none."""
    events = answer.get("events") if isinstance(answer, dict) else None
    last = events[-1] if isinstance(events, list) and events else None
    number = last.get("seq") if isinstance(last, dict) else None
    return number if isinstance(number, int) else 0
