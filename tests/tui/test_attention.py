from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from lbapp.control.messages import CertificateStatus, FleetGlance, NodeDrainStatus, WorkerStatus
from lbapp.tui.attention import Concern, concerns, pool_health, tally
from lbapp.tui.place import Place
from lbapp.tui.scene import DrainRow, PoolRow, Scene
from lbapp.tui.staging import scene_of
from tests.tui.engine_double import server, status

NOW = 1_700_000_100.0


def scene(servers: int = 4) -> Scene:
    return scene_of(status([server("app", f"s{number}") for number in range(1, servers + 1)]))


def lose(made: Scene, *names: str) -> PoolRow:
    for name in names:
        row = made.server(f"app/{name}")
        assert row is not None
        row.health, row.is_eligible, row.health_reason, row.health_since = "down", False, "connection refused", NOW - 60
        made.pools[0].eligible -= 1
    return made.pools[0]


def one(found: list[Concern]) -> Concern:
    assert len(found) == 1, found
    return found[0]


def test_whole_scene_has_no_concerns() -> None:
    assert concerns(scene(), NOW) == []


def test_server_that_is_down_is_told_with_its_reason_and_leads_to_its_pool() -> None:
    made = scene()
    lose(made, "s2")
    concern = one(concerns(made, NOW))
    assert concern.text == "1 of 4 servers DOWN (s2): connection refused; 3 left; p99 16ms, errors 1.0%"
    assert (concern.tone, concern.place, concern.since) == ("warn", Place("pool", "app"), NOW - 60)


def test_half_of_a_pool_is_bad_and_beyond_three_only_their_number_is_said() -> None:
    made = scene(8)
    lose(made, "s1", "s2", "s3", "s4", "s5").queued = 41
    concern = one(concerns(made, NOW))
    assert concern.tone == "bad"
    assert "5 of 8 servers DOWN (s1, s2, s3 and 2 more): connection refused; 3 left, queue 41" in concern.text


def unserved(pool: PoolRow) -> None:
    pool.served_by = ""


def taken_over(pool: PoolRow) -> None:
    pool.served_by = "spare"


def panicking(pool: PoolRow) -> None:
    pool.is_in_panic = True


def on_backups(pool: PoolRow) -> None:
    pool.is_on_backups = True


def waited_for(pool: PoolRow) -> None:
    pool.waiting_since, pool.queued = NOW - 5, 7


def failing(pool: PoolRow) -> None:
    pool.error_rate = 0.2


@pytest.mark.parametrize(
    ("happen", "text", "tone"),
    [
        (unserved, "clients get 503", "bad"),
        (taken_over, "spare takes its requests", "bad"),
        (panicking, "health is ignored", "bad"),
        (on_backups, "only its backups serve", "warn"),
        (waited_for, "requests wait for room: 7 now", "warn"),
        (failing, "20.0% of its requests fail", "bad"),
    ],
)
def test_pool_that_does_not_serve_as_it_should_is_a_concern(
    happen: Callable[[PoolRow], None], text: str, tone: str
) -> None:
    made = scene()
    happen(made.pools[0])
    concern = one(concerns(made, NOW))
    assert text in concern.text
    assert concern.tone == tone


def test_server_that_its_operator_took_out_is_no_concern_unless_nobody_is_left() -> None:
    made = scene(2)
    for row in made.servers():
        row.admin, row.is_eligible = "maint", False
    made.pools[0].eligible = 0
    assert concerns(made, NOW) == []
    made.pools[0].served_by = ""
    assert (
        one(concerns(made, NOW)).text
        == "no server takes requests: clients get 503; 2 of 2 servers are in DRAIN or MAINT"
    )


def test_pool_that_nobody_serves_any_more_is_so_since_the_last_of_its_servers_went() -> None:
    made = scene(3)
    first, second, third = made.servers()
    first.health, first.health_since = "down", NOW - 3_600  # an hour ago, and nobody felt it
    second.health, second.health_since = "down", NOW - 90
    assert one(concerns(made, NOW)).since == NOW - 3_600
    third.admin, third.changed_at, third.health_since = "maint", NOW - 12, NOW - 86_400
    made.pools[0].served_by = ""
    assert one(concerns(made, NOW)).since == NOW - 12


def test_overdue_drain_leads_to_its_server() -> None:
    made = scene()
    row = made.server("app/s1")
    assert row is not None
    row.admin, row.drain = "drain", DrainRow("overdue", NOW - 3, in_flight=2)
    assert one(concerns(made, NOW)).place == Place("server", "app/s1")


