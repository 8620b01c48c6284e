"""What is in flight at servers, ended by force because an operator wants it.

Responsible for having every worker end it, and for saying how much that was. Knows nothing of how a worker closes. Invariants:
what an operator wants of a server stays, and so does its drain; each server that was meant is an event with who did it and why.
"""

from __future__ import annotations

from collections.abc import Sequence

from lbapp.control.changes import ServersKilled
from lbapp.control.messages import Actor
from lbapp.engine.supervisor.events import Events
from lbapp.engine.supervisor.looking import Looking
from lbapp.engine.supervisor.server_state import ServerState
from lbapp.engine.supervisor.state import ServerStates


class Kills:
    """Ends what is in flight."""

    def __init__(self, states: ServerStates, events: Events, looking: Looking) -> None:
        self._states = states
        self._events = events
        self._looking = looking

    async def kill(self, servers: Sequence[ServerState], actor: Actor, reason: str) -> ServersKilled:
        """End everything in flight at servers; return how much that was when all workers have said so, or time is up."""
        for state in servers:
            self._states.count_close(state)
        ended, silent = await self._looking.end_in_flight([state.row for state in servers])
        for state, count in zip(servers, ended, strict=True):
            message = f"{count} in flight at {state.server.id} ended by force"
            message += f"; of {silent} workers it is not known yet" if silent else ""
            message += f": {reason}" if reason else ""
            self._events.add("connections_killed", state.server.id, message, actor=actor)
        self._states.changed.fire()
        killed = zip(servers, ended, strict=True)
        return {
            "servers": [{"server": state.server.id, "closed": count} for state, count in killed],
            "workers_silent": silent,
        }
