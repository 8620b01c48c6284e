from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from lbapp.control.messages import Actor
from lbapp.engine.supervisor.commands import Commands, ask_stop
from lbapp.engine.supervisor.intents import Intents
from lbapp.engine.supervisor.journal import Journal
from lbapp.engine.supervisor.life import Life
from lbapp.model.errors import RequestRefused
from tests.engine.supervisor.support import Parts, configured, reading

pytestmark = pytest.mark.anyio
EVE: Actor = {"uid": 7, "user": "eve", "pid": 12}


@contextmanager
def commanding(in_flight: tuple[int, ...] = ()) -> Iterator[tuple[Parts, Commands]]:
    """Two servers; or as many as had so much in flight just now, as the engine has seen."""
    configuration = configured([("127.0.0.1", number) for number in range(1, len(in_flight) + 1)])
    with reading(configuration) as (own, reader), TemporaryDirectory() as folder:
        for number, count in enumerate(in_flight, 1):
            own.set_in_flight(f"s{number}", count)
        reader.history.peaks.look(time.time())
        journal = Journal(Path(folder) / "journal")
        journal.open()
        intents = Intents(own.running, own.states, own.drains, own.events, journal)
        yield own, Commands(own.running, own.states, own.drains, reader, intents)
        journal.close()


async def test_change_answers_with_before_after_events_and_the_server() -> None:
    with commanding() as (own, commands):
        answer = await commands.change_server(
            own.server("s1"), {"state": "drain", "weight": 50, "drain_timeout_s": 9}, EVE
        )
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
        await commands.change_server(state, {"state": "drain", "drain_timeout_s": 60}, EVE)
        await commands.change_server(state, {"state": "drain"}, EVE)
        await commands.change_server(state, {"weight": 3}, EVE)
        drain = own.drains.status(state)
        assert drain is not None
        assert drain["timeout_s"] == 60
        await commands.change_server(state, {"drain_timeout_s": 5}, EVE)
        drain = own.drains.status(state)
        assert drain is not None
        assert drain["timeout_s"] == 5
        await commands.change_server(state, {"state": "ready"}, EVE)
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
        ({"weight": 5, "weight_add": 1}, "invalid_body"),
        ({"weight_add": 1, "weight_percent": 50}, "invalid_body"),
        ({"weight_add": 257}, "invalid_weight"),
        ({"weight_add": 1.0}, "invalid_weight"),
        ({"weight_add": True}, "invalid_weight"),
        ({"weight_percent": -1}, "invalid_weight"),
        ({"weight_percent": "50"}, "invalid_weight"),
        ({"weight": 5, "expect_revision": "1"}, "invalid_body"),
        ({"weight": 5, "state": "no"}, "invalid_state"),
        ({"weight": 5, "reason": 3}, "invalid_body"),
        ({"weight": 5, "reason": "x" * 201}, "invalid_body"),
        ({"weight": 5, "reason": "a\nb"}, "invalid_body"),
        ({"weight": 5, "group": "x" * 65}, "invalid_body"),
        ({"weight": 5, "unrecorded": "yes"}, "invalid_body"),
    ],
)
async def test_body_that_is_wrong_changes_nothing(body: object, code: str) -> None:
    with commanding() as (own, commands):
        with pytest.raises(RequestRefused) as caught:
            await commands.change_server(own.server("s1"), body, EVE)
        assert (caught.value.code, caught.value.status) == (code, 422)
        assert caught.value.hint
        assert len(caught.value.message) < 120
        assert (own.states.revision, own.kinds()) == (0, [])


async def test_change_on_an_outdated_view_is_refused() -> None:
    with commanding() as (own, commands):
        await commands.change_server(own.server("s1"), {"weight": 5, "expect_revision": 0}, EVE)
        await commands.change_server(own.server("s2"), {"weight": 5, "expect_revision": 0}, EVE)
        with pytest.raises(RequestRefused, match="changed in revision 1") as caught:
            await commands.change_server(own.server("s1"), {"weight": 9, "expect_revision": 0}, EVE)
        assert (caught.value.code, caught.value.status) == ("changed", 409)


async def test_pool_is_unpublished_once_with_an_event_and_its_servers_stay_as_they_are() -> None:
    with commanding() as (own, commands):
        pool, version = commands.find_pool("app"), own.pool_version()
        change = await commands.change_pool(pool, {"published": False}, EVE)
        assert (change["before"], change["after"]) == ({"published": True}, {"published": False})
        assert change["pool"]["published"] is False
        assert change["pool"]["eligible"] == 2
        assert own.pool_version() == version + 1
        (event,) = own.events.after(0)
        assert (event["kind"], event["subject"], event["actor"]) == ("pool_unpublished", "app", EVE)
        again = await commands.change_pool(pool, {"published": False}, EVE)
        assert (again["before"], again["event_seqs"]) == ({"published": False}, [])
        assert own.pool_version() == version + 1
        again = await commands.change_pool(pool, {"published": True}, EVE)
        assert again["pool"]["published"] is True
        assert own.kinds() == ["pool_unpublished", "pool_published"]
        assert own.states.revision == 2


