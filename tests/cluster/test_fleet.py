"""Nodes that share a real etcd: members, intents, and what becomes of both when the store fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbapp.model.fleet import FleetConfiguration, RollMode
from tests.cluster.harness import alive, is_synced, needs_etcd, running_fleet, running_stores, settings_of, until
from tests.cluster.node_double import NodeDouble, intent

pytestmark = [pytest.mark.anyio, pytest.mark.system, needs_etcd]


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
                await until(lambda: alive(of_a) == ["a"], 5)  # long before its lease would have ended
            assert a.members == [["a"], ["a", "b"], ["a"]]
            assert not of_a.view.members["b"].is_alive


async def test_an_intent_set_at_one_node_is_made_by_all(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        a, b = NodeDouble("a"), NodeDouble("b")
        async with (
            running_fleet(tmp_path, settings_of(stores, "a"), a) as (of_a, _),
            running_fleet(tmp_path, settings_of(stores, "b"), b) as (of_b, _),
        ):
            await until(lambda: is_synced(of_a) and is_synced(of_b))
            written = await of_a.propose([intent("app/s1")], {})
            await until(lambda: b.made and a.made)
            assert a.made == b.made == written
            assert written[0].revision > 0


async def test_a_configuration_rolls_from_node_to_node(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        a, b = NodeDouble("a"), NodeDouble("b")
        async with (
            running_fleet(tmp_path, settings_of(stores, "a"), a) as (of_a, _),
            running_fleet(tmp_path, settings_of(stores, "b"), b) as (of_b, _),
        ):
            await until(lambda: alive(of_a) == alive(of_b) == ["a", "b"])
            wanted = FleetConfiguration(mode=RollMode.ROLLING, by="alice")
            written = await of_a.publish(wanted, "text")
            assert (written.number, written.order, written.reached) == (1, ("a", "b"), 1)
            await until(lambda: of_a.view.results.keys() == {"a", "b"})
            assert a.configurations == b.configurations == [(1, "text")]
            assert await of_b.text_of(1) == "text"
