"""Nodes that share a real etcd: members, intents, and what becomes of both when the store fails."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from lbapp.cluster.fleet import make
from lbapp.model.errors import RequestRefused
from lbapp.model.fleet import StoreState
from lbapp.model.journal import Setting
from tests.cluster.harness import (
    alive,
    ask,
    is_synced,
    needs_etcd,
    running_fleet,
    running_stores,
    settings_of,
    until,
)
from tests.cluster.node_double import NodeDouble, intent

pytestmark = [pytest.mark.anyio, pytest.mark.system, needs_etcd]
KEY = ("app/s1", Setting.STATE)


async def test_nodes_see_each_other_come_and_go(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        a, b = NodeDouble("a"), NodeDouble("b")
        async with running_fleet(tmp_path, settings_of(stores, "a"), a) as (of_a, _):
            await until(lambda: is_synced(of_a) and alive(of_a) == ["a"])
            async with running_fleet(tmp_path, settings_of(stores, "b", lease_s=60), b) as (of_b, ended):
                await until(lambda: alive(of_a) == alive(of_b) == ["a", "b"])
                assert of_a.view.members["b"].card["host"] == "host-of-b"
                await until(lambda: of_a.view.members["b"].state)
                ended.cancel()
                await until(lambda: alive(of_a) == ["a"], 10)  # long before its lease would have ended
            assert a.members == [["a"], ["a", "b"], ["a"]]
            assert not of_a.view.members["b"].is_alive


async def test_a_node_that_dies_is_no_member_when_its_lease_has_ended(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        a = NodeDouble("a")
        lease = ask(stores[0], "lease/grant", {"TTL": "2"})["ID"]
        async with running_fleet(tmp_path, settings_of(stores, "a"), a) as (of_a, _):
            await until(lambda: alive(of_a) == ["a"])
            stores[0].put("nodes/dead", "{}", lease)
            await until(lambda: alive(of_a) == ["a", "dead"])
            await until(lambda: alive(of_a) == ["a"])


async def test_a_node_says_anew_who_it_is_when_that_changes(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        a = NodeDouble("a")
        async with running_fleet(tmp_path, settings_of(stores, "a"), a) as (fleet, _):
            await until(lambda: alive(fleet) == ["a"])
            a.listeners = ["web"]
            await until(lambda: fleet.view.members["a"].card["listeners"] == ["web"])
            assert a.members == [["a"]]


async def test_a_node_that_says_nonsense_of_itself_is_a_member_all_the_same(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        a = NodeDouble("a", odd={"ready": "perhaps"})
        async with running_fleet(tmp_path, settings_of(stores, "a"), a) as (fleet, _):
            await until(lambda: alive(fleet) == ["a"])
            assert a.told("fleet_problem") == [
                "this node cannot say what it is or carries: it.ready is not true or false"
            ]
            a.odd = {}
            await until(lambda: fleet.view.members["a"].state)
            await until(lambda: not fleet.view.problem)


async def test_an_intent_set_at_one_node_is_made_by_all(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        a, b = NodeDouble("a"), NodeDouble("b")
        async with (
            running_fleet(tmp_path, settings_of(stores, "a"), a) as (of_a, _),
            running_fleet(tmp_path, settings_of(stores, "b"), b) as (of_b, _),
        ):
            await until(lambda: is_synced(of_a) and is_synced(of_b))
            written = await of_a.propose([intent("app/s1"), intent("app/s2", 7, Setting.WEIGHT)], {})
            await until(lambda: b.made and a.made)
            assert a.made == b.made == written
            assert written[0].revision > 0


async def test_an_intent_that_was_changed_meanwhile_changes_nothing_and_says_by_whom(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        async with running_fleet(tmp_path, settings_of(stores, "a"), NodeDouble("a")) as (fleet, _):
            await until(lambda: is_synced(fleet))
            await fleet.propose([intent("app/s1", "maint", by="bob")], {})
            with pytest.raises(RequestRefused, match="app/s1 was made maint by bob at n1 meanwhile") as refused:
                await fleet.propose([intent("app/s2"), intent("app/s1")], {})
            assert (refused.value.code, refused.value.status) == ("changed", 409)
            await until(lambda: KEY in fleet.view.intents)
            seen = fleet.view.intents[KEY].revision
            assert (await fleet.propose([intent("app/s1")], {KEY: seen}))[0].revision > seen
            assert list(fleet.view.intents) == [KEY]


async def test_a_node_is_given_what_was_decided_while_it_was_away_and_nothing_twice(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        a, b = NodeDouble("a"), NodeDouble("b")
        async with running_fleet(tmp_path, settings_of(stores, "a"), a) as (of_a, _):
            await until(lambda: is_synced(of_a))
            async with running_fleet(tmp_path, settings_of(stores, "b"), b) as (of_b, _):
                await until(lambda: is_synced(of_b))
                await of_a.propose([intent("app/s1")], {})
                await until(lambda: b.made)
            await of_a.propose([intent("app/s2")], {})
            async with running_fleet(tmp_path, settings_of(stores, "b"), b):
                await until(lambda: len(b.made) == 2)
            assert [each.on for each in b.made] == ["app/s1", "app/s2"]


async def test_without_the_store_nothing_is_lost_and_what_is_wanted_of_all_is_refused(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        a = NodeDouble("a")
        async with running_fleet(tmp_path, settings_of(stores, "a"), a) as (fleet, _):
            await until(lambda: is_synced(fleet) and alive(fleet) == ["a"])
            await fleet.propose([intent("app/s1")], {})
            await until(lambda: a.made)
            stores[0].kill()
            await until(lambda: fleet.view.state is StoreState.STALE)
            assert alive(fleet) == ["a"]
            assert list(fleet.view.intents) == [KEY]
            await until(lambda: "Connection refused" in fleet.view.problem)
            with pytest.raises(RequestRefused, match="nothing was changed") as refused:
                await fleet.propose([intent("app/s2")], {})
            assert (refused.value.code, refused.value.status) == ("fleet_unreachable", 503)
            stores[0].start()
            await until(lambda: is_synced(fleet))
            await until(lambda: alive(fleet) == ["a"])
            assert a.members == [["a"]]
            assert a.told("fleet_synced")
            assert not a.told("fleet_store_lost")


async def test_a_store_that_is_frozen_is_noticed_and_a_node_that_it_forgot_joins_again(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        a = NodeDouble("a")
        async with running_fleet(tmp_path, settings_of(stores, "a"), a) as (fleet, _):
            await until(lambda: is_synced(fleet) and alive(fleet) == ["a"])
            stores[0].freeze()
            await until(lambda: fleet.view.state is StoreState.STALE)
            age_s = fleet.age_s or 0.0
            await until(lambda: (fleet.age_s or 0.0) > age_s + 1)
            assert alive(fleet) == ["a"]
            with pytest.raises(RequestRefused, match="whether it was written is not known"):
                await fleet.propose([intent("app/s1")], {})
            stores[0].thaw()
            await until(lambda: is_synced(fleet))
            await until(lambda: stores[0].has("nodes/a") and alive(fleet) == ["a"])


async def test_a_store_that_was_emptied_changes_nothing_and_goes_on_from_there(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        a, b = NodeDouble("a"), NodeDouble("b")
        async with (
            running_fleet(tmp_path, settings_of(stores, "a"), a) as (of_a, _),
            running_fleet(tmp_path, settings_of(stores, "b"), b) as (of_b, _),
        ):
            await until(lambda: alive(of_a) == alive(of_b) == ["a", "b"])
            for value in ("drain", "maint", "ready", "drain"):
                seen = of_a.view.intents
                await of_a.propose([intent("app/s1", value)], {KEY: seen[KEY].revision} if seen else {})
                await until(lambda was=seen: of_a.view.intents.keys() and of_a.view.intents != was)  # type: ignore[misc]
            await until(lambda: len(b.made) == 4)
            highest = b.done[KEY]
            stores[0].begin_empty()
            await until(lambda: is_synced(of_a) and is_synced(of_b) and not of_a.view.intents)
            await until(lambda: stores[0].has("nodes/a") and stores[0].has("nodes/b"))
            assert "lost its data" in a.told("fleet_store_lost")[0]
            await of_b.propose([intent("app/s1", "ready")], {})
            await until(lambda: len(a.made) == len(b.made) == 5)
            assert b.made[-1].revision < highest
            assert b.made[-1].value == a.made[-1].value == "ready"
            # Nobody was gone meanwhile, so that no total was shared among fewer.
            await until(lambda: alive(of_a) == alive(of_b) == ["a", "b"])
            assert a.members == [["a"], ["a", "b"]]


async def test_a_node_that_starts_without_the_store_starts_with_what_it_knew(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        a, b = NodeDouble("a"), NodeDouble("b")
        async with running_fleet(tmp_path, settings_of(stores, "b"), b) as (of_b, _):
            async with running_fleet(tmp_path, settings_of(stores, "a"), a) as (of_a, _):
                await until(lambda: alive(of_a) == ["a", "b"])
                await of_b.propose([intent("app/s1")], {})
                await until(lambda: a.made)
                await until(lambda: b'"on"' not in (data := (tmp_path / "a.view").read_bytes()) and b"app/s1" in data)
            stores[0].kill()
            again = NodeDouble("a")
            async with running_fleet(tmp_path, settings_of(stores, "a"), again) as (fleet, _):
                await until(lambda: again.made)
                assert fleet.view.state is StoreState.STARTING
                assert "b" in alive(fleet)
                assert "b" in again.members[0]
                assert fleet.age_s is not None
                stores[0].start()
                await until(lambda: is_synced(fleet))
                await until(lambda: alive(fleet) == ["a", "b"])


async def test_a_name_that_lives_elsewhere_is_not_taken_and_is_when_it_is_free(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        (tmp_path / "other").mkdir()
        first, second = NodeDouble("a"), NodeDouble("a")
        async with running_fleet(tmp_path, settings_of(stores, "a"), first) as (of_first, ended):
            await until(lambda: alive(of_first) == ["a"])
            lease = stores[0].lease_of("nodes/a")
            async with running_fleet(tmp_path / "other", settings_of(stores, "a"), second) as (of_second, _):
                told = await until(lambda: second.told("fleet_problem"))
                assert "another process on host-of-a has its name, a" in told[0]
                assert of_second.view.problem == told[0]
                assert stores[0].lease_of("nodes/a") == lease
                ended.cancel()
                await until(lambda: stores[0].lease_of("nodes/a") not in (None, lease))
                await until(lambda: not of_second.view.problem)


async def test_a_node_that_was_killed_has_its_name_again_at_once(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        async with running_fleet(tmp_path, settings_of(stores, "a", lease_s=60), NodeDouble("a")) as (fleet, _):
            await until(lambda: alive(fleet) == ["a"])
            lease = stores[0].lease_of("nodes/a")
            await until(lambda: f'"lease":{lease}'.encode() in (tmp_path / "a.view").read_bytes())
            copy = (tmp_path / "a.view").read_bytes()
            # Another process with what the first one kept: as if that had been killed.
            (tmp_path / "after").mkdir()
            (tmp_path / "after" / "a.view").write_bytes(copy)
            again = NodeDouble("a")
            async with running_fleet(tmp_path / "after", settings_of(stores, "a", lease_s=60), again):
                await until(lambda: stores[0].lease_of("nodes/a") not in (None, lease))
                assert not again.told("fleet_problem")


async def test_a_node_whose_settings_change_is_a_member_all_the_time(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        b = NodeDouble("b")
        async with running_fleet(tmp_path, settings_of(stores, "b"), b) as (of_b, _):
            async with running_fleet(tmp_path, settings_of(stores, "a", lease_s=60), NodeDouble("a")) as (of_a, _):
                await until(lambda: alive(of_b) == alive(of_a) == ["a", "b"])
                lease = stores[0].lease_of("nodes/a")
                await until(lambda: f'"lease":{lease}'.encode() in (tmp_path / "a.view").read_bytes())
                of_a.give_way()
            async with running_fleet(tmp_path, settings_of(stores, "a", lease_s=30), NodeDouble("a")) as (of_a, _):
                await until(lambda: stores[0].lease_of("nodes/a") not in (None, lease))
                await until(lambda: is_synced(of_a) and alive(of_a) == ["a", "b"])
                assert b.members == [["b"], ["a", "b"]]
            await until(lambda: alive(of_b) == ["b"])


async def test_one_of_three_members_may_die_even_the_leader(tmp_path: Path) -> None:
    with running_stores(tmp_path, 3) as stores:
        leader = next(store for store in stores if store.is_leader())
        order = [leader, *(store for store in stores if store is not leader)]
        a, b = NodeDouble("a"), NodeDouble("b")
        async with (
            running_fleet(tmp_path, settings_of(order, "a", lease_s=10), a) as (of_a, _),
            running_fleet(tmp_path, settings_of(order[::-1], "b", lease_s=10), b) as (of_b, _),
        ):
            await until(lambda: alive(of_a) == alive(of_b) == ["a", "b"])
            leader.kill()

            async def written() -> bool:
                try:
                    await of_b.propose([intent("app/s1")], {})
                except RequestRefused:
                    return False
                return True

            with anyio.fail_after(15):
                while not await written():
                    await anyio.sleep(0.05)
            await until(lambda: a.made and b.made)
            await until(lambda: is_synced(of_a) and is_synced(of_b))
            assert a.members == b.members or a.members[-1] == b.members[-1] == ["a", "b"]


async def test_a_member_of_the_store_that_is_left_alone_is_not_believed(tmp_path: Path) -> None:
    with running_stores(tmp_path, 3) as stores:
        a = NodeDouble("a")
        async with running_fleet(tmp_path, settings_of(stores, "a", lease_s=30), a) as (fleet, _):
            await until(lambda: is_synced(fleet) and alive(fleet) == ["a"])
            for store in stores[1:]:
                store.kill()
            await until(lambda: fleet.view.state is StoreState.STALE)
            with pytest.raises(RequestRefused) as refused:
                await fleet.propose([intent("app/s1")], {})
            assert refused.value.code == "fleet_unreachable"
            assert alive(fleet) == ["a"]
            for store in stores[1:]:
                store.start()
            await until(lambda: is_synced(fleet), 30)
            assert a.members == [["a"]]


async def test_a_node_whose_lease_has_ended_joins_again(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        a = NodeDouble("a")
        async with running_fleet(tmp_path, settings_of(stores, "a", lease_s=30), a) as (fleet, _):
            await until(lambda: alive(fleet) == ["a"])
            lease = stores[0].lease_of("nodes/a")
            ask(stores[0], "lease/revoke", {"ID": lease})
            await until(lambda: stores[0].lease_of("nodes/a") not in (None, lease))
            await until(lambda: alive(fleet) == ["a"])
            assert a.members == [["a"]]


async def test_a_store_that_has_forgotten_old_revisions_is_read_again(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        a = NodeDouble("a")
        async with running_fleet(tmp_path, settings_of(stores, "a", lease_s=30), a) as (fleet, _):
            await until(lambda: alive(fleet) == ["a"])
            stores[0].freeze()
            await until(lambda: fleet.view.state is StoreState.STALE)
            stores[0].thaw()
            for at in range(5):
                stores[0].put(f"nodes/x{at}", "{}", "0")
            revision = int(ask(stores[0], "kv/range", {"key": "AA=="})["header"]["revision"])
            ask(stores[0], "kv/compaction", {"revision": str(revision)})
            await until(lambda: is_synced(fleet) and len(alive(fleet)) == 6)


async def test_a_fleet_that_does_not_run_refuses_what_is_wanted_of_all(tmp_path: Path) -> None:
    fleet = make(settings_of([], "a"), tmp_path / "a.view")
    with pytest.raises(RequestRefused, match="nothing was changed"):
        await fleet.propose([intent("app/s1")], {})
    assert fleet.view.state is StoreState.STARTING
    assert fleet.age_s is None
