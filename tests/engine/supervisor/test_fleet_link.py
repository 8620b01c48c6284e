from __future__ import annotations

from typing import cast

import anyio
import pytest

from lbapp.model.fleet import Node
from tests.engine.supervisor.fleet_support import joined
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
