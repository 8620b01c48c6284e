"""Agents: what servers say of themselves becomes their state, against real sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace

import anyio
import pytest

from lbapp.engine.scoreboard import layout as at
from lbapp.engine.supervisor.agents import Agents
from lbapp.engine.supervisor.resolve import Resolver
from lbapp.model.entities import CheckType, HealthCheck, Pool, Server
from lbapp.model.health import AgentCheck
from lbapp.model.states import AdminState, HealthState
from tests.engine.supervisor.support import Parts, configured, parts, until

pytestmark = pytest.mark.anyio


@dataclass
class Agent:
    """Says `line` to everybody who connects; None: says nothing and keeps the connection."""

    line: bytes | None = b"up\n"
    asked: int = 0
    port: int = 0


@contextmanager
def saying(line: bytes | None) -> Iterator[Agent]:
    agent, held = Agent(line), []
    with socket.create_server(("127.0.0.1", 0)) as server:
        agent.port = server.getsockname()[1]

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                agent.asked += 1
                held.append(connection)
                if agent.line is not None:
                    connection.sendall(agent.line)
                    connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield agent
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in held:
                connection.close()


@asynccontextmanager
async def asking(port: int) -> AsyncIterator[Parts]:
    check = HealthCheck(CheckType.NONE, agent=AgentCheck(port, 0.05, 0.2))
    pool = Pool("app", (Server("app", "s1", "127.0.0.1", 1, connections_max=50),), health_check=check)
    with parts(replace(configured(), pools=(pool,), listeners=())) as own:
        resolver = Resolver(own.running, own.events)
        await resolver.resolve()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Agents(own.states, resolver, own.events).run)
            yield own
            tasks.cancel_scope.cancel()


async def test_words_of_an_agent_reach_the_workers() -> None:
    with saying(b"up ready 50% maxconn:20\n") as agent:
        async with asking(agent.port) as own:
            state = own.server("s1")
            await until(lambda: own.state_cell("s1", at.STATE_WEIGHT) == 50)
            assert own.state_cell("s1", at.STATE_CONNECTIONS_MAX) == 20
            assert state.weight == 100  # the operator's stays
            agent.line = b"drain maxconn:0\n"
            await until(lambda: own.state_cell("s1", at.STATE_NO_NEW_CLIENTS) == 1)
            assert own.state_cell("s1", at.STATE_CONNECTIONS_MAX) == 50
            assert not state.is_eligible
            agent.line = b"down # disk full\r\n"
            await until(lambda: own.state_cell("s1", at.STATE_HEALTH) == HealthState.DOWN)
            assert state.health_reason == "its agent says down: disk full"
            agent.line = b"up ready 100%\n"
            await until(lambda: own.state_cell("s1", at.STATE_NO_NEW_CLIENTS) == 0)
            await until(lambda: own.state_cell("s1", at.STATE_HEALTH) != HealthState.DOWN)
            assert own.state_cell("s1", at.STATE_WEIGHT) == 100


async def test_agent_that_says_nothing_changes_nothing_and_is_one_event() -> None:
    with saying(b"50%\n") as agent:
        async with asking(agent.port) as own:
            await until(lambda: own.state_cell("s1", at.STATE_WEIGHT) == 50)
            agent.line = None
            await until(lambda: "agent_failed" in own.kinds())
            asked = agent.asked
            await until(lambda: agent.asked >= asked + 3)
            assert own.kinds().count("agent_failed") == 1
            assert own.state_cell("s1", at.STATE_WEIGHT) == 50
            assert own.events.after(0)[-1]["message"] == (
                f"the agent of app/s1 at port {agent.port} does not answer within 0.2s; what it said before holds"
            )
            agent.line = b"50%\n"
            await until(lambda: own.kinds()[-1] == "agent_recovered")


@pytest.mark.parametrize("line", [b"", b"\n", b"\xff\x00 \x1b[2J 300% up2\n", b"x" * 100_000])
async def test_agent_that_nobody_understands_is_told_of_and_changes_nothing(line: bytes) -> None:
    with saying(line) as agent:
        async with asking(agent.port) as own:
            await until(lambda: "agent_failed" in own.kinds())
            assert own.server("s1").is_eligible
            assert own.events.after(0)[-1]["message"].isprintable()


async def test_server_in_maintenance_is_not_asked() -> None:
    with saying(b"50%\n") as agent:
        async with asking(agent.port) as own:
            state = own.server("s1")
            await until(lambda: own.state_cell("s1", at.STATE_WEIGHT) == 50)
            own.states.set_admin(state, AdminState.MAINT, None)
            assert own.state_cell("s1", at.STATE_WEIGHT) == 100  # what it said before is forgotten
            await anyio.sleep(0.1)  # one that was under way
            asked = agent.asked
            await anyio.sleep(0.2)
            assert agent.asked == asked
            own.states.set_admin(state, AdminState.READY, None)
            await until(lambda: own.state_cell("s1", at.STATE_WEIGHT) == 50)


async def test_agent_that_is_not_there_is_told_of() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with asking(port) as own:
        await until(lambda: "agent_failed" in own.kinds())
        assert "cannot be asked: connection refused" in own.events.after(0)[-1]["message"]


async def test_agent_of_a_server_that_has_no_address_yet_is_an_event_and_no_more() -> None:
    check = HealthCheck(CheckType.NONE, agent=AgentCheck(9, 0.05, 0.2))
    pool = Pool("app", (Server("app", "s1", "no-such-host.invalid", 1),), health_check=check)
    with parts(replace(configured(), pools=(pool,), listeners=())) as own:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Agents(own.states, Resolver(own.running, own.events), own.events).run)
            await until(lambda: own.kinds().count("agent_failed") == 1)
            assert "name not resolved" in own.events.after(0)[-1]["message"]
            tasks.cancel_scope.cancel()