@pytest.mark.parametrize("body", [None, {}, {"published": 1}, {"published": True, "state": "drain"}])
async def test_change_of_a_pool_that_is_wrong_changes_nothing(body: object) -> None:
    with commanding() as (own, commands):
        with pytest.raises(RequestRefused) as caught:
            await commands.change_pool(commands.find_pool("app"), body, EVE)
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


# -- undo ----------------------------------------------------------------------------------------------------------------


async def test_undo_takes_back_the_last_action_and_then_the_one_before() -> None:
    with commanding() as (own, commands):
        state = own.server("s1")
        await commands.change_server(state, {"weight": 50}, EVE)
        await commands.change_server(state, {"state": "drain", "weight": 7, "reason": "a deploy"}, EVE)
        assert own.events.after(0)[-1]["message"] == "app/s1 is now drain, was ready: a deploy"
        undone = await commands.undo(None, EVE)
        assert undone["actions"] == [2]
        assert (state.weight, state.admin.name, own.drains.status(state)) == (50, "READY", None)
        assert (await commands.undo({}, EVE))["changes"] == [
            {"on": "app/s1", "setting": "weight", "before": 50, "after": 100}
        ]
        with pytest.raises(RequestRefused, match="there is nothing to undo") as caught:
            await commands.undo(None, EVE)
        assert (caught.value.code, caught.value.status) == ("nothing_to_undo", 409)


async def test_what_was_one_command_is_one_undo() -> None:
    with commanding() as (own, commands):
        for name in ("s1", "s2"):
            await commands.change_server(own.server(name), {"weight": 9, "group": "g"}, EVE)
        await commands.change_pool(commands.find_pool("app"), {"published": False}, EVE)
        assert (await commands.undo({"action": 1, "reason": "wrong pool"}, EVE))["actions"] == [2, 1]
        assert [own.server(name).weight for name in ("s1", "s2")] == [100, 100]
        assert own.events.after(0)[-1]["message"].endswith(": wrong pool")


async def test_undo_that_leaves_nobody_is_refused_whole_unless_it_is_forced() -> None:
    with commanding() as (own, commands):
        await commands.change_servers({"servers": ["app/s1", "app/s2"], "state": "maint", "force": True}, EVE)
        await commands.change_servers({"servers": ["app/s1", "app/s2"], "state": "ready"}, EVE)
        with pytest.raises(RequestRefused, match="pool app would have no server for new clients: 2 now") as caught:
            await commands.undo(None, EVE)
        assert (caught.value.code, caught.value.status) == ("leaves_nobody", 409)
        assert [own.server(name).admin.name for name in ("s1", "s2")] == ["READY", "READY"]
        with pytest.raises(RequestRefused, match='force is "yes"'):
            await commands.undo({"force": "yes"}, EVE)
        assert (await commands.undo({"force": True}, EVE))["actions"] == [2], "what was refused is not undone yet"
        assert [own.server(name).admin.name for name in ("s1", "s2")] == ["MAINT", "MAINT"]


async def test_undo_of_a_group_is_one_plan_for_the_guard() -> None:
    with commanding() as (own, commands):
        await commands.change_server(own.server("s1"), {"state": "drain"}, EVE)
        await commands.change_server(own.server("s1"), {"state": "ready", "group": "g"}, EVE)
        await commands.change_server(own.server("s2"), {"weight": 0, "group": "g"}, EVE)
        undone = await commands.undo(None, EVE)
        assert undone["actions"] == [3, 2], "s1 goes, s2 comes: by itself, the first half would leave nobody"
        assert (own.server("s1").admin.name, own.server("s2").weight) == ("DRAIN", 100)


async def test_undo_that_leaves_too_little_for_the_peak_is_refused() -> None:
    with commanding((25, 25, 25, 25)) as (own, commands):
        gone = {"servers": ["app/s1", "app/s2", "app/s3"], "state": "drain"}
        await commands.change_servers({**gone, "force": True}, EVE)
        await commands.change_servers({"servers": ["app/s1", "app/s2", "app/s3"], "state": "ready"}, EVE)
        with pytest.raises(RequestRefused, match="of the 1 server left app/s4 would get 100 and has had 25") as caught:
            await commands.undo(None, EVE)
        assert caught.value.code == "too_little_capacity"
        assert own.server("s1").admin.name == "READY"
        assert (await commands.undo({"force": True}, EVE))["actions"] == [2]


