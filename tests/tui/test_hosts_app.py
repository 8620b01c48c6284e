from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from lbapp.control.hosts import place_of
from lbapp.control.ssh import Link
from lbapp.tui.dressed import Look
from lbapp.tui.glyphs import FULL
from lbapp.tui.hosts_app import HostsConsole
from lbapp.tui.hosts_watch import HostsWatch
from lbapp.tui.tones import plain
from tests.tui.console import SIZE, screen_text
from tests.tui.engine_double import EngineDouble, answering
from tests.tui.fleet_double import ALONE, member

pytestmark = pytest.mark.anyio
DEADLINE_PAUSES = 750


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def sockets(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Two engines that are in no fleet."""
    one, two = EngineDouble(), EngineDouble()
    two.fleet.status = {**ALONE, "node": "node-b", "members": [member("node-b", is_self=True)]}
    with answering(one, tmp_path / "a"), answering(two, tmp_path / "b"):
        yield tmp_path / "a", tmp_path / "b"


async def until_shown(pilot: Pilot[None], text: str) -> None:
    app: Any = pilot.app
    for _ in range(DEADLINE_PAUSES):
        if text in screen_text(app):
            return
        await pilot.pause(0.02)
    raise AssertionError(screen_text(app))


@pytest.mark.parametrize("size", [SIZE, (120, 40)])
async def test_nodes_of_all_hosts_stand_together_and_a_silent_one_says_why(
    sockets: tuple[Path, Path], tmp_path: Path, size: tuple[int, int]
) -> None:
    with HostsWatch([*sockets, tmp_path / "none"]) as watch:
        console = HostsConsole(watch, Look("dark", FULL))
        async with console.run_test(size=size) as pilot:
            for text in (
                "3 hosts, each asked by itself  RO  2 of 3 nodes ready",
                "together 1960 req/s  420 connections",
                "▲ node-a",
                "▲ node-b",
                "GONE",
                "Enter opens its console",
                "carries     980 req/s",
            ):
                await until_shown(pilot, text)
            assert "none never heard: no engine answers" in plain(console.hosts._head.lines[1])


async def test_host_that_cannot_be_gone_to_is_a_problem_of_its_own_and_none_waits_for_another(
    sockets: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(50)  # more than there are threads by themselves

    def ensure(_link: Link) -> None:
        together.wait(10)
        raise FileNotFoundError("no ssh here")

    monkeypatch.setattr(Link, "ensure", ensure)
    with HostsWatch([sockets[0], *(place_of(f"ssh://lb{number}") for number in range(50))]) as watch:
        console = HostsConsole(watch, Look("dark", FULL))
        async with console.run_test(size=(120, 70)) as pilot:
            await until_shown(pilot, "▲ node-a")
            await until_shown(pilot, "never heard: no ssh here")
        assert [each.problem for each in watch.answers][1:] == ["no ssh here"] * 50


async def test_collector_that_was_off_for_the_start_is_on_again_behind_it(
    sockets: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    settled: list[bool] = []
    monkeypatch.setattr("lbapp.tui.hosts_app.STARTED_S", 0.01)
    monkeypatch.setattr("lbapp.tui.hosts_app.settle", lambda: settled.append(True))
    with HostsWatch(sockets) as watch:
        async with HostsConsole(watch, Look("dark", FULL)).run_test(size=SIZE) as pilot:
            for _ in range(DEADLINE_PAUSES):
                if settled:
                    break
                await pilot.pause(0.02)
    assert settled == [True]


async def test_host_that_falls_silent_keeps_its_place_and_its_age_grows(tmp_path: Path) -> None:
    with HostsWatch([tmp_path / "a"]) as watch, answering(EngineDouble(), tmp_path / "a"):
        console = HostsConsole(watch, Look("dark", FULL))
        async with console.run_test(size=SIZE) as pilot:
            await until_shown(pilot, "▲ node-a")
            (tmp_path / "a").unlink()
            await until_shown(pilot, "▼ node-a")
            await until_shown(pilot, "silent for")


async def test_enter_chooses_the_host_under_the_cursor_and_q_none(sockets: tuple[Path, Path]) -> None:
    with HostsWatch(sockets) as watch:
        console = HostsConsole(watch, Look("dark", FULL))
        async with console.run_test(size=SIZE) as pilot:
            await until_shown(pilot, "node-b")
            await pilot.press("down", "enter")
            await pilot.pause()
        assert console.hosts.chosen is watch.hosts[1]
        assert console.hosts.chosen.origin == sockets[1]
        other = HostsConsole(watch, Look("dark", FULL))
        async with other.run_test(size=SIZE) as pilot:
            await until_shown(pilot, "node-b")
            await pilot.press("q")
            await pilot.pause()
        assert (other.hosts.chosen, other.is_ended) == (None, False)
