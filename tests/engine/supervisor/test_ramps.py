"""Weights on their way, moment by moment."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from lbapp.engine.policy.ramp import Ramp
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.supervisor.ramps import Ramps, Together
from lbapp.engine.supervisor.server_state import ServerState
from lbapp.model.errors import RequestRefused
from lbapp.model.journal import RampLeft
from lbapp.model.outcomes import FailureKind
from lbapp.model.states import HealthState
from tests.engine.supervisor.support import Parts, configured, parts

pytestmark = pytest.mark.anyio
EVE = {"uid": 7, "user": "eve", "pid": 1}


@pytest.fixture
def own() -> Iterator[Parts]:
    with parts(configured([("127.0.0.1", port) for port in (1, 2, 3)])) as made:
        made.drains.ramps.put_back = put_back(made.drains.ramps)
        yield made


def put_back(ramps: Ramps):  # type: ignore[no-untyped-def]
    async def do(group: Together, why: str) -> None:
        ramps.aborted(group, why)

    return do


def begin(own: Parts, *servers: str, limit: float | None = None, over_s: float = 100.0, action: int = 1) -> float:
    """Have servers go from 0 to 100; return when that began."""
    now_s = time.monotonic()
    ramps = []
    for server in servers:
        own.states.set_weight(own.server(server), 0, None)
        ramps.append((own.server(server), Ramp(0, 100, now_s, over_s, limit)))
    own.drains.ramps.begin(action, ramps, EVE, "new hardware")  # type: ignore[arg-type]
    return now_s


def refuse(own: Parts, server: str, count: int) -> None:
    segment = own.running.segment
    base = segment.layout.server(0, own.server(server).row)
    segment.cells[base + at.SERVER_FAILURES + FailureKind.CONNECT_REFUSED] += count


def weights(own: Parts) -> list[int]:
    return [own.server(name).weight for name in ("s1", "s2", "s3")]


async def test_steps_follow_the_clock_and_the_end_is_said_once(own: Parts) -> None:
    began_s, ramps = begin(own, "s1"), own.drains.ramps
    for passed_s, weight in ((10, 10), (55, 55), (100, 100), (120, 100)):
        await ramps.look(began_s + passed_s)
        assert own.server("s1").weight == weight
    assert own.server("s1").ramp is None
    assert [kind for kind in own.kinds() if "ramp" in kind] == ["ramp_began", "ramp_ended"]
    event = next(each for each in own.events.after(0) if each["kind"] == "ramp_began")
    assert event["actor"] == EVE
    assert event["message"].endswith("over 100 s: new hardware")


async def test_refused_attempts_alone_abort_a_ramp_and_all_of_its_action_go_back(own: Parts) -> None:
    began_s = begin(own, "s1", "s2", limit=5.0)
    begin(own, "s3", limit=50.0, action=2)
    own.count_requests("s2", 30)
    refuse(own, "s1", 30)
    await own.drains.ramps.look(began_s + 1)
    assert weights(own) == [0, 0, 1]
    assert [each.ramp is None for each in own.states.by_id.values()] == [True, True, False]
    aborted = [each for each in own.events.after(0) if each["kind"] == "ramp_aborted"]
    assert [each["subject"] for each in aborted] == ["app/s1", "app/s2"]
    assert "gets weight 0 again: 50.0 % of the attempts failed of late, 5 % are allowed" in aborted[0]["message"]


async def test_failures_at_other_servers_and_few_failures_stop_nothing(own: Parts) -> None:
    began_s = begin(own, "s1", limit=5.0)
    refuse(own, "s2", 500)
    own.count_requests("s1", 100)
    refuse(own, "s1", 5)
    await own.drains.ramps.look(began_s + 10)
    assert own.server("s1").weight == 10


async def test_server_that_goes_down_on_its_way_up_is_put_back_also_without_traffic(own: Parts) -> None:
    began_s = begin(own, "s1", "s2", limit=5.0)
    own.states.set_health(own.server("s1"), HealthState.UP, "200")
    await own.drains.ramps.look(began_s + 10)
    own.states.set_health(own.server("s1"), HealthState.DOWN, "refused")
    await own.drains.ramps.look(began_s + 11)
    assert weights(own) == [0, 0, 100]
    assert "app/s1 went down meanwhile" in own.events.after(0)[-1]["message"]


async def test_server_that_was_down_all_the_time_and_ramps_without_a_limit_go_on(own: Parts) -> None:
    own.states.set_health(own.server("s1"), HealthState.DOWN, "refused")
    began_s = begin(own, "s1", limit=5.0)
    begin(own, "s2", action=2)
    own.states.set_health(own.server("s2"), HealthState.DOWN, "refused")
    refuse(own, "s2", 500)
    await own.drains.ramps.look(began_s + 50)
    assert weights(own) == [50, 50, 100]


async def test_refusal_to_put_back_leaves_the_ramp_and_ends_nothing(own: Parts) -> None:
    async def refused(group: Together, why: str) -> None:
        raise RequestRefused("reloaded", "another configuration was applied just now", "", 409)

    began_s = begin(own, "s1", limit=5.0)
    own.drains.ramps.put_back = refused
    refuse(own, "s1", 100)
    await own.drains.ramps.look(began_s + 1)
    assert own.server("s1").ramp is not None
    own.drains.ramps.put_back = put_back(own.drains.ramps)
    await own.drains.ramps.look(began_s + 2)
    assert own.server("s1").ramp is None


async def test_clock_that_is_set_moves_no_weight(own: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    began_s, there = begin(own, "s1"), time.time()
    await own.drains.ramps.look(began_s + 50)
    monkeypatch.setattr(time, "time", lambda: there - 3600.0)
    await own.drains.ramps.look(began_s + 51)
    assert own.server("s1").weight == 51
    status = own.drains.ramps.status(own.server("s1"))
    assert status is not None
    assert status["until"] - status["since"] == pytest.approx(100.0)
    assert status["until"] == pytest.approx(there - 3500.0, abs=30), "as the clock says it now"


async def test_what_is_ended_says_where_it_was_who_did_it_and_what_was_left(own: Parts) -> None:
    began_s = begin(own, "s1", limit=2.0)
    await own.drains.ramps.look(began_s + 50)
    left = own.drains.ramps.left(own.server("s1"))
    assert left is not None
    assert left == RampLeft(left.left_s, 2.0)
    assert 90 < left.left_s <= 100
    own.drains.ramps.cancel(own.server("s1"), EVE, "enough")  # type: ignore[arg-type]
    assert own.drains.ramps.left(own.server("s1")) is None
    event = own.events.after(0)[-1]
    assert (event["kind"], event["actor"]) == ("ramp_ended", EVE)
    assert event["message"] == "app/s1 is at weight 50: its way to 100 was ended: enough"
    await own.drains.ramps.look(began_s + 90)
    assert own.server("s1").weight == 50


async def test_servers_of_one_action_join_one_another_whenever_they_come(own: Parts) -> None:
    began_s = begin(own, "s1", limit=5.0)
    begin(own, "s2", limit=5.0)
    refuse(own, "s2", 100)
    await own.drains.ramps.look(began_s + 1)
    assert weights(own) == [0, 0, 100]


async def test_server_that_is_gone_is_left_alone(own: Parts) -> None:
    began_s = begin(own, "s1", "s2")
    gone: ServerState = own.server("s1")
    own.states.remove(gone)
    await own.drains.ramps.look(began_s + 30)
    assert gone.weight == 0
    assert own.server("s2").weight == 30
