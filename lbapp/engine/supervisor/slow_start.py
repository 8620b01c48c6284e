"""Giving servers that have come back their weight little by little.

Responsible for having the states look at the curve while a server is on it. Knows nothing of the curve (policy.slow_start) or
of who came back. Invariant: while nobody is on it, nothing happens.
"""

from __future__ import annotations

import anyio

from lbapp.engine.supervisor.state import ServerStates
from lbapp.model.limits import SLOW_START_STEP_S


async def grow(states: ServerStates) -> None:
    """Go on until cancelled."""
    while True:
        if not any(state.warming_since is not None for state in states.by_id.values()):
            await states.changed.wait()
        states.grow()
        await anyio.sleep(SLOW_START_STEP_S)
