from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import anyio
import pytest

from lbapp.control.changes import ReloadDone
from lbapp.engine.supervisor.bodies import How
from lbapp.engine.supervisor.configurations import APPLIED, UNCONFIRMED, Kept, Source
from lbapp.engine.supervisor.events import Signal
from lbapp.engine.supervisor.fleet_configurations import FleetConfigurations
from lbapp.engine.supervisor.reload import Reloads
from lbapp.engine.supervisor.reload_words import check_nothing_pending, done_of
from lbapp.model.errors import RequestRefused
from lbapp.model.fleet import ConfigurationResult, FleetConfiguration, RollMode
from tests.engine.supervisor.fleet_support import Joined, joined
from tests.engine.supervisor.support import until

pytestmark = pytest.mark.anyio
PENDING = Kept(3, 1.0, "eve", "", "digest", UNCONFIRMED, 1e12)
WANTED = FleetConfiguration(number=7, by="carol", node="lb2")


@dataclass
class ReloadsDouble:
    """`refusal`: what is said instead of applying anything; `meanwhile`: what has come to serve when its turn comes."""

    path: Path
    applied: Kept | None = None
    text: str = "[engine]\nworkers = 2\n"
    refusal: RequestRefused | None = None
    meanwhile: str = ""
    asked: int = 0
    kept: list[Kept] = field(default_factory=list)
    taken: list[tuple[str, Source]] = field(default_factory=list)
    pending_changed: Signal = field(default_factory=Signal)

    def history(self) -> list[Kept]:
        return self.kept

    async def apply_text(self, made: Callable[[str], tuple[str, Source]], _how: How, _name: str) -> ReloadDone:
        self.asked += 1
        check_nothing_pending(self.applied)
        if self.refusal is not None:
            raise self.refusal
        self.taken.append(made(self.meanwhile or self.text))
        return done_of(self.applied, [], [], is_applied=True)

    def settle(self) -> None:
        self.applied = replace(PENDING, state=APPLIED)
        self.pending_changed.fire()


@contextmanager
def taking(tmp_path: Path) -> Iterator[tuple[Joined, ReloadsDouble, FleetConfigurations]]:
    with joined() as node:
        reloads = ReloadsDouble(tmp_path / "lbapp.toml")
        yield node, reloads, FleetConfigurations(cast(Reloads, reloads), node.link, node.own.events)


async def test_what_is_the_nodes_own_is_that_of_what_serves_when_its_turn_comes(tmp_path: Path) -> None:
    with taking(tmp_path) as (_, reloads, configurations):
        reloads.meanwhile = "[engine]\nworkers = 5\n"
        assert (await configurations.take(WANTED, "[engine]\nworkers = 1\n")).error == ""
        ((text, source),) = reloads.taken
        assert (text, source.fleet) == ("[engine]\nworkers = 5\n", 7)


TAKEN = Kept(4, 1.0, "carol@lb2", "", "digest", fleet=7, store="x", text="one")


@pytest.mark.parametrize(
    ("store", "number", "digest", "is_taken"),
    [
        ("x", 7, "one", False),  # it serves already
        ("x", 7, "two", True),  # the store was put back, and another was published by that number
        ("x", 6, "two", False),
        ("y", 7, "one", True),  # of another fleet, or of a store that was emptied
        ("y", 1, "two", True),
    ],
)
async def test_numbers_of_another_fleet_say_nothing_of_a_configuration(
    tmp_path: Path, store: str, number: int, digest: str, is_taken: bool
) -> None:
    with taking(tmp_path) as (node, reloads, configurations):
        node.store.view = replace(node.store.view, began=store)
        reloads.applied, reloads.kept = TAKEN, [TAKEN]
        await configurations.take(replace(WANTED, number=number, digest=digest), "[engine]\n")
        assert len(reloads.taken) == int(is_taken)
        if is_taken:
            source = reloads.taken[0][1]
            assert (source.fleet, source.store, source.text) == (number, store, digest)


async def test_a_configuration_that_an_engine_has_died_of_is_not_taken_by_the_next(tmp_path: Path) -> None:
    with taking(tmp_path) as (_, reloads, configurations):
        result = await configurations.take(WANTED, "[engine]\n", has_ended=True)
        assert (result.error, reloads.taken) == ("the engine ended while it began to serve by it", [])
        reloads.applied = replace(TAKEN, store="", text="")  # it serves, and had only not said so
        assert (await configurations.take(WANTED, "[engine]\n", has_ended=True)).error == ""


async def test_a_configuration_that_another_has_replaced_here_is_not_taken_again(tmp_path: Path) -> None:
    with taking(tmp_path) as (node, reloads, configurations):
        node.store.view = replace(node.store.view, began="x")
        reloads.applied, reloads.kept = PENDING, [TAKEN, PENDING]
        result = await configurations.take(replace(WANTED, digest="one"), "[engine]\n")
        assert result.error == "it was taken here, and another was applied on this node after it"


@pytest.mark.parametrize("code", ["stopping", "reloaded"])
async def test_an_engine_on_its_way_out_says_nothing_of_a_configuration(tmp_path: Path, code: str) -> None:
    with taking(tmp_path) as (node, reloads, configurations):
        reloads.refusal = RequestRefused(code, "not now")
        results: list[ConfigurationResult] = []
        async with anyio.create_task_group() as tasks:

            async def take() -> None:
                results.append(await configurations.take(WANTED, ""))

            tasks.start_soon(take)
            await until(lambda: reloads.asked)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        assert results == []
        assert node.messages("configuration_of_fleet_refused") == []


@pytest.mark.parametrize("newest", [7, 8])
async def test_a_configuration_waits_until_the_one_before_is_confirmed(tmp_path: Path, newest: int) -> None:
    with taking(tmp_path) as (node, reloads, configurations):
        reloads.applied = PENDING
        results: list[ConfigurationResult] = []
        async with anyio.create_task_group() as tasks:

            async def take() -> None:
                results.append(await configurations.take(WANTED, "[engine]\n"))

            tasks.start_soon(take)
            await until(lambda: node.messages("configuration_of_fleet_waits"))
            node.store.view = replace(node.store.view, configuration=replace(WANTED, number=newest))
            assert (results, reloads.taken) == ([], [])
            reloads.settle()
        is_newest = newest == WANTED.number
        assert (results[0].error == "", len(reloads.taken)) == (is_newest, int(is_newest))


async def test_a_roll_ends_where_a_configuration_waits_to_be_confirmed(tmp_path: Path) -> None:
    with taking(tmp_path) as (_, reloads, configurations):
        reloads.applied = PENDING
        result = await configurations.take(replace(WANTED, mode=RollMode.ROLLING), "")
        assert result.error == "configuration 3 is not confirmed yet"