async def test_undo_of_what_has_changed_since_is_refused_and_changes_nothing() -> None:
    with commanding() as (own, commands):
        await commands.change_server(own.server("s1"), {"weight": 50}, EVE)
        await commands.change_server(own.server("s1"), {"weight": 60}, EVE)
        for body, said in (
            ({"action": 1}, "app/s1 has weight 60 now, not 50 as action 1 left it"),
            ({"action": 9}, "there is no action 9"),
        ):
            with pytest.raises(RequestRefused, match=said):
                await commands.undo(body, EVE)
        await commands.undo({"action": 2}, EVE)
        with pytest.raises(RequestRefused, match="action 2 is undone already"):
            await commands.undo({"action": 2}, EVE)
        assert own.server("s1").weight == 50
        await commands.change_server(own.server("s1"), {"weight": 70}, EVE)
        with pytest.raises(RequestRefused, match="has weight 70 now, not 50 as action 3 left it"):
            await commands.undo({"action": 3}, EVE)


@pytest.mark.parametrize("body", [[], {"action": "1"}, {"action": True}, {"nothing": 1}])
async def test_undo_that_is_wrong_is_refused(body: object) -> None:
    with commanding() as (_, commands):
        with pytest.raises(RequestRefused) as caught:
            await commands.undo(body, EVE)
        assert caught.value.status == 422


# -- plans ---------------------------------------------------------------------------------------------------------------


async def test_several_servers_are_changed_by_one_action_or_not_at_all() -> None:
    with commanding() as (own, commands):
        with pytest.raises(RequestRefused, match="no server s9"):
            await commands.change_servers({"servers": ["app/s1", "app/s9"], "weight": 5}, EVE)
        assert own.kinds() == []
        done = await commands.change_servers({"servers": ["app/s1", "app/s2", "app/s1"], "weight": 5}, EVE)
        assert [change["after"]["weight"] for change in done["changes"]] == [5, 5]
        assert (await commands.undo(None, EVE))["actions"] == [1]
        assert [own.server(name).weight for name in ("s1", "s2")] == [100, 100]


async def test_servers_of_which_one_changed_since_are_all_left_as_they_are() -> None:
    with commanding() as (own, commands):
        await commands.change_server(own.server("s2"), {"weight": 5}, EVE)
        with pytest.raises(RequestRefused, match="app/s2 changed in revision") as refused:
            await commands.change_servers({"servers": ["app/s1", "app/s2"], "weight": 9, "expect_revision": 0}, EVE)
        assert refused.value.code == "changed"
        assert own.server("s1").weight == 100


async def test_what_leaves_nobody_is_refused_with_the_figure_unless_it_is_forced() -> None:
    with commanding() as (own, commands):
        for body in ({"state": "maint"}, {"weight": 0}, {"state": "drain"}):
            with pytest.raises(RequestRefused, match="pool app would have no server for new clients: 2 now") as caught:
                await commands.change_servers({"servers": ["app/s1", "app/s2"], **body}, EVE)
            assert (caught.value.code, caught.value.status) == ("leaves_nobody", 409)
        assert own.kinds() == []
        await commands.change_server(own.server("s1"), {"state": "maint"}, EVE)
        with pytest.raises(RequestRefused, match="1 now"):
            await commands.change_server(own.server("s2"), {"state": "drain"}, EVE)
        await commands.change_server(own.server("s2"), {"state": "drain", "force": True}, EVE)
        await commands.change_server(own.server("s1"), {"state": "drain"}, EVE)  # nobody is left already


async def test_dry_run_says_who_gets_how_much_and_changes_nothing() -> None:
    with commanding() as (own, commands):
        done = await commands.change_servers({"servers": ["app/s1"], "state": "drain", "dry_run": True}, EVE)
        (plan,) = done["plan"]
        assert done["changes"] == []
        assert (plan["eligible_before"], plan["eligible_after"], plan["leaves_nobody"]) == (2, 1, False)
        assert [(each["before"], each["after"]) for each in plan["shares"]] == [(0.5, 0.0), (0.5, 1.0)]
        assert own.kinds() == []


