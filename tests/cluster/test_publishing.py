"""Configurations that were deleted by hand, or that a later version wrote: what publishing and stopping make of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from lbapp.cluster import values
from lbapp.model.errors import RequestRefused
from lbapp.model.fleet import ConfigurationResult, FleetConfiguration, RollMode
from tests.cluster.harness import Store, needs_etcd, running_stores, until
from tests.cluster.test_rolling import AT_ONCE, ROLL, nodes

pytestmark = [pytest.mark.anyio, pytest.mark.system, needs_etcd]
CURRENT = "configuration/current"


def more_in(store: Store, key: str, **more: object) -> dict[str, object]:
    """Have a later version say more there; return the whole."""
    whole: dict[str, object] = {**json.loads(store.value_of(key) or ""), **more}
    store.put(key, json.dumps(whole))
    return whole


async def test_after_the_configuration_was_deleted_the_next_one_is_published_and_taken_by_all(tmp_path: Path) -> None:
    with running_stores(tmp_path) as (store,):
        async with nodes(tmp_path, [store], "a", "b") as (a, b):
            first = await a.fleet.publish(AT_ONCE, "one")
            await until(lambda: a.numbers == b.numbers == [1])
            store.delete(CURRENT)
            with pytest.raises(
                RequestRefused, match=r"as it was seen \(revision \d+\) was deleted from the store.*nothing"
            ):
                await a.fleet.publish(replace(AT_ONCE, revision=first.revision), "two")
            await until(lambda: not a.fleet.view.configuration.number and not b.fleet.view.configuration.number)
            assert a.numbers == b.numbers == [1]
            assert "was deleted from the store" in a.fleet.view.problem
            assert len(a.node.told("fleet_problem")) == len(b.node.told("fleet_problem")) == 1
            with pytest.raises(RequestRefused, match="no configuration is rolling"):
                await a.fleet.stop_roll("why", "alice")
            written = await b.fleet.publish(AT_ONCE, "two")
            assert written.number == 2
            await until(lambda: a.numbers == b.numbers == [1, 2])
            await until(lambda: a.fleet.view.problem == b.fleet.view.problem == "")


async def test_where_all_but_the_texts_was_deleted_numbers_go_on_behind_them(tmp_path: Path) -> None:
    with running_stores(tmp_path) as (store,):
        async with nodes(tmp_path, [store], "a") as (a,):
            for text in ("one", "two"):
                revision = a.fleet.view.configuration.revision
                number = (await a.fleet.publish(replace(AT_ONCE, revision=revision), text)).number
                await until(lambda number=number: a.fleet.view.configuration.number == number)  # type: ignore[misc]
        store.delete("configuration/", with_all_below=True)
        (tmp_path / "a.view").unlink()
        async with nodes(tmp_path, [store], "a") as (a,):
            assert (await a.fleet.publish(AT_ONCE, "three")).number == 3
            await until(lambda: a.node.configurations == [(3, "three")])
            assert await a.fleet.text_of(2) == "two"


async def test_who_moves_and_who_stops_a_roll_leave_what_a_later_version_says_of_it(tmp_path: Path) -> None:
    with running_stores(tmp_path) as (store,):
        async with nodes(tmp_path, [store], "a", "b", "c") as (a, b, c):
            gates = a.node.gates[1], b.node.gates[1] = anyio.Event(), anyio.Event()
            await a.fleet.publish(ROLL, "text")
            await until(lambda: a.numbers == [1])
            whole = more_in(store, CURRENT, canary={"share": 5, "of": ["a"]})
            gates[0].set()
            await until(lambda: b.numbers == [1])
            assert json.loads(store.value_of(CURRENT) or "") == {**whole, "reached": 2}
            stopped = await c.fleet.stop_roll("looks bad", "bob")
            assert json.loads(store.value_of(CURRENT) or "") == {**whole, "reached": 2, "stopped": stopped.stopped}
            gates[1].set()
            await until(lambda: not c.fleet.view.results["b"].has_only_begun)
            assert c.numbers == []
            for each in (a, b, c):
                (said,) = each.node.told("fleet_not_understood")
                assert said.startswith(
                    "/lbapp/f/configuration/current, which a (lbapp 0.1) has written, says more than is known"
                )


async def test_a_configuration_of_a_kind_that_is_not_known_is_neither_written_over_nor_stopped(tmp_path: Path) -> None:
    with running_stores(tmp_path) as (store,):
        async with nodes(tmp_path, [store], "a") as (a,):
            await a.fleet.publish(AT_ONCE, "one")
            await until(lambda: a.numbers == [1])
            later = {**json.loads(store.value_of(CURRENT) or ""), "number": 2, "mode": "canary", "node": "b"}
            store.put(CURRENT, json.dumps(later))
            (said,) = await until(lambda: a.node.told("fleet_nonsense"))
            assert (
                said
                == "/lbapp/f/configuration/current, which b has written, is passed over: it.mode is none of all, rolling"
            )
            for ask_for in (a.fleet.publish(replace(AT_ONCE, revision=a.fleet.view.configuration.revision), "x"),
                            a.fleet.stop_roll("why", "alice")):  # fmt: skip
                with pytest.raises(RequestRefused, match="that b has published is none that this version") as refused:
                    await ask_for
                assert refused.value.code == "not_understood"
            assert json.loads(store.value_of(CURRENT) or "") == later
            assert (a.numbers, a.fleet.view.configuration.number) == ([1], 1)


async def test_a_node_says_that_it_begins_also_where_all_take_it_at_once_and_knows_if_it_was_away(
    tmp_path: Path,
) -> None:
    with running_stores(tmp_path) as (store,):
        async with nodes(tmp_path, [store], "a") as (a,):
            a.node.gates[1] = gate = anyio.Event()
            written = await a.fleet.publish(FleetConfiguration(by="alice"), "text")
            begun = await until(lambda: a.fleet.view.results.get("a"))
            assert begun is not None
            assert (begun.number, begun.has_only_begun, written.mode) == (1, True, RollMode.ALL)
            gate.set()
            await until(lambda: not a.fleet.view.results["a"].has_only_begun)
            async with nodes(tmp_path, [store], "b") as (b,):
                await until(lambda: b.numbers == [1])
                assert (a.node.late, b.node.late) == ([], [1])


async def test_a_configuration_at_once_that_a_node_has_ended_with_is_taken_again(tmp_path: Path) -> None:
    with running_stores(tmp_path) as (store,):
        async with nodes(tmp_path, [store], "a") as (a,):
            await a.fleet.publish(AT_ONCE, "text")
            await until(lambda: a.numbers == [1])
            begun = values.result(ConfigurationResult(1, "b", 1.0, has_only_begun=True))
            store.put("configuration/result/b", begun.decode())
            async with nodes(tmp_path, [store], "b") as (b,):
                await until(lambda: b.numbers == [1])
                await until(lambda: not b.fleet.view.results["b"].has_only_begun)
                assert b.fleet.view.results["b"].error == ""
