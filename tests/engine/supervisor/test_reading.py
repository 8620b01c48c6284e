from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lbapp.model.states import AdminState, HealthState
from tests.engine.supervisor.support import reading

pytestmark = pytest.mark.anyio


async def test_status_names_everything_once_and_is_plain_json() -> None:
    with reading() as (_, reader):
        status = reader.status()
        assert json.loads(json.dumps(status)) == status
        assert [listener["name"] for listener in status["listeners"]] == ["web"]
        assert status["listeners"][0]["bind"][0].startswith("127.0.0.1:")
        assert not status["listeners"][0]["bind"][0].endswith(":0")
        (pool,) = status["pools"]
        assert [server["id"] for server in pool["servers"]] == ["app/s1", "app/s2"]
        assert (pool["eligible"], pool["total"]) == (2, 2)
        assert status["engine"]["workers"][0]["phase"] == "gone"
        assert (status["engine"]["memory_bytes"] or 0) > 1_000_000


async def test_counters_of_all_slots_are_added_and_the_pool_is_their_sum() -> None:
    with reading() as (own, reader):
        own.count_requests("s1", 30, slot=0)
        own.count_requests("s1", 10, slot=1, latency_us=50_000)
        own.count_requests("s2", 5, status_class=5)
        own.set_in_flight("s2", 4)
        (pool,) = reader.status()["pools"]
        first, second = pool["servers"]
        assert (first["requests_total"], second["requests_total"], pool["requests_total"]) == (40, 5, 45)
        assert (first["errors_total"], second["errors_total"], pool["errors_total"]) == (0, 5, 5)
        assert (second["in_flight"], pool["in_flight"]) == (4, 4)
        assert second["error_rate"] == 1.0
        assert first["latency"]["total"]["p50"] == pytest.approx(1.0, rel=0.05)
        assert first["latency"]["total"]["p99"] == pytest.approx(50.0, rel=0.05)


async def test_change_of_state_is_in_the_very_next_status() -> None:
    with reading() as (own, reader):
        before = reader.status()
        assert reader.status() is before
        own.states.set_admin(own.server("s1"), AdminState.DRAIN, None)
        own.states.set_health(own.server("s2"), HealthState.DOWN, "HTTP 503")
        own.drains.begin(own.server("s1"), 5)
        status = reader.status()
        first, second = status["pools"][0]["servers"]
        assert (first["admin"], first["drain"] is not None, first["is_eligible"]) == ("drain", True, False)
        assert (second["health"], second["health_reason"]) == ("down", "HTTP 503")
        assert (status["pools"][0]["eligible"], status["revision"]) == (0, 2)
        assert reader.server(own.server("s2"))["health"] == "down"


async def test_totals_of_a_pool_do_not_go_back_when_a_server_is_taken_out() -> None:
    with reading() as (own, reader):
        own.count_requests("s1", 30)
        own.count_requests("s2", 5)
        before = own.running.configuration
        pool = replace(before.pools[0], servers=before.pools[0].servers[:1])
        reader.running = own.running.next(replace(before, pools=(pool,)))
        assert reader.pool(pool)["requests_total"] == 35