@pytest.mark.parametrize(
    "body",
    [
        {"weight": 5}, {"servers": [], "weight": 5}, {"servers": "app/s1", "weight": 5}, {"servers": [1], "weight": 5},
        {"servers": ["app/s1"]}, {"servers": ["app/s1"], "weight": 5, "force": 1}, {"servers": ["app/s1"], "dry_run": True},
        {"servers": ["app/s1"], "weight": 5, "dry_run": "no"}, {"servers": ["app/s1"], "drain_timeout_s": 5},
    ],
)  # fmt: skip
async def test_change_of_several_that_is_wrong_changes_nothing(body: object) -> None:
    with commanding() as (own, commands):
        with pytest.raises(RequestRefused) as caught:
            await commands.change_servers(body, EVE)
        assert caught.value.status == 422
        assert (own.states.revision, own.kinds()) == (0, [])


@pytest.mark.parametrize(
    ("now", "patch", "after"),
    [
        (100, {"weight_add": 10}, 110),
        (100, {"weight_add": -10}, 90),
        (5, {"weight_add": -10}, 1),
        (250, {"weight_add": 10}, 256),
        (0, {"weight_add": -10}, 0),
        (0, {"weight_add": 10}, 10),
        (7, {"weight_percent": 50}, 50),
        (7, {"weight_percent": 0}, 0),
        (7, {"weight_percent": 0.1}, 1),
        (7, {"weight_percent": 1000}, 256),
    ],
)
async def test_weight_is_wanted_by_what_the_server_has_or_the_file_says(
    now: int, patch: dict[str, object], after: int
) -> None:
    with commanding() as (own, commands):
        await commands.change_server(own.server("s1"), {"weight": now, "force": True}, EVE)
        answer = await commands.change_server(own.server("s1"), {**patch, "force": True}, EVE)
        assert (answer["before"]["weight"], answer["after"]["weight"]) == (now, after)


@pytest.mark.parametrize(("now", "percent", "after"), [(0, 50, 0), (7, 50, 1), (7, 0, 0)])
async def test_share_of_a_weight_that_the_file_says_is_0_brings_no_server_in_and_takes_none_out(
    now: int, percent: float, after: int
) -> None:
    with commanding() as (own, commands):
        state = own.server("s1")
        own.states.replace(state.row, replace(state.server, weight=0))
        await commands.change_server(state, {"weight": now, "force": True}, EVE)
        await commands.change_server(state, {"weight_percent": percent, "force": True}, EVE)
        assert state.weight == after


async def test_step_of_a_weight_is_from_where_a_ramp_has_come_to_and_ends_it() -> None:
    with commanding() as (own, commands):
        state = own.server("s1")
        await commands.change_server(state, {"weight": 200, "over_s": 1000}, EVE)
        own.states.set_weight(state, 120, None, is_step=True)
        await commands.change_server(state, {"weight_add": 5}, EVE)
        assert (state.weight, state.ramp) == (125, None)


async def test_undo_of_an_undo_is_a_redo_and_told_as_such() -> None:
    with commanding() as (own, commands):
        state = own.server("s1")
        await commands.change_server(state, {"weight": 7}, EVE)
        undone = await commands.undo({}, EVE)
        redone = await commands.undo({"action": 2}, EVE)
        assert (undone["actions"], undone["redone"], redone["actions"], redone["redone"]) == ([1], [], [2], [1])
        assert state.weight == 7
        assert own.events.after(0)[-1]["message"].endswith(": redo of 1")
        done = commands._intents.actions_done(10)["actions"]
        assert [(each["undoes"], each["redoes"], each["is_undone"]) for each in done] == [
            ([], [], False),
            ([1], [], True),
            ([2], [1], False),
        ]
        with pytest.raises(RequestRefused, match="action 2 is undone already"):
            await commands.undo({"action": 2}, EVE)
        assert (await commands.undo({}, EVE))["actions"] == [1], "it can be undone again"
        assert state.weight == 100


async def test_redo_of_a_ramp_lets_the_weight_go_on_its_way() -> None:
    with commanding() as (own, commands):
        state = own.server("s1")
        await commands.change_server(state, {"weight": 200, "over_s": 1000}, EVE)
        await commands.undo({}, EVE)
        assert (state.weight, state.ramp) == (100, None)
        await commands.undo({"action": 2}, EVE)
        assert state.ramp is not None
        assert state.ramp.after == 200


async def test_actions_are_listed_page_by_page_backwards() -> None:
    with commanding() as (own, commands):
        for weight in (1, 2, 3, 4, 5):
            await commands.change_server(own.server("s1"), {"weight": weight}, EVE)
        pages, before = [], None
        while page := commands._intents.actions_done(2, before)["actions"]:
            pages.append([each["number"] for each in page])
            before = page[0]["number"]
        assert pages == [[4, 5], [2, 3], [1]]
