"""Agents: asking servers how they want to be treated.

Responsible for one task per agent, which is asked once for all servers that have it: it connects, reads a line, and has the
states take it over. Knows nothing of what a word means (policy.agent) or of probes.

Invariants: an agent that says nothing changes nothing; a server in MAINT takes no answer, and an agent all of whose servers are
in MAINT is not asked; when a server has left MAINT its agent is asked at once, and no answer to an earlier question counts for
it; an agent that cannot be asked, or is not understood, is an event once, not each time; no error in one loop ends it or another.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from random import Random
from typing import Final

import anyio

from lbapp.engine.policy.agent import cleaned
from lbapp.engine.policy.agent import read_line as wish_after
from lbapp.engine.policy.health import first_probe_delay_s, next_probe_delay_s
from lbapp.engine.supervisor import probe_text
from lbapp.engine.supervisor.events import Events, Signal
from lbapp.engine.supervisor.probe_stream import ProbeStream
from lbapp.engine.supervisor.probes import at_port, reason_of
from lbapp.engine.supervisor.resolve import Resolver
from lbapp.engine.supervisor.server_state import AgentSaid, ServerState
from lbapp.engine.supervisor.state import ServerStates
from lbapp.model.health import AgentCheck
from lbapp.model.limits import AGENTS_AT_ONCE_MAX
from lbapp.model.states import AdminState
from lbapp.model.transport import PoolTransport

_JITTER_PERCENT: Final = 10
_NEVER: Final = -1
_log = logging.getLogger("lbapp")


@dataclass(slots=True, eq=False)
class _Member:
    """One server of those that have an agent. `asked_in`: how many maintenances it had had when its agent was asked last."""

    state: ServerState
    check: AgentCheck
    asked_in: int = _NEVER

    @property
    def takes_answers(self) -> bool:
        """Say whether answers count for it: in maintenance they do not."""
        return self.state.admin is not AdminState.MAINT

    @property
    def is_owed(self) -> bool:
        """Say whether its agent is to be asked at once: it was not since the server is there, or has left maintenance."""
        return self.takes_answers and self.asked_in != self.state.maintenances


@dataclass(slots=True, eq=False)
class _Agent:
    """One agent, and the servers that have it. Times are those of the event loop's clock."""

    members: list[_Member] = field(default_factory=list)
    wake: Signal = field(default_factory=Signal)  # fired by every change of what an operator wants of a member
    last_start_s: float = float("-inf")
    questions: int = 0

    @property
    def is_asked(self) -> bool:
        """Say whether any server would take an answer."""
        return any(member.takes_answers for member in self.members)

    @property
    def is_owed(self) -> bool:
        """Say whether any server has to be asked for at once."""
        return any(member.is_owed for member in self.members)

    @property
    def interval_s(self) -> float:
        """The shortest interval of those that take answers, as with probes."""
        every = [member.check.interval_s for member in self.members if member.takes_answers]
        return min(every or [member.check.interval_s for member in self.members])


