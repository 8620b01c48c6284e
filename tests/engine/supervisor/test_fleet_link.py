from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import anyio
import pytest

from lbapp.engine.supervisor.fleet_link import FleetLink
from lbapp.model.fleet import ClusterSettings, Fleet, Node
from tests.engine.supervisor.fleet_support import StoreSide, joined
from tests.engine.supervisor.support import until

pytestmark = pytest.mark.anyio


async def test_a_link_that_fails_is_said_and_nothing_else_ends_with_it() -> None:
    with joined() as node:
        node.store.fails = ValueError("nobody foresaw this")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(node.link.run, cast(Node, None))
            await until(lambda: node.messages("fleet_link_ended"))
            tasks.cancel_scope.cancel()
        expected = "the link to the fleet failed: ValueError('nobody foresaw this')"
        assert node.messages("fleet_problem") == [expected]


async def test_a_link_that_is_left_is_no_failure() -> None:
    with joined() as node:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(node.link.run, cast(Node, None))
            await anyio.wait_all_tasks_blocked()
            node.link.leave()
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        assert node.messages("fleet_link_ended") == []


async def test_an_edit_that_the_store_side_knows_nothing_of_leaves_it_as_it_is() -> None:
    with joined() as node:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(node.link.run, cast(Node, None))
            await anyio.wait_all_tasks_blocked()
            node.link.take(ClusterSettings(node="lb1", ready_min=3))
            await anyio.wait_all_tasks_blocked()
            assert node.link.settings == ClusterSettings(node="lb1", ready_min=3)
            assert node.store.runs == 1
            tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("more", "keeps_place"),
    [
        ({"lease_s": 20.0}, True),
        ({"endpoints": ("http://b",)}, True),
        ({"user": "x"}, True),
        ({"name": "other"}, False),
        ({"node": "lb2"}, False),
    ],
)
async def test_a_store_side_whose_place_another_takes_does_not_leave_the_fleet(
    tmp_path: Path, more: dict[str, str | float | tuple[str, ...]], keeps_place: bool
) -> None:
    made: list[StoreSide] = []

    def make(*_: object) -> Fleet:
        made.append(StoreSide())
        return cast(Fleet, made[-1])

    with joined() as node:
        link, settings = (
            FleetLink(make, tmp_path / "fleet", node.own.events),
            ClusterSettings(node="lb1", endpoints=("http://a",)),
        )
        link.take(settings)
        link.take(replace(settings, **more))  # type: ignore[arg-type]
        assert [each.gave_way for each in made] == [int(keeps_place), 0]
        said = [
            "the store of the fleet is asked at http://b, and was at http://a: what is known holds until it has answered"
        ]
        assert node.messages("fleet_endpoints_changed") == (said if "endpoints" in more else [])
        link.leave()
        assert made[-1].gave_way == 0
