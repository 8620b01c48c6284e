"""Servers that come and go with the answers of a real DNS server on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import anyio
import dns.rcode
import pytest

from lbapp.engine.channel import CloseServer, Message, ServersChanged
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.supervisor.checks import Checks
from lbapp.engine.supervisor.discovery import Discovery
from lbapp.engine.supervisor.resolve import Resolver
from lbapp.engine.supervisor.state import ServerStates
from lbapp.model.discovery import Discover, DiscoverType
from lbapp.model.entities import CheckType, EngineSettings, HealthCheck, Pool
from lbapp.model.states import AdminState
from tests.dns_server import DnsServer, dns_server
from tests.engine.supervisor.support import Parts, configured, parts, until

pytestmark = pytest.mark.anyio
APP = Discover("app.test", DiscoverType.ADDRESS, 80, 3)


@dataclass
class Found:
    own: Parts
    server: DnsServer
    discovery: Discovery
    resolver: Resolver
    told: list[Message] = field(default_factory=list)

    def names(self) -> set[str]:
        return {state.server.name for state in self.own.states.by_id.values()}

    def chosen_from(self) -> set[str]:
        return {server.name for server in self.discovery.servers()["app"].values()}

    def say(self, *addresses: str) -> None:
        self.server.say("app.test", "A", 1, *addresses)

    def row(self, name: str) -> int:
        return self.own.states.by_id[f"app/{name}"].row

    def in_flight(self, name: str, count: int) -> None:
        segment = self.own.running.segment
        segment.cells[segment.layout.in_flight(0) + self.row(name)] = count


@asynccontextmanager
async def discovering(discover: Discover = APP, *addresses: str, drain_timeout_s: float = 60.0) -> AsyncIterator[Found]:
    check = HealthCheck(CheckType.NONE)
    pool = Pool("app", (), health_check=check, drain_timeout_s=drain_timeout_s, discover=discover)
    with dns_server() as server:
        if addresses:
            server.say("app.test", "A", 1, *addresses)
        engine = EngineSettings(nameservers=(("127.0.0.1", server.port),))
        with parts(replace(configured(), engine=engine, pools=(pool,), listeners=())) as own:
            resolver = Resolver(own.running, own.events)
            discovery = Discovery(own.running, own.states, own.events, resolver)
            discovery.checks, discovery.drains = Checks(own.states, resolver), own.drains
            found = Found(own, server, discovery, resolver)
            await discovery.ask_all()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(discovery.run, found.told.append)
                yield found
                tasks.cancel_scope.cancel()


async def test_servers_of_the_first_answer_are_there_from_the_start() -> None:
    async with discovering(APP, "10.0.0.1", "10.0.0.2") as found:
        assert found.names() == {"10.0.0.1:80", "10.0.0.2:80"}
        state = found.own.states.by_id["app/10.0.0.1:80"]
        assert found.resolver.addresses[state.row] == ((2, "10.0.0.1", 80),)
        cells, layout = found.own.running.segment.cells, found.own.running.segment.layout
        assert cells[layout.state(state.row) + at.STATE_WEIGHT] == 100
        assert found.own.kinds() == ["server_found", "server_found"]


async def test_server_that_appears_gets_a_row_and_the_others_keep_theirs() -> None:
    async with discovering(APP, "10.0.0.2") as found:
        row = found.row("10.0.0.2:80")
        found.say("10.0.0.1", "10.0.0.2")
        await until(lambda: found.chosen_from() == {"10.0.0.1:80", "10.0.0.2:80"})
        assert found.row("10.0.0.2:80") == row
        message = found.told[-1]
        assert isinstance(message, ServersChanged)
        assert message.servers[row].host == "10.0.0.2"


async def test_server_that_disappears_finishes_first() -> None:
    async with discovering(APP, "10.0.0.1", "10.0.0.2") as found:
        found.in_flight("10.0.0.1:80", 2)
        row = found.row("10.0.0.1:80")
        found.say("10.0.0.2")
        await until(lambda: found.chosen_from() == {"10.0.0.2:80"})
        state = found.own.states.by_id["app/10.0.0.1:80"]
        assert state.is_leaving
        assert not state.is_eligible
        cells, layout = found.own.running.segment.cells, found.own.running.segment.layout
        assert cells[layout.state(row) + at.STATE_ADMIN] == AdminState.MAINT
        found.in_flight("10.0.0.1:80", 0)
        await until(lambda: found.names() == {"10.0.0.2:80"})
        assert row not in found.resolver.addresses
        assert "server_gone" in found.own.kinds()


async def test_server_that_does_not_finish_is_closed_by_force() -> None:
    async with discovering(APP, "10.0.0.1", "10.0.0.2", drain_timeout_s=0.3) as found:
        found.in_flight("10.0.0.1:80", 2)
        row = found.row("10.0.0.1:80")
        found.say("10.0.0.2")
        await until(lambda: CloseServer(row) in found.told)
        found.in_flight("10.0.0.1:80", 0)
        await until(lambda: found.names() == {"10.0.0.2:80"})


async def test_server_that_returns_before_it_has_finished_goes_on() -> None:
    async with discovering(APP, "10.0.0.1", "10.0.0.2") as found:
        found.in_flight("10.0.0.1:80", 1)
        row = found.row("10.0.0.1:80")
        found.say("10.0.0.2")
        await until(lambda: found.chosen_from() == {"10.0.0.2:80"})
        found.say("10.0.0.1", "10.0.0.2")
        await until(lambda: len(found.chosen_from()) == 2)
        assert found.row("10.0.0.1:80") == row
        assert found.own.states.by_id["app/10.0.0.1:80"].is_eligible


@pytest.mark.parametrize("failure", ["servfail", "nxdomain", "empty"])
async def test_answer_that_does_not_come_or_is_empty_changes_nothing(failure: str) -> None:
    async with discovering(APP, "10.0.0.1") as found:
        if failure == "servfail":
            found.server.rcode = dns.rcode.SERVFAIL
        elif failure == "nxdomain":
            found.server.zone.clear()
        else:
            found.say()
        await until(lambda: "name_not_resolved" in found.own.kinds())
        asked = found.server.asked["app.test", "A"]
        await until(lambda: found.server.asked["app.test", "A"] >= asked + 2)
        assert found.chosen_from() == {"10.0.0.1:80"}
        assert found.own.kinds().count("name_not_resolved") == 1
        assert "its 1 servers stay" in found.own.events.after(0)[-1]["message"]
        found.server.rcode = None
        found.say("10.0.0.1")
        await until(lambda: found.own.kinds()[-1] == "name_resolved")


async def test_pool_without_an_answer_at_the_start_gets_its_servers_later() -> None:
    async with discovering() as found:
        assert found.names() == set()
        assert "it has no servers" in found.own.events.after(0)[-1]["message"]
        found.say("10.0.0.1")
        await until(lambda: found.chosen_from() == {"10.0.0.1:80"})


async def test_name_that_stands_for_too_many_is_told_of_and_the_others_get_in_when_there_is_room() -> None:
    every = [f"10.0.0.{number}" for number in range(1, 6)]
    async with discovering(APP, *every) as found:
        assert len(found.names()) == 3
        (message,) = [event["message"] for event in found.own.events.after(0) if event["kind"] == "servers_left_out"]
        assert "2 servers more than servers_max, 3, allows" in message
        found.say(*every[3:])
        await until(lambda: found.chosen_from() == {"10.0.0.4:80", "10.0.0.5:80"})


async def test_weight_that_an_operator_gave_survives_a_new_answer() -> None:
    async with discovering(Discover("_http._tcp.test", DiscoverType.SRV)) as found:
        found.server.say("a.test", "A", 1, "10.0.0.1")
        found.server.say("b.test", "A", 1, "10.0.0.2")
        found.server.say("_http._tcp.test", "SRV", 1, "1 30 8080 a.test.", "2 10 8081 b.test.")
        await until(lambda: found.chosen_from() == {"10.0.0.1:8080", "10.0.0.2:8081"})
        states = found.own.states
        first, second = states.by_id["app/10.0.0.1:8080"], states.by_id["app/10.0.0.2:8081"]
        assert (first.weight, first.server.is_backup) == (30, False)
        assert (second.weight, second.server.is_backup) == (10, True)
        states.set_weight(first, 7, None)
        found.server.say("_http._tcp.test", "SRV", 1, "1 50 8080 a.test.", "1 50 8081 b.test.")
        await until(lambda: not states.by_id["app/10.0.0.2:8081"].server.is_backup)
        assert (first.weight, second.weight) == (7, 100)


async def test_target_that_cannot_be_resolved_is_not_a_server_that_has_gone() -> None:
    async with discovering(Discover("_http._tcp.test", DiscoverType.SRV)) as found:
        found.server.say("a.test", "A", 1, "10.0.0.1")
        found.server.say("b.test", "A", 1, "10.0.0.2")
        found.server.say("_http._tcp.test", "SRV", 1, "1 1 8080 a.test.", "1 1 8080 b.test.")
        await until(lambda: len(found.chosen_from()) == 2)
        del found.server.zone["b.test", "A"]
        await until(lambda: found.own.kinds()[-1] == "name_not_resolved")
        assert len(found.chosen_from()) == 2
        assert "b.test: there is no such name" in found.own.events.after(0)[-1]["message"]


async def test_next_generation_has_each_server_once_whatever_comes_and_goes_while_it_gets_ready() -> None:
    async with discovering(APP, "10.0.0.1", "10.0.0.2") as found:
        states = ServerStates(found.own.running, found.own.events, is_published=False)
        resolver = Resolver(found.own.running, found.own.events)
        discovery = Discovery(found.own.running, states, found.own.events, resolver)
        (pool,) = found.own.running.configuration.pools

        def check_is_the_same() -> None:
            discovery.take_over(found.discovery)
            assert {name: state.row for name, state in states.by_id.items()} == {
                name: state.row for name, state in found.own.states.by_id.items()
            }
            assert sorted(state.server.id for state in states.members(pool)) == sorted(states.by_id)
            assert all(states.by_row(state.row) is state for state in states.by_id.values())
            assert discovery.servers() == found.discovery.servers()
            assert resolver.addresses == found.resolver.addresses

        async def becomes(*addresses: str) -> None:
            found.say(*addresses)
            await until(lambda: found.names() == {f"{each}:80" for each in addresses})

        found.in_flight("10.0.0.1:80", 1)
        found.say("10.0.0.2")
        await until(lambda: found.chosen_from() == {"10.0.0.2:80"})
        for _ in range(2):
            check_is_the_same()
            assert len(states.by_id) == 2  # one of them leaves
        found.in_flight("10.0.0.1:80", 0)
        await until(lambda: found.names() == {"10.0.0.2:80"})
        check_is_the_same()
        await becomes("10.0.0.2", "10.0.0.3")
        await becomes("10.0.0.2", "10.0.0.3", "10.0.0.4")
        check_is_the_same()
        row = found.row("10.0.0.4:80")
        await becomes("10.0.0.2", "10.0.0.4")
        await becomes("10.0.0.2")
        await becomes("10.0.0.2", "10.0.0.4")
        assert found.row("10.0.0.4:80") != row, "it is back in another row"
        check_is_the_same()
