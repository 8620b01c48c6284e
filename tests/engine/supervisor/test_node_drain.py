from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from lbapp.control.messages import NodeDrainStatus
from lbapp.engine.channel import CutOff, SendAway
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.supervisor.node_drain import NodeDrain
from tests.engine.supervisor.support import Parts, parts, until
from tests.engine.supervisor.test_reports import ANNOUNCE, DNS

pytestmark = pytest.mark.anyio


def connected(own: Parts, count: int) -> None:
    segment = own.running.segment
    segment.cells[segment.layout.listener(0, 0) + at.LISTENER_CONNECTIONS] = count


def status(node: NodeDrain) -> NodeDrainStatus:
    found = node.status()
    assert found is not None
    return found


def step(node: NodeDrain) -> str:
    return status(node)["step"]


@asynccontextmanager
async def draining() -> AsyncIterator[tuple[Parts, NodeDrain]]:
    with parts() as own:
        connected(own, 3)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(own.drains.node.run)
            yield own, own.drains.node
            tasks.cancel_scope.cancel()


def dns(node: NodeDrain, **more: Any) -> None:
    node.reports.take_dns({**DNS, **more})


async def test_without_reports_clients_are_asked_to_leave_at_once() -> None:
    async with draining() as (own, node):
        node.begin(60)
        assert own.told == [SendAway(is_on=True)]
        assert (step(node), status(node)["phase"], status(node)["step_until"]) == ("serving", "draining", None)
        assert own.kinds() == []
        connected(own, 0)
        await until(lambda: step(node) == "drained")
        assert status(node)["phase"] == "drained"
        assert own.kinds() == ["node_drained"]


async def test_each_step_is_waited_for_before_the_next_one_begins() -> None:
    async with draining() as (own, node):
        dns(node)
        node.reports.take_announce(ANNOUNCE)
        node.begin(60)
        assert (step(node), node.is_sending_away, own.told) == ("dns", False, [])
        assert status(node)["step_why"] == "lbapp dns is to take this node's records out"
        assert (status(node)["ecmp"], status(node)["remaining_s"]) == ("plain", 60)
        gone_at = time.time() + 0.5
        dns(node, state="withdrawn", left_at=time.time(), gone_at=gone_at)
        await until(lambda: status(node)["step_why"] == "resolvers still know this node's records")
        assert abs((status(node)["step_until"] or 0) - gone_at) < 0.3
        await until(lambda: step(node) == "clients")
        assert time.time() >= gone_at
        assert own.told == [SendAway(is_on=True)]
        assert 20 < (status(node)["step_until"] or 0) - time.time() < 30.2  # half of the timeout
        connected(own, 0)
        await until(lambda: step(node) == "routes")
        assert status(node)["phase"] == "draining"
        connected(own, 1)  # who came by the route meanwhile
        node.reports.take_announce({**ANNOUNCE, "state": "drained", "med": 100})
        await until(lambda: step(node) == "serving")
        connected(own, 0)
        await until(lambda: step(node) == "drained")
        assert own.kinds() == ["node_drain_waits"] * 3 + ["node_drained"]


async def test_connections_that_outlive_a_route_are_not_waited_for_before_it_leaves() -> None:
    async with draining() as (_, node):
        node.reports.take_announce({**ANNOUNCE, "ecmp": "resilient"})
        node.begin(60)
        assert step(node) == "routes"


async def test_who_does_not_do_their_part_does_not_keep_the_drain_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbapp.engine.supervisor.node_drain.DRAIN_STEP_TIMEOUT_S", 0.3)
    async with draining() as (own, node):
        dns(node, problem="the server does not answer")
        node.begin(60)
        assert step(node) == "dns"
        await until(lambda: step(node) == "serving")
        assert own.kinds() == ["node_drain_waits", "node_drain_step_given_up"]


@pytest.mark.parametrize("at_step", ["dns", "clients", "routes", "serving"])
async def test_a_drain_is_cancelled_at_any_step_and_leaves_nothing_behind(at_step: str) -> None:
    async with draining() as (own, node):
        if at_step == "dns":
            dns(node)
        elif at_step != "serving":
            node.reports.take_announce({**ANNOUNCE, "ecmp": "plain" if at_step == "clients" else "handoff"})
        node.begin(60)
        assert step(node) == at_step
        node.cancel()
        assert (node.is_on, node.status(), node.is_sending_away) == (False, None, False)
        assert own.told == ([] if at_step == "dns" else [SendAway(is_on=True), SendAway(is_on=False)])
        node.begin(60)
        assert step(node) == at_step  # from the beginning


async def test_what_is_left_when_the_time_is_over_is_closed_by_force_once() -> None:
    async with draining() as (own, node):
        node.begin(0.1)
        await until(lambda: CutOff() in own.told)
        assert status(node)["phase"] == "overdue"
        connected(own, 0)
        await until(lambda: step(node) == "drained")
        assert own.told.count(CutOff()) == 1
        assert own.kinds() == ["drain_timed_out", "node_drained"]


@pytest.mark.parametrize("timeout_s", [0.1, 60])
async def test_the_engine_stops_behind_its_drain_where_that_was_asked_for(timeout_s: float) -> None:
    async with draining() as (own, node):
        stops: list[float] = []
        node.stop = lambda: stops.append(time.time())
        node.begin(timeout_s, then_stop=True)
        assert (status(node)["then_stop"], stops) == (True, [])
        if timeout_s == 60:
            connected(own, 0)
        await until(lambda: stops)
        connected(own, 0)
        await until(lambda: "node_drained" in own.kinds())
        assert len(stops) == 1


async def test_another_timeout_counts_from_now_and_keeps_the_step() -> None:
    async with draining() as (_, node):
        dns(node)
        node.begin(60)
        node.begin(10)
        assert (step(node), status(node)["timeout_s"], status(node)["remaining_s"]) == ("dns", 10, 10)
