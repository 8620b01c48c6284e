from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lbapp.control.messages import Actor
from lbapp.engine.supervisor.commands import Commands, ask_stop
from lbapp.engine.supervisor.life import Life
from lbapp.model.errors import RequestRefused
from tests.engine.supervisor.support import Parts, reading

pytestmark = pytest.mark.anyio
EVE: Actor = {"uid": 7, "user": "eve", "pid": 12}


@contextmanager
def commanding() -> Iterator[tuple[Parts, Commands]]:
    with reading() as (own, reader):
        yield own, Commands(own.running, own.states, own.drains, reader)


async def test_change_answers_with_before_after_events_and_the_server() -> None:
    with commanding() as (own, commands):
        answer = commands.change_server(own.server("s1"), {"state": "drain", "weight": 50, "drain_timeout_s": 9}, EVE)
        assert answer["before"] == {"state": "ready", "weight": 100}
        assert answer["after"] == {"state": "drain", "weight": 50}
        assert [event["kind"] for event in own.events.after(0)] == ["weight_changed", "admin_state_changed"]
        assert answer["event_seqs"] == [1, 2]
        assert answer["server"]["drain"] is not None
        assert answer["server"]["drain"]["timeout_s"] == 9
        assert answer["server"]["changed_by"] == EVE


async def test_drain_asked_for_twice_keeps_its_clock_unless_another_timeout_is_given() -> None:
    with commanding() as (own, commands):
        state = own.server("s1")
        commands.change_server(state, {"state": "drain", "drain_timeout_s": 60}, EVE)
        commands.change_server(state, {"state": "drain"}, EVE)
        commands.change_server(state, {"weight": 3}, EVE)
        drain = own.drains.status(state)
        assert drain is not None
        assert drain["timeout_s"] == 60
        commands.change_server(state, {"drain_timeout_s": 5}, EVE)
        drain = own.drains.status(state)
        assert drain is not None
        assert drain["timeout_s"] == 5
        commands.change_server(state, {"state": "ready"}, EVE)
        assert own.drains.status(state) is None


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (None, "invalid_body"),
        ([], "invalid_body"),
        ({}, "invalid_body"),
        ({"expect_revision": 3}, "invalid_body"),
        ({"weigth": 3}, "invalid_body"),
        ({"state": "DRAIN"}, "invalid_state"),
        ({"state": 1}, "invalid_state"),
        ({"state": None}, "invalid_state"),
        ({"weight": -1}, "invalid_weight"),
        ({"weight": 257}, "invalid_weight"),
        ({"weight": 1.5}, "invalid_weight"),
        ({"weight": True}, "invalid_weight"),
        ({"weight": "9" * 500}, "invalid_weight"),
        ({"drain_timeout_s": 5}, "invalid_body"),
        ({"state": "drain", "drain_timeout_s": -1}, "invalid_body"),
        ({"state": "drain", "drain_timeout_s": math.nan}, "invalid_body"),
        ({"state": "drain", "drain_timeout_s": True}, "invalid_body"),
        ({"state": "drain", "drain_timeout_s": 10**400}, "invalid_body"),
        ({"weight": 5, "expect_revision": "1"}, "invalid_body"),
        ({"weight": 5, "state": "no"}, "invalid_state"),
    ],
)
async def test_body_that_is_wrong_changes_nothing(body: object, code: str) -> None:
    with commanding() as (own, commands):
        with pytest.raises(RequestRefused) as caught:
            commands.change_server(own.server("s1"), body, EVE)
        assert (caught.value.code, caught.value.status) == (code, 422)
        assert caught.value.hint
        assert len(caught.value.message) < 120
        assert (own.states.revision, own.kinds()) == (0, [])


async def test_change_on_an_outdated_view_is_refused() -> None:
    with commanding() as (own, commands):
        commands.change_server(own.server("s1"), {"weight": 5, "expect_revision": 0}, EVE)
        commands.change_server(own.server("s2"), {"weight": 5, "expect_revision": 0}, EVE)
        with pytest.raises(RequestRefused, match="changed in revision 1") as caught:
            commands.change_server(own.server("s1"), {"weight": 9, "expect_revision": 0}, EVE)
        assert (caught.value.code, caught.value.status) == ("changed", 409)


async def test_pool_is_unpublished_once_with_an_event_and_its_servers_stay_as_they_are() -> None:
    with commanding() as (own, commands):
        pool, version = commands.find_pool("app"), own.pool_version()
        change = commands.change_pool(pool, {"published": False}, EVE)
        assert (change["before"], change["after"]) == ({"published": True}, {"published": False})
        assert change["pool"]["published"] is False
        assert change["pool"]["eligible"] == 2
        assert own.pool_version() == version + 1
        (event,) = own.events.after(0)
        assert (event["kind"], event["subject"], event["actor"]) == ("pool_unpublished", "app", EVE)
        again = commands.change_pool(pool, {"published": False}, EVE)
        assert (again["before"], again["event_seqs"]) == ({"published": False}, [])
        assert own.pool_version() == version + 1
        assert commands.change_pool(pool, {"published": True}, EVE)["pool"]["published"] is True
        assert own.kinds() == ["pool_unpublished", "pool_published"]
        assert own.states.revision == 2


@pytest.mark.parametrize("body", [None, {}, {"published": 1}, {"published": True, "state": "drain"}])
async def test_change_of_a_pool_that_is_wrong_changes_nothing(body: object) -> None:
    with commanding() as (own, commands):
        with pytest.raises(RequestRefused) as caught:
            commands.change_pool(commands.find_pool("app"), body, EVE)
        assert (caught.value.code, caught.value.status) == ("invalid_body", 422)
        assert (own.states.revision, own.kinds()) == (0, [])


async def test_unknown_names_suggest_near_ones() -> None:
    with commanding() as (_, commands):
        with pytest.raises(RequestRefused, match=r"no pool apq\. Did you mean app\?"):
            commands.find_pool("apq")
        with pytest.raises(RequestRefused, match=r"no server x\. There are s1, s2") as caught:
            commands.find_server("app", "x")
        assert (caught.value.code, caught.value.status) == ("unknown_server", 404)


async def test_stop_is_asked_once_with_the_first_timeout() -> None:
    with commanding() as (own, _):
        life = Life(30.0)
        with pytest.raises(RequestRefused, match="timeout_s is -1"):
            ask_stop(life, own.events, {"timeout_s": -1}, EVE)
        assert not life.is_stopping
        ask_stop(life, own.events, {"timeout_s": 4}, EVE)
        ask_stop(life, own.events, None, EVE)
        assert (life.is_stopping, life.timeout_s, own.kinds()) == (True, 4.0, ["stop_asked"])
