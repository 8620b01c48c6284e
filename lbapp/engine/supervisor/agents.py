"""Agents: asking servers how they want to be treated.

Responsible for one task per server whose pool has an agent check: it connects, reads a line, and has the state take it over.
Knows nothing of what a word means (policy.agent) or of probes. Invariants: an agent that says nothing changes nothing; a server
in MAINT is not asked; an agent that cannot be asked, or is not understood, is an event once, not each time; no error in one loop
ends it or another.
"""

from __future__ import annotations

import logging
import time
from random import Random

import anyio

from lbapp.engine.policy.agent import cleaned
from lbapp.engine.policy.agent import read_line as wish_after
from lbapp.engine.policy.health import first_probe_delay_s, next_probe_delay_s
from lbapp.engine.supervisor import probe_text
from lbapp.engine.supervisor.events import Events
from lbapp.engine.supervisor.probe_stream import ProbeStream
from lbapp.engine.supervisor.probes import at_port, reason_of
from lbapp.engine.supervisor.resolve import Resolver
from lbapp.engine.supervisor.server_state import AgentSaid, ServerState
from lbapp.engine.supervisor.state import ServerStates
from lbapp.model.health import AgentCheck
from lbapp.model.states import AdminState
from lbapp.model.transport import PoolTransport

_JITTER_PERCENT = 10
_log = logging.getLogger("lbapp")


class Agents:
    """The agents of all servers. `faults` counts errors in the loops that nobody foresaw."""

    def __init__(self, states: ServerStates, resolver: Resolver, events: Events, random: Random | None = None) -> None:
        self.faults = 0
        self._states = states
        self._resolver = resolver
        self._events = events
        self._random = random or Random()
        self._said: dict[str, str] = {}  # by server: what was said of its agent last

    def take_over(self, former: Agents) -> None:
        """Know what a generation before has said of agents."""
        self._said = dict(former._said)

    async def run(self) -> None:
        """Ask every server that has an agent again and again, until cancelled."""
        async with anyio.create_task_group() as tasks:
            for state in self._states.by_id.values():
                agent = state.pool.health_check.agent
                if agent is not None:
                    tasks.start_soon(self._watch, state, agent)

    async def _watch(self, state: ServerState, agent: AgentCheck) -> None:
        await anyio.sleep(first_probe_delay_s(self._random, agent.interval_s))
        while True:
            started_s = anyio.current_time()
            if state.admin is not AdminState.MAINT:
                try:
                    await self._ask(state, agent)
                except Exception:  # noqa: BLE001 - a probe loop
                    self.faults += 1
                    _log.exception("asking the agent of %s failed in lbapp itself", state.server.id)
            delay_s = next_probe_delay_s(self._random, agent.interval_s, _JITTER_PERCENT)
            await self._pause(state, started_s + delay_s)

    async def _pause(self, state: ServerState, until_s: float) -> None:
        """Return when it is time to ask again: at once when a server leaves maintenance."""
        with anyio.move_on_after(until_s - anyio.current_time()):
            while True:
                was_in_maintenance = state.admin is AdminState.MAINT
                await state.admin_changed.wait()
                if was_in_maintenance and state.admin is not AdminState.MAINT:
                    return

    async def _ask(self, state: ServerState, agent: AgentCheck) -> None:
        addresses = self._resolver.addresses.get(state.row, ())
        line, problem = b"", f"does not answer within {agent.timeout_s:g}s"
        stream = ProbeStream()
        try:
            with anyio.move_on_after(agent.timeout_s):
                await stream.open(
                    at_port(addresses, agent.port), PoolTransport(source=state.pool.transport.source), None
                )
                line = await probe_text.read_line(stream)
                problem = "" if line.strip() else "says nothing"
        except OSError as error:
            problem = f"cannot be asked: {reason_of(error)}"
        finally:
            stream.close()
        if not problem and state.admin is not AdminState.MAINT:
            wish, unknown = wish_after(line, state.wish)
            problem = f"says what is not known: {' '.join(unknown)}" if unknown else ""
            self._states.set_wish(state, wish)
        if state.admin is not AdminState.MAINT:
            state.agent = AgentSaid(time.time(), cleaned(line), problem)
        self._say(state, agent, problem)

    def _say(self, state: ServerState, agent: AgentCheck, problem: str) -> None:
        name = state.server.id
        before = self._said.get(name, "")
        if problem == before:
            return
        self._said[name] = problem
        if problem:
            message = f"the agent of {name} at port {agent.port} {problem}; what it said before holds"
            self._events.add("agent_failed", name, message)
        else:
            self._events.add("agent_recovered", name, f"the agent of {name} is understood again")