class Agents:
    """The agents of all servers. `faults` counts errors in the loops that nobody foresaw."""

    def __init__(self, states: ServerStates, resolver: Resolver, events: Events, random: Random | None = None) -> None:
        self.faults = 0
        self._states = states
        self._resolver = resolver
        self._events = events
        self._random = random or Random()
        self._asking = anyio.CapacityLimiter(AGENTS_AT_ONCE_MAX)
        self._said: dict[str, str] = {}  # by server: what was said of its agent last
        self._agents: dict[object, _Agent] = {}
        for state in states.by_id.values():
            check = state.pool.health_check.agent
            if check is not None:
                agent = self._agents.setdefault(_key_of(state, check), _Agent())
                agent.members.append(_Member(state, check))
                state.admin_watchers.append(agent.wake)

    def take_over(self, former: Agents) -> None:
        """Go on where a generation before has stopped: with what it has said of agents, and when each is due."""
        self._said = dict(former._said)
        for key, agent in self._agents.items():
            before = former._agents.get(key)
            if before is None:
                continue
            agent.last_start_s, agent.questions = before.last_start_s, before.questions
            asked_in = {member.state.server.id: member.asked_in for member in before.members}
            for member in agent.members:
                if member.state.agent.at is not None:  # else it is new, or in another place
                    member.asked_in = asked_in.get(member.state.server.id, _NEVER)

    async def run(self) -> None:
        """Ask every agent again and again, until cancelled."""
        async with anyio.create_task_group() as tasks:
            for agent in self._agents.values():
                tasks.start_soon(self._watch, agent)

    async def _watch(self, agent: _Agent) -> None:
        if not agent.questions:
            await anyio.sleep(first_probe_delay_s(self._random, agent.interval_s))
        while True:
            await self._pause(agent)
            agent.last_start_s = anyio.current_time()
            try:
                await self._ask(agent)
            except Exception:  # noqa: BLE001 - a probe loop
                self.faults += 1
                _log.exception("asking the agent of %s failed in lbapp itself", agent.members[0].state.server.id)
            agent.questions += 1

    async def _pause(self, agent: _Agent) -> None:
        """Return when the next question is due, or a server is owed one. Nothing is missed: what is owed stays owed."""
        delay_s = next_probe_delay_s(self._random, agent.interval_s, _JITTER_PERCENT, is_second=agent.questions == 1)
        with anyio.move_on_after(max(0.0, agent.last_start_s + delay_s - anyio.current_time())):
            while not agent.is_owed:
                await agent.wake.wait()
        while not agent.is_asked:
            await agent.wake.wait()

    async def _ask(self, agent: _Agent) -> None:
        async with self._asking:
            asked = [member for member in agent.members if member.takes_answers]
            if not asked:
                return  # maintenance came while the question waited for its turn
            for member in asked:
                member.asked_in = member.state.maintenances
            line, problem = await self._answer(asked[0])
        for member in asked:
            if member.takes_answers and not member.is_owed:  # else this answer may be from before its maintenance
                self._take(member, line, problem)

    async def _answer(self, member: _Member) -> tuple[bytes, str]:
        """Return what an agent says, and what went wrong, empty if nothing did; the same for all servers that have it."""
        state, check = member.state, member.check
        addresses = self._resolver.addresses.get(state.row, ())
        line, problem = b"", f"does not answer within {check.timeout_s:g}s"
        stream = ProbeStream()
        try:
            with anyio.move_on_after(check.timeout_s):
                transport = PoolTransport(source=state.pool.transport.source)
                await stream.open(at_port(addresses, check.port), transport, None)
                line = await probe_text.read_line(stream)
                problem = "" if line.strip() else "says nothing"
        except OSError as error:
            problem = f"cannot be asked: {reason_of(error)}"
        finally:
            stream.close()
        return line, problem

    def _take(self, member: _Member, line: bytes, problem: str) -> None:
        state = member.state
        if not problem:
            wish, unknown = wish_after(line, state.wish)
            problem = f"says what is not known: {' '.join(unknown)}" if unknown else ""
            self._states.set_wish(state, wish)
        state.agent = AgentSaid(time.time(), cleaned(line), problem)
        self._say(member, problem)

    def _say(self, member: _Member, problem: str) -> None:
        name = member.state.server.id
        before = self._said.get(name, "")
        if problem == before:
            return
        self._said[name] = problem
        if problem:
            message = f"the agent of {name} at port {member.check.port} {problem}; what it said before holds"
            self._events.add("agent_failed", name, message)
        else:
            self._events.add("agent_recovered", name, f"the agent of {name} is understood again")


def _key_of(state: ServerState, check: AgentCheck) -> object:
    """Return what is equal for servers that can share a question: where it goes, from where, and how long it may take."""
    return state.server.host, check.port, state.pool.transport.source, check.timeout_s
