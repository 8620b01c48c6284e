"""Agents: what servers say of themselves becomes their state, against real sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from random import Random
from select import select

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
    """Says `line` to everybody who connects, once `gate` is open; None: says nothing and keeps the connection."""

    line: bytes | None = b"up\n"
    asked: int = 0
    port: int = 0
    gate: threading.Event = field(default_factory=threading.Event)


@contextmanager
def saying(line: bytes | None) -> Iterator[Agent]:
    agent, held = Agent(line), []
    agent.gate.set()
    with socket.create_server(("127.0.0.1", 0)) as server:
        agent.port = server.getsockname()[1]

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                line = agent.line  # as it was when the question came
                agent.asked += 1
                held.append(connection)
                agent.gate.wait()
                if line is not None:
                    connection.sendall(line)
                    connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield agent
        finally:
            agent.gate.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in held:
                connection.close()


def pool(name: str, check: AgentCheck, *servers: Server) -> Pool:
    return Pool(name, servers, health_check=HealthCheck(CheckType.NONE, agent=check))


@asynccontextmanager
async def known(*pools: Pool) -> AsyncIterator[tuple[Parts, Resolver]]:
    with parts(replace(configured(), pools=pools, listeners=())) as own:
        resolver = Resolver(own.running, own.events)
        await resolver.resolve()
        yield own, resolver


@asynccontextmanager
async def running(agents: Agents) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(agents.run)
        yield
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def asking(port: int) -> AsyncIterator[Parts]:
    own_pool = pool("app", AgentCheck(port, 0.05, 0.2), Server("app", "s1", "127.0.0.1", 1, connections_max=50))
    async with known(own_pool) as (own, resolver), running(Agents(own.states, resolver, own.events)):
        yield own


def two_pools(port: int, *intervals_s: float) -> tuple[Pool, ...]:
    """Return the pools `one` and `two`, each with a server `s` on the same machine, whose agent is at `port`."""
    return tuple(
        pool(name, AgentCheck(port, interval_s, 5.0), Server(name, "s", "127.0.0.1", number))
        for number, (name, interval_s) in enumerate(zip(("one", "two"), intervals_s, strict=True), 1)
    )


HOUR_S = 3600.0


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
    own_pool = pool("app", AgentCheck(9, 0.05, 0.2), Server("app", "s1", "no-such-host.invalid", 1))
    with parts(replace(configured(), pools=(own_pool,), listeners=())) as own:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Agents(own.states, Resolver(own.running, own.events), own.events).run)
            await until(lambda: own.kinds().count("agent_failed") == 1)
            assert "name not resolved" in own.events.after(0)[-1]["message"]
            tasks.cancel_scope.cancel()


async def test_server_that_leaves_maintenance_during_a_question_is_asked_again_at_once() -> None:
    with saying(b"drain\n") as agent:
        agent.gate.clear()
        own_pool = pool("app", AgentCheck(agent.port, HOUR_S, 30.0), Server("app", "s1", "127.0.0.1", 1))
        async with known(own_pool) as (own, resolver), running(Agents(own.states, resolver, own.events, Random(1))):
            await until(lambda: agent.asked == 1)
            agent.line = b"50%\n"
            own.states.set_admin(own.server("s1"), AdminState.MAINT, None)
            own.states.set_admin(own.server("s1"), AdminState.READY, None)
            agent.gate.set()
            await until(lambda: own.server("s1").wish.percent == 50)
            assert agent.asked == 2
            assert "server_asks_for_no_new_clients" not in own.kinds(), (
                "the answer to the question before counts for nothing"
            )


async def test_servers_of_several_pools_share_one_question_and_each_takes_the_answer() -> None:
    with saying(b"50%\n") as agent:
        async with known(*two_pools(agent.port, HOUR_S, HOUR_S)) as (own, resolver):
            one, two = own.states.by_id["one/s"], own.states.by_id["two/s"]
            async with running(Agents(own.states, resolver, own.events, Random(1))):
                await until(lambda: one.wish.percent == two.wish.percent == 50)
                assert agent.asked == 1
                agent.line = b"drain\n"
                own.states.set_admin(one, AdminState.MAINT, None)
                own.states.set_admin(one, AdminState.DRAIN, None)
                await until(lambda: one.no_new_clients)
                assert (agent.asked, one.wish.percent) == (2, 100), "what was said before is forgotten of one"
                assert (two.wish.no_new_clients, two.wish.percent) == ("drain", 50), "and holds for the other"


async def test_server_that_leaves_maintenance_is_not_content_with_the_question_of_another() -> None:
    with saying(b"75%\n") as agent:
        agent.gate.clear()
        async with known(*two_pools(agent.port, HOUR_S, HOUR_S)) as (own, resolver):
            one, two = own.states.by_id["one/s"], own.states.by_id["two/s"]
            own.states.set_admin(two, AdminState.MAINT, None)
            async with running(Agents(own.states, resolver, own.events, Random(1))):
                await until(lambda: agent.asked == 1)
                agent.line = b"50%\n"
                own.states.set_admin(two, AdminState.READY, None)
                agent.gate.set()
                await until(lambda: two.wish.percent == 50)
                assert (agent.asked, one.wish.percent) == (2, 50)
                assert [each["after"] for each in own.events.after(0) if each["kind"] == "agent_weight_changed"] == [
                    75, 50, 50,
                ]  # fmt: skip


async def test_agent_of_pools_with_different_intervals_is_asked_by_the_shortest_of_those_not_in_maintenance() -> None:
    with saying(b"50%\n") as agent:
        async with known(*two_pools(agent.port, 0.05, HOUR_S)) as (own, resolver):
            one, two = own.states.by_id["one/s"], own.states.by_id["two/s"]
            agents = Agents(own.states, resolver, own.events)
            (asked,) = agents._agents.values()
            async with running(agents):
                await until(lambda: two.wish.percent == 50)
                agent.line = b"75%\n"
                await until(lambda: two.wish.percent == 75)
                own.states.set_admin(one, AdminState.MAINT, None)
                assert asked.interval_s == HOUR_S
                agent.line = b"25%\n"
                own.states.set_admin(one, AdminState.READY, None)
                assert asked.interval_s == 0.05
                await until(lambda: one.wish.percent == two.wish.percent == 25)


async def test_agents_at_other_ports_machines_or_with_another_timeout_are_asked_apart() -> None:
    with saying(b"50%\n") as agent, saying(b"25%\n") as other:
        pools = (
            pool("a", AgentCheck(agent.port, HOUR_S, 5.0), Server("a", "s", "127.0.0.1", 1)),
            pool("b", AgentCheck(agent.port, HOUR_S, 4.0), Server("b", "s", "127.0.0.1", 1)),
            pool("c", AgentCheck(other.port, HOUR_S, 5.0), Server("c", "s", "127.0.0.1", 1)),
            pool("d", AgentCheck(agent.port, HOUR_S, 5.0), Server("d", "s", "127.0.0.1", 2)),
        )
        async with known(*pools) as (own, resolver), running(Agents(own.states, resolver, own.events, Random(1))):
            await until(lambda: all(state.wish.percent < 100 for state in own.states.by_id.values()))
            assert [state.wish.percent for state in own.states.by_id.values()] == [50, 50, 25, 50]
            assert (agent.asked, other.asked) == (2, 1)


async def test_no_more_agents_are_asked_at_once_than_the_limit_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbapp.engine.supervisor.agents.AGENTS_AT_ONCE_MAX", 2)
    with socket.create_server(("", 0)) as listener:
        listener.settimeout(10)
        machines = [Server("app", f"s{number}", f"127.0.0.{number}", 1) for number in range(1, 6)]
        own_pool = pool("app", AgentCheck(listener.getsockname()[1], HOUR_S, 60.0), *machines)
        async with known(own_pool) as (own, resolver):
            agents = Agents(own.states, resolver, own.events, Random(1))
            async with running(agents):
                held = [(await anyio.to_thread.run_sync(listener.accept))[0] for _ in range(2)]
                for waiting in (3, 2, 1, 0):
                    await until(lambda waiting=waiting: agents._asking.statistics().tasks_waiting == waiting)  # type: ignore[misc]
                    assert not select([listener], [], [], 0)[0], "a third was asked"
                    answered = held.pop(0)
                    answered.sendall(b"50%\n")
                    answered.close()
                    if waiting:
                        held.append((await anyio.to_thread.run_sync(listener.accept))[0])
                held.pop().close()
                await until(lambda: sum(state.wish.percent == 50 for state in own.states.by_id.values()) == 4)
                assert own.kinds().count("agent_failed") == 1, "the last said nothing"


async def test_next_generation_asks_when_it_is_due_and_at_once_for_a_server_that_has_left_maintenance() -> None:
    with saying(b"50% nonsense\n") as agent:
        async with known(*two_pools(agent.port, HOUR_S, HOUR_S)) as (own, resolver):
            one, two = own.states.by_id["one/s"], own.states.by_id["two/s"]
            former = Agents(own.states, resolver, own.events, Random(1))
            async with running(former):
                await until(lambda: one.wish.percent == two.wish.percent == 50)
            own.states.set_admin(two, AdminState.MAINT, None)
            agents = Agents(own.states, resolver, own.events, Random(1))
            agents.take_over(former)
            async with running(agents):
                await anyio.wait_all_tasks_blocked()
                own.states.set_admin(two, AdminState.READY, None)
                await until(lambda: two.wish.percent == 50)
                assert agent.asked == 2, "not at the beginning, too"
            assert own.kinds().count("agent_failed") == 2, "once for each server, by both generations together"
