from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from lbapp.control.messages import NodeDrainStatus
from lbapp.engine.channel import CutOff, SendAway
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.supervisor.kept_drain import KeptDrain, Standing
from lbapp.engine.supervisor.node_drain import NodeDrain
from tests.engine.supervisor.support import Parts, parts, until
from tests.engine.supervisor.test_reports import ANNOUNCE, DNS

pytestmark = pytest.mark.anyio
WISHED_AT = 1.25


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
        node.begin(60, WISHED_AT)
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
        node.begin(60, WISHED_AT)
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
        node.begin(60, WISHED_AT)
        assert step(node) == "routes"


async def test_who_does_not_do_their_part_does_not_keep_the_drain_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbapp.engine.supervisor.node_drain.DRAIN_STEP_TIMEOUT_S", 0.3)
    async with draining() as (own, node):
        dns(node, problem="the server does not answer")
        node.begin(60, WISHED_AT)
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
        node.begin(60, WISHED_AT)
        assert step(node) == at_step
        node.cancel()
        assert (node.is_on, node.status(), node.is_sending_away) == (False, None, False)
        assert own.told == ([] if at_step == "dns" else [SendAway(is_on=True), SendAway(is_on=False)])
        node.begin(60, WISHED_AT)
        assert step(node) == at_step  # from the beginning


async def test_what_is_left_when_the_time_is_over_is_closed_by_force_once() -> None:
    async with draining() as (own, node):
        node.begin(0.1, WISHED_AT)
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
        node.begin(timeout_s, WISHED_AT, then_stop=True)
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
        node.begin(60, WISHED_AT)
        node.begin(10, WISHED_AT)
        assert (step(node), status(node)["timeout_s"], status(node)["remaining_s"]) == ("dns", 10, 10)


GONE = {"state": "withdrawn", "left_at": 1.0, "gone_at": 2.0}


@pytest.mark.parametrize("at_step", ["dns", "clients", "routes", "serving"])
async def test_the_next_engine_goes_on_at_the_step_that_the_drain_is_at(at_step: str) -> None:
    async with draining() as (_, before):
        dns(before, **({} if at_step == "dns" else GONE))
        if at_step != "serving":
            before.reports.take_announce({**ANNOUNCE, "ecmp": "handoff" if at_step == "routes" else "plain"})
        before.begin(60, WISHED_AT)
        assert step(before) == at_step
        standing, was = before.standing(), status(before)
    async with draining() as (own, node):
        node.know(standing)
        assert node.status() is None, "whether it drains at all the journal says"
        node.restore(300, WISHED_AT)
        now = status(node)
        assert [now[key] for key in ("step", "step_why", "since", "step_since", "timeout_s", "ecmp")] == [
            was[key] for key in ("step", "step_why", "since", "step_since", "timeout_s", "ecmp")
        ]  # fmt: skip
        assert node.is_sending_away is (at_step != "dns")
        assert own.kinds() == ([] if at_step == "serving" else ["node_drain_waits"])
        if at_step == "dns":
            node.reports.take_announce({**ANNOUNCE, "state": "withdrawn"})
            dns(node, **GONE)
            await until(lambda: step(node) == "serving")
            assert own.told == [SendAway(is_on=True)]


async def test_the_deadline_of_a_drain_is_the_same_for_the_next_engine_and_force_comes_once() -> None:
    async with draining() as (_, before):
        before.begin(60, WISHED_AT)
        standing = before.standing()
    drain = standing["drain"]
    assert drain is not None
    drain["asked_at"] -= 20
    async with draining() as (_, node):
        node.know(standing)
        node.restore(300, WISHED_AT)
        assert 39 < status(node)["remaining_s"] <= 40
    drain["asked_at"] -= 100
    drain["has_closed"] = True
    async with draining() as (own, node):
        node.know(standing)
        node.restore(0, WISHED_AT)
        await until(lambda: status(node)["phase"] == "overdue")
        connected(own, 0)
        await until(lambda: step(node) == "drained")
        assert CutOff() not in own.told


