"""Keeping moments while the disk takes them, and while it does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from lbapp.control.recall import Past, status_at
from lbapp.engine.supervisor import history_keeper as subject
from lbapp.engine.supervisor.events import Events
from lbapp.engine.supervisor.history_keeper import HistoryKeeper, Recorded
from lbapp.model.amounts import Amounts, Subject
from lbapp.model.history import Node
from lbapp.model.history_file import Ring
from tests.engine.supervisor.support import until
from tests.engine.supervisor.test_history_file import table

pytestmark = pytest.mark.anyio


def recorded(at: float, requests: int = 5) -> Recorded:
    counted = {Subject("server", "app/s0"): Amounts(requests, 0, (0, 0, 0, requests << (64 * 100)))}
    return Recorded(Ring.SECONDS, at, 1.0, Node(None, None, 1), table(), counted, {})


@asynccontextmanager
async def keeping(path: Path, events: Events) -> AsyncIterator[HistoryKeeper]:
    keeper = HistoryKeeper(path, events)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keeper.run)
        yield keeper
        tasks.cancel_scope.cancel()
    keeper.finish()


def on_disk(path: Path) -> list[float]:
    return [at for at, _ in Past.in_file(path.read_bytes()).moments[Ring.SECONDS]] if path.is_file() else []


async def test_moments_are_on_disk_soon_and_what_is_left_at_the_end(tmp_path: Path) -> None:
    path, events = tmp_path / "history", Events()
    async with keeping(path, events) as keeper:
        keeper.keep(recorded(1.0))
        await until(lambda: on_disk(path) == [1.0])
        found = status_at(await keeper.past(), 1.0)
        assert found["pools"][0]["servers"][0]["requests"] == 5
        keeper.keep(recorded(2.0))
    assert on_disk(path) == [1.0, 2.0]
    assert events.after(0) == []


async def test_history_that_cannot_be_written_stays_in_memory_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "HISTORY_RETRY_S", 0.0)
    path, events = tmp_path / "folder" / "history", Events()
    (tmp_path / "folder").write_text("in the way")
    async with keeping(path, events) as keeper:
        for at in (1.0, 2.0):
            keeper.keep(recorded(at))
        await until(lambda: len(events.after(0)) == 1)
        assert events.after(0)[0]["kind"] == "history_not_written"
        assert "File exists; it is kept in memory meanwhile" in events.after(0)[0]["message"]
        assert [at for at, _ in (await keeper.past()).moments[Ring.SECONDS]] == [1.0, 2.0]
        assert status_at(await keeper.past(), 2.0)["pools"][0]["servers"][0]["requests"] == 5
        (tmp_path / "folder").unlink()
        keeper.keep(recorded(3.0))
        await until(lambda: on_disk(path) == [1.0, 2.0, 3.0])
        await until(lambda: [event["kind"] for event in events.after(0)][1:] == ["history_written"])


async def test_keeper_that_is_paused_leaves_the_file_to_another_engine(tmp_path: Path) -> None:
    path, events = tmp_path / "history", Events()
    async with keeping(path, events) as keeper, keeping(path, events) as other:
        keeper.keep(recorded(1.0))
        await keeper.pause()
        keeper.keep(recorded(2.0))
        other.keep(recorded(3.0))
        await until(lambda: on_disk(path) == [1.0, 3.0])
        await other.pause()
        keeper.go_on()
        keeper.keep(recorded(4.0))
        await until(lambda: on_disk(path) == [1.0, 3.0, 4.0])
    assert events.after(0) == []
