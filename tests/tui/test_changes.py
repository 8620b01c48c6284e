from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from lbapp.tui.changes import Changes, Outcome
from lbapp.tui.feed import Feed
from tests.tui.engine_double import EngineDouble, answering

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Desk:
    """A feed with one status, the changes on it, and what they told."""

    def __init__(self, socket: Path) -> None:
        self.double = EngineDouble()
        self.ready = anyio.Event()
        self.feed = Feed(socket, self.ready.set)
        self.told: list[Outcome] = []
        self.changes = Changes(self.feed, self.told.append)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path / "s")
    with answering(made.double, tmp_path / "s"):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(made.feed.run)
            with anyio.fail_after(10):
                await made.ready.wait()
            tasks.cancel_scope.cancel()
        yield made


async def test_weights_asked_for_in_a_row_add_up(desk: Desk) -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(desk.changes.add_weight, "app/s1", -10)
    assert [patch["weight"] for _, patch in desk.double.patches] == [90, 80, 70]
    assert all(desk.double.forced)  # the console asks by itself before it takes servers away


async def test_steps_never_take_the_last_weight_away(desk: Desk) -> None:
    await desk.changes.set_weight("app/s1", 5)
    await desk.changes.add_weight("app/s1", -10)
    await desk.changes.add_weight("app/s1", -10)
    assert desk.double.servers[0]["weight"] == 1
    assert "stays at weight 1" in desk.told[-1].message


async def test_undo_goes_back_unless_somebody_else_changed_the_server(desk: Desk) -> None:
    await desk.changes.set_state("app/s1", "maint")
    await desk.changes.undo()
    assert desk.double.patches[-1] == ("app/s1", {"state": "ready"})
    await desk.changes.undo()
    assert desk.told[-1] == Outcome("there is nothing to undo", is_refused=True)
    await desk.changes.set_state("app/s1", "maint")
    other = desk.double.servers[0]
    other["admin"] = "drain"
    desk.feed.adopt(other)
    await desk.changes.undo()
    assert desk.told[-1] == Outcome("app/s1 was changed by alice since; nothing undone", is_refused=True)


async def test_change_that_changes_nothing_says_so(desk: Desk) -> None:
    await desk.changes.set_state("app/s1", "ready")
    assert desk.told[-1] == Outcome("app/s1 is so already: READY, weight 100")


async def test_server_that_is_gone_and_a_refusal_are_told(desk: Desk) -> None:
    await desk.changes.set_state("app/none", "drain")
    desk.double.refuses_with = ("no\x1b", "try later")
    await desk.changes.set_state("app/s1", "drain")
    refused = [outcome.message for outcome in desk.told if outcome.is_refused]
    assert refused == ["app/none is not there any more", "no·. try later"]


async def test_change_is_told_before_the_engine_has_answered(desk: Desk) -> None:
    await desk.changes.set_state("app/s1", "drain")
    assert [outcome.message for outcome in desk.told] == [
        "app/s1: asking for state DRAIN",
        "app/s1: state READY -> DRAIN   (z undoes)",
    ]


async def test_what_was_undone_offers_no_undo(desk: Desk) -> None:
    await desk.changes.set_weight("app/s1", 50)
    await desk.changes.undo()
    assert desk.told[-1] == Outcome("undone: app/s1: weight 50 -> 100")