def test_certificate_that_runs_out_is_said_once_and_the_sooner_the_worse() -> None:
    made = scene()
    certificate: CertificateStatus = {
        "file": "a.pem", "names": ["*.shop.example"], "issuer": "x", "key_type": "EC", "fingerprint_sha256": "ab",
        "not_before": 0.0, "not_after": NOW + 9 * 86400, "days_left": 9.0,
    }  # fmt: skip
    made.listeners[0].certificates = [certificate, certificate]
    concern = one(concerns(made, NOW))
    assert (concern.text, concern.tone) == ("its certificate for *.shop.example expires in 9 days", "warn")
    certificate["days_left"] = -2.0
    assert (one(concerns(made, NOW)).text, one(concerns(made, NOW)).tone) == (
        "its certificate for *.shop.example expired 2 days ago",
        "bad",
    )
    certificate["days_left"] = 31.0
    assert concerns(made, NOW) == []


def test_node_that_drains_waits_to_be_confirmed_or_lost_a_worker_is_a_concern() -> None:
    made = scene()
    assert made.engine is not None
    drain = {"phase": "draining", "since": NOW - 5, "connections": 3, "in_flight": 1}
    made.engine["drain"] = cast(NodeDrainStatus, drain)
    made.engine["confirm_by"], made.engine["configuration"] = NOW + 30, 12
    worker: Any = {"slot": 1, "phase": "gone"}
    made.engine["workers"] = [cast(WorkerStatus, worker)]
    texts = [concern.text for concern in concerns(made, NOW)]
    assert texts == [
        "worker 1 is gone",
        "configuration 12 goes back in 30s unless confirmed (S)",
        "the node drains: 3 connections, 1 in flight",
    ]


def test_listener_that_turns_clients_away_says_why() -> None:
    made = scene()
    made.listeners[0].overloaded_since, made.listeners[0].turned_away = NOW - 5, {"node_full": 9, "network": 1}
    assert one(concerns(made, NOW)).text == "turns clients away: node_full"


def test_each_server_is_counted_once_by_the_wish_before_the_health() -> None:
    made = scene(5)
    rows = list(made.servers())
    rows[0].admin, rows[0].health = "maint", "down"
    rows[1].admin = "drain"
    rows[2].health = "down"
    rows[3].ejected = "5 errors in a row"
    counted = tally(rows)
    assert (counted.up, counted.down, counted.drain, counted.maint, counted.unknown) == (1, 2, 1, 1, 0)


def test_health_of_a_pool_is_good_only_when_all_of_it_could_take_part() -> None:
    made = scene()
    assert pool_health(made.pools[0]) == "good"
    lose(made, "s1")
    assert pool_health(made.pools[0]) == "warn"
    made.pools[0].served_by = ""
    assert pool_health(made.pools[0]) == "bad"


def glance(**more: Any) -> FleetGlance:
    found: Any = {
        "name": "prod", "node": "node-a", "state": "synced", "members": 3, "ready": 3, "known": 3, "stale_since": None,
        "differs": 0,
    } | more  # fmt: skip
    return cast(FleetGlance, found)


@pytest.mark.parametrize(
    ("more", "text", "tone"),
    [
        ({"ready": 2}, "2 of 3 nodes ready", "warn"),
        ({"ready": 1, "members": 2}, "1 of 3 nodes ready; 1 gone", "bad"),
        ({"state": "stale", "stale_since": NOW - 42}, "STORE STALE: what was known last holds", "bad"),
        ({"state": "starting"}, "the store has not been reached yet", "warn"),
        ({"differs": 2}, "2 settings are other here than the fleet's: lbapp fleet", "warn"),
    ],
)
def test_fleet_that_is_not_whole_is_a_concern_that_leads_to_its_nodes(
    more: dict[str, Any], text: str, tone: str
) -> None:
    made = scene()
    assert made.engine is not None
    made.engine["fleet"] = glance(**more)
    concern = one(concerns(made, NOW))
    assert (concern.text, concern.tone, concern.place) == (text, tone, Place("nodes"))
    assert concern.since == more.get("stale_since")


def test_whole_fleet_and_a_node_that_is_alone_are_no_concern() -> None:
    made = scene()
    assert made.engine is not None
    for found in (glance(), None):
        made.engine["fleet"] = found
        assert concerns(made, NOW) == []
