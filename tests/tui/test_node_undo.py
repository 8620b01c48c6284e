"""`z` after the drain of another node, on real engines: it is taken back there, or it is said why it is not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from lbapp.tui.app import LbappConsole
from tests.engine.supervisor.folder_fleet import Folder
from tests.system.fleet_nodes import FleetNode, fleet_of
from tests.tui.console import until, until_shown
from tests.tui.test_fleet_acting import until_said

pytestmark = [pytest.mark.anyio, pytest.mark.system]
SIZE = (100, 30)
NODE = "/v1/node"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[tuple[Folder, FleetNode, FleetNode]]:
    with fleet_of(tmp_path, "lb1", "lb2", cluster="ready_min = 0\n") as (store, nodes):
        yield store, nodes["lb1"], nodes["lb2"]


def is_draining(node: FleetNode) -> bool:
    return node.ask("GET", "/v1/ready").status_code == 503


def as_known(node: FleetNode, name: str) -> bool:
    """Say whether a node drains, as another one knows it."""
    members = node.get("/v1/fleet")["members"]
    return any(each["name"] == name and each["state"] and each["state"]["drain"] for each in members)


@asynccontextmanager
async def drained_by_key(at: FleetNode, node: FleetNode) -> AsyncIterator[Pilot[None]]:
    """Open the console at a node, and drain the second of its list by a key; it knows of that when the block begins."""
    async with LbappConsole(at.control).run_test(size=SIZE) as pilot:
        await until_shown(pilot, "LIVE")
        await pilot.press("7")
        await until_shown(pilot, "lb2")
        await pilot.press("down", "N")
        await until_shown(pilot, "Drain node lb2?")
        await until_shown(pilot, "nodes is ready then")
        await pilot.press("y")
        await until_said(pilot, "lb2 drains")
        await until(pilot, lambda: is_draining(node))
        await until(pilot, lambda: as_known(at, "lb2"))
        yield pilot


async def test_the_drain_of_another_node_is_taken_back_there_by_the_key_and_made_again_by_the_other(
    fleet: tuple[Folder, FleetNode, FleetNode],
) -> None:
    _, lb1, lb2 = fleet
    async with drained_by_key(lb1, lb2) as pilot:
        await until_shown(pilot, "undo z: drain node/lb2")
        await pilot.press("z")
        await until_said(pilot, "undone: node/lb2: state DRAIN -> READY")
        await until(pilot, lambda: not is_draining(lb2))
        assert not is_draining(lb1)
        await pilot.press("Z")
        await until_said(pilot, "done again: drain node/lb2")
        await until(pilot, lambda: is_draining(lb2))
        assert not is_draining(lb1)


async def test_what_somebody_has_ended_at_the_node_itself_is_not_taken_back_and_that_is_said(
    fleet: tuple[Folder, FleetNode, FleetNode],
) -> None:
    _, lb1, lb2 = fleet
    async with drained_by_key(lb1, lb2) as pilot:
        lb2.patch(NODE, {"state": "ready"})
        await until(pilot, lambda: not as_known(lb1, "lb2"))
        number = lb2.get("/v1/changes")["actions"][-1]["number"]
        await pilot.press("z")
        await until_said(pilot, "! node/lb2 has state ready now, not drain")
        assert not is_draining(lb2)
        assert lb2.get("/v1/changes")["actions"][-1]["number"] == number


async def test_while_the_store_is_silent_it_is_not_taken_back_and_that_is_said(
    fleet: tuple[Folder, FleetNode, FleetNode],
) -> None:
    store, lb1, lb2 = fleet
    async with drained_by_key(lb1, lb2) as pilot:
        store.take_down()
        await until(pilot, lambda: lb1.get("/v1/fleet")["state"] == "stale")
        await pilot.press("z")
        await until_said(pilot, "! the store does not answer; nothing was changed")
        assert is_draining(lb2)
        store.bring_back()
        await until(pilot, lambda: lb1.get("/v1/fleet")["state"] == "synced")
        await pilot.press("z")
        await until_said(pilot, "undone: node/lb2")
        await until(pilot, lambda: not is_draining(lb2))
