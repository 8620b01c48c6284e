"""Configurations of a fleet with a real store: at once, node by node, stopped, and with nodes that come and go meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import pytest

from lbapp.cluster import values
from lbapp.cluster.fleet import StoreFleet
from lbapp.model.errors import RequestRefused
from lbapp.model.file_digest import file_digest
from lbapp.model.fleet import ConfigurationResult, FleetConfiguration, RollMode, StoreState
from lbapp.model.limits import FLEET_TEXT_BYTES_MAX, FLEET_TEXTS_KEPT
from tests.cluster.harness import Store, alive, ask, needs_etcd, running_fleet, running_stores, settings_of, until
from tests.cluster.node_double import NodeDouble

pytestmark = [pytest.mark.anyio, pytest.mark.system, needs_etcd]
AT_ONCE = FleetConfiguration(by="alice", reason="a reason")
ROLL = FleetConfiguration(mode=RollMode.ROLLING, by="alice")


class Running:
    """A node that runs, until it is ended."""

    def __init__(self, node: NodeDouble, fleet: StoreFleet, scope: anyio.CancelScope) -> None:
        self.node, self.fleet, self.scope = node, fleet, scope

    @property
    def numbers(self) -> list[int]:
        return [number for number, _ in self.node.configurations]


def done(running: Running) -> set[str]:
    """Return the nodes of which one knows what came of a configuration."""
    return {name for name, each in running.fleet.view.results.items() if not each.has_only_begun}


@asynccontextmanager
async def nodes(folder: Path, stores: list[Store], *names: str) -> AsyncIterator[list[Running]]:
    async with AsyncExitStack() as stack:
        running = []
        for name in names:
            node = NodeDouble(name)
            fleet, scope = await stack.enter_async_context(running_fleet(folder, settings_of(stores, name), node))
            running.append(Running(node, fleet, scope))
        # Alive alone is not enough: what was kept on disk says so before the store has answered.
        await until(
            lambda: all(
                each.fleet.view.state is StoreState.SYNCED and set(names) <= set(alive(each.fleet)) for each in running
            )
        )
        yield running


async def test_a_configuration_at_once_is_taken_by_all_that_live_and_by_who_comes_later(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        async with nodes(tmp_path, stores, "a", "b") as (a, b):
            written = await a.fleet.publish(AT_ONCE, "text")
            assert (written.number, written.node, written.digest) == (1, "a", file_digest(b"text"))
            await until(lambda: done(a) == done(b) == {"a", "b"})
            assert a.node.configurations == b.node.configurations == [(1, "text")]
            assert b.fleet.view.configuration == written
            async with nodes(tmp_path, stores, "c") as (c,):
                await until(lambda: c.numbers == [1])
            assert await b.fleet.text_of(1) == "text"
            with pytest.raises(RequestRefused, match="has no configuration 2") as refused:
                await b.fleet.text_of(2)
            assert refused.value.status == 404


async def test_a_roll_goes_from_node_to_node_and_a_node_takes_it_once(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        async with nodes(tmp_path, stores, "a", "b", "c") as (a, b, c):
            b.node.gates[1] = gate = anyio.Event()
            written = await c.fleet.publish(ROLL, "text")
            assert (written.order, written.reached) == (("a", "b", "c"), 1)
            await until(lambda: a.numbers == b.numbers == [1])
            with pytest.raises(RequestRefused, match="configuration 1 is at node 2 of 3 of its roll") as refused:
                await a.fleet.publish(AT_ONCE, "other")
            assert refused.value.code == "rolling"
            assert c.numbers == []
            gate.set()
            await until(lambda: done(c) == {"a", "b", "c"})
            assert a.numbers == b.numbers == c.numbers == [1]
            with pytest.raises(RequestRefused, match="no configuration is rolling"):
                await a.fleet.stop_roll("why", "alice")


async def test_an_error_ends_a_roll_and_says_where(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        async with nodes(tmp_path, stores, "a", "b", "c") as (a, b, c):
            b.node.errors[1] = "line 3: no such pool"
            await a.fleet.publish(ROLL, "text")
            await until(lambda: c.fleet.view.configuration.stopped)
            assert c.fleet.view.configuration.stopped == "b does not serve by it: line 3: no such pool"
            assert c.fleet.view.results["b"].error == "line 3: no such pool"
            assert c.numbers == []
            # The next one goes to all, and begins with who has seen the last.
            seen = a.fleet.view.configuration.revision
            await until(lambda: a.fleet.view.configuration.stopped)
            await a.fleet.publish(FleetConfiguration(by="alice", revision=a.fleet.view.configuration.revision), "good")
            await until(lambda: c.numbers == [2])
            assert seen <= a.fleet.view.configuration.revision


async def test_a_roll_that_was_stopped_goes_no_further(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        async with nodes(tmp_path, stores, "a", "b") as (a, b):
            a.node.gates[1] = gate = anyio.Event()
            await a.fleet.publish(ROLL, "text")
            await until(lambda: a.numbers == [1])
            stopped = await b.fleet.stop_roll("looks bad", "bob")
            assert stopped.stopped == "bob at b has stopped it: looks bad"
            gate.set()
            await until(lambda: "a" in done(b))
            await a.fleet.propose([], {})
            assert b.numbers == []
            assert b.fleet.view.configuration.reached == 1


async def test_a_roll_goes_on_without_who_published_it_and_passes_over_who_is_gone(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        async with nodes(tmp_path, stores, "a", "b", "c") as (a, b, c):
            a.node.gates[1] = anyio.Event()  # a is gone before it can say what came of it
            await a.fleet.publish(ROLL, "text")
            await until(lambda: a.numbers == [1])
            a.scope.cancel()
            await until(lambda: done(c) == {"b", "c"})
            assert b.numbers == c.numbers == [1]
            async with nodes(tmp_path, stores, "a") as (again,):
                await until(lambda: again.numbers == [1])
                await until(lambda: "a" in done(b))


async def test_a_roll_stops_at_a_node_that_dies_of_it_and_that_node_does_not_take_it_again(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        async with nodes(tmp_path, stores, "a", "c") as (a, c):
            # As b stands in the store while it begins; it is killed, so that its lease ends by itself.
            lease = ask(stores[0], "lease/grant", {"TTL": "2"})["ID"]
            stores[0].put("nodes/b", "{}", lease)
            await until(lambda: "b" in alive(a.fleet))
            await a.fleet.publish(ROLL, "text")
            await until(lambda: c.fleet.view.configuration.reached == 2)
            begun = values.result(ConfigurationResult(1, "b", 1.0, has_only_begun=True))
            stores[0].put("configuration/result/b", begun.decode())
            await until(lambda: c.fleet.view.configuration.stopped)
            assert c.fleet.view.configuration.stopped == "b is gone since it began to serve by it"
            assert c.numbers == []


async def test_a_node_that_is_back_before_its_lease_has_ended_does_not_take_what_it_has_died_of(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        async with nodes(tmp_path, stores, "a") as (a,):
            a.node.gates[1] = anyio.Event()
            lease = ask(stores[0], "lease/grant", {"TTL": "60"})["ID"]
            stores[0].put("nodes/b", "{}", lease)
            await until(lambda: "b" in alive(a.fleet))
            await a.fleet.publish(ROLL, "text")
            await until(lambda: "a" in a.fleet.view.results)
            assert a.fleet.view.results["a"].has_only_begun
            begun = values.result(ConfigurationResult(1, "b", 1.0, has_only_begun=True))
            stores[0].put("configuration/result/b", begun.decode())
            ask(stores[0], "lease/revoke", {"ID": lease})
            async with nodes(tmp_path, stores, "b") as (b,):
                a.node.gates[1].set()
                await until(lambda: a.fleet.view.configuration.stopped)
                assert b.numbers == []


async def test_a_node_that_leaves_in_order_while_it_begins_takes_it_when_it_is_back(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        async with nodes(tmp_path, stores, "a") as (a,):
            a.node.gates[1] = anyio.Event()
            await a.fleet.publish(ROLL, "text")
            await until(lambda: a.numbers == [1] and stores[0].has("configuration/result/a"))
            a.scope.cancel()
            await until(lambda: not stores[0].has("configuration/result/a"))
        async with nodes(tmp_path, stores, "a") as (again,):
            await until(lambda: again.numbers == [1])


async def test_two_that_publish_at_once_are_one_and_a_refusal_that_says_who(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        async with nodes(tmp_path, stores, "a", "b") as (a, b):
            outcomes: list[RequestRefused] = []

            async def publish(running: Running) -> None:
                try:
                    await running.fleet.publish(AT_ONCE, running.node.name)
                except RequestRefused as error:
                    outcomes.append(error)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(publish, a)
                tasks.start_soon(publish, b)
            assert [each.code for each in outcomes] == ["changed"]
            assert "configuration 1 was published by alice at" in outcomes[0].message
            await until(lambda: a.node.configurations == b.node.configurations != [])


async def test_a_node_that_comes_back_does_not_take_again_what_it_took(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        async with nodes(tmp_path, stores, "a") as (a,):
            a.node.errors[1] = "no"
            await a.fleet.publish(AT_ONCE, "text")
            await until(lambda: done(a))
        async with nodes(tmp_path, stores, "a") as (again,):
            revision = again.fleet.view.configuration.revision
            await again.fleet.publish(FleetConfiguration(by="alice", revision=revision), "next")
            await until(lambda: again.numbers == [2])


async def test_the_result_is_written_however_long_the_store_is_away(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        async with nodes(tmp_path, stores, "a") as (a,):
            a.node.gates[1] = gate = anyio.Event()
            await a.fleet.publish(AT_ONCE, "text")
            await until(lambda: a.numbers == [1])
            stores[0].kill()
            gate.set()
            stores[0].start()
            await until(lambda: done(a))
            assert a.numbers == [1]


async def test_a_text_that_was_changed_in_the_store_is_not_served(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        async with nodes(tmp_path, stores, "a", "b") as (a, b):
            a.node.gates[1] = gate = anyio.Event()
            await a.fleet.publish(ROLL, "text")
            await until(lambda: a.numbers == [1])
            stores[0].put("texts/0000000001", "another")
            gate.set()
            await until(lambda: b.fleet.view.configuration.stopped)
            assert "is not the one that was published" in b.fleet.view.results["b"].error
            assert b.numbers == []


async def test_only_the_last_texts_are_kept_and_long_ones_are_refused(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        async with nodes(tmp_path, stores, "a") as (a,):
            with pytest.raises(RequestRefused, match="has 1000001 bytes") as refused:
                await a.fleet.publish(AT_ONCE, "x" * (FLEET_TEXT_BYTES_MAX + 1))
            assert (refused.value.code, refused.value.status) == ("too_long", 413)
            revision = 0
            for number in range(1, FLEET_TEXTS_KEPT + 3):
                text = "x" * FLEET_TEXT_BYTES_MAX if number == FLEET_TEXTS_KEPT else f"text {number}"
                written = await a.fleet.publish(FleetConfiguration(by="alice", revision=revision), text)
                revision = written.revision
                await until(lambda number=number: a.numbers[-1:] == [number])  # type: ignore[misc]
            assert await a.fleet.text_of(3) == "text 3"
            assert len(await a.fleet.text_of(FLEET_TEXTS_KEPT)) == FLEET_TEXT_BYTES_MAX
            with pytest.raises(RequestRefused, match="The last 20 are kept"):
                await a.fleet.text_of(2)