async def test_the_next_engine_stops_behind_the_drain_unless_the_one_before_ended_as_it_was_told_to() -> None:
    async with draining() as (_, before):
        before.begin(60, WISHED_AT, then_stop=True)
        after_a_crash = before.standing()
        await before.end()
        after_a_stop = before.standing()
    for standing, is_to_stop in ((after_a_crash, True), (after_a_stop, False)):
        async with draining() as (own, node):
            stops: list[bool] = []
            node.stop = lambda to=stops: to.append(True)  # type: ignore[misc]
            node.know(standing)
            node.restore(60, WISHED_AT)
            assert status(node)["then_stop"] is is_to_stop
            connected(own, 0)
            await until(lambda: step(node) == "drained")
            assert stops == [True] * is_to_stop


async def test_a_drain_whose_steps_are_not_known_begins_with_the_first_one() -> None:
    async with draining() as (_, node):
        node.know({"drain": "of another version"})
        node.restore(60, WISHED_AT)
        assert (step(node), status(node)["timeout_s"]) == ("serving", 60)


async def test_what_was_asked_for_after_the_last_that_is_known_of_a_drain_holds() -> None:
    async with draining() as (_, before):
        dns(before)
        before.begin(60, WISHED_AT, then_stop=True)
        standing = before.standing()
    async with draining() as (_, node):
        node.know(standing)
        node.restore(1200, WISHED_AT + 1)
        assert (step(node), status(node)["timeout_s"], status(node)["then_stop"]) == ("dns", 1200, False)


async def test_a_disk_that_takes_its_time_holds_no_drain_up(tmp_path: Path) -> None:
    may_write = threading.Event()

    class Slow(KeptDrain):
        def write(self, standing: Standing) -> None:
            may_write.wait(20)
            super().write(standing)

    try:
        async with draining() as (own, node):
            node.kept = Slow(tmp_path / "drain")
            node.begin(60, WISHED_AT)
            connected(own, 0)
            await until(lambda: step(node) == "drained")
            with anyio.fail_after(10):
                await node.end()
            assert not (tmp_path / "drain").exists()
    finally:
        may_write.set()


async def test_a_disk_that_takes_nothing_is_said_once_and_is_written_to_again(tmp_path: Path) -> None:
    (tmp_path / "drain.new").mkdir()  # nobody can write a file there now, whoever they are
    async with draining() as (own, node):
        node.kept = KeptDrain(tmp_path / "drain")
        dns(node)
        node.begin(60, WISHED_AT)
        await until(lambda: "node_drain_not_kept" in own.kinds())
        dns(node, **GONE)
        await until(lambda: step(node) == "serving")
        (tmp_path / "drain.new").rmdir()
        await until(lambda: KeptDrain(tmp_path / "drain").read() == node.standing())
        (said,) = (event for event in own.events.after(0) if event["kind"] == "node_drain_not_kept")
        assert said["message"] == (
            f"how far the drain is cannot be kept in {tmp_path}/drain: Is a directory; the next engine would begin with "
            "the first step"
        )


async def test_where_a_drain_is_stands_on_disk_while_there_is_one(tmp_path: Path) -> None:
    async with draining() as (own, node):
        node.kept = KeptDrain(tmp_path / "drain")
        dns(node)
        node.begin(60, WISHED_AT, then_stop=True)
        await until(lambda: KeptDrain(tmp_path / "drain").read() == node.standing())
        dns(node, **GONE)
        await until(lambda: step(node) == "serving")
        await until(lambda: KeptDrain(tmp_path / "drain").read() == node.standing())
        with parts() as later:
            again = later.drains.node
            again.kept = KeptDrain(tmp_path / "drain")
            again.know(None)
            again.restore(60, WISHED_AT)
            assert (step(again), status(again)["then_stop"], again.reports.dns()) == ("serving", True, {**DNS, **GONE})
        node.cancel()
        await until(lambda: not (tmp_path / "drain").exists())
        assert own.told == [SendAway(is_on=True), SendAway(is_on=False)]
