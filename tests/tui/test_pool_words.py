from __future__ import annotations

from dataclasses import replace

from lbapp.tui.glyphs import FULL
from lbapp.tui.pool_words import crumb, pool_facts, rotation, states
from lbapp.tui.scene import PoolRow, ServerRow

NOW = 1_700_000_100.0
POOL = PoolRow(
    name="api",
    algorithm="least_connections",
    eligible=1,
    total=4,
    queued=3,
    queue_max=50,
    waiting_since=NOW - 4,
    requests_per_s=250.0,
    served_by="api",
    persistence="cookie",
    failover="spare",
    servers=[
        ServerRow(admin="ready", health="up", weight=50, is_eligible=True),
        ServerRow(admin="ready", health="down", weight=50),
        ServerRow(admin="drain", health="up", weight=100),
        ServerRow(admin="maint", health="unknown", weight=0),
    ],
)


def test_crumb_says_how_a_pool_is_and_with_a_panel_what_it_is() -> None:
    assert (
        crumb("api", POOL, FULL, has_panel=False)
        == " Pools > api  least_connections  ▲1 ▼1 ▶1 ■1  25% in rotation  Q 3  250 req/s"
    )
    assert (
        crumb("api", replace(POOL, is_published=False), FULL, has_panel=True)
        == " Pools > api   least_connections   persistence cookie   failover spare   unpublished"
    )
    assert crumb("api", None, FULL, has_panel=True) == " Pools > api  is not there any more"


def test_states_are_counted_by_the_operators_wish_first() -> None:
    words = [("▲", "UP", 1), ("▼", "DOWN", 1), ("▶", "DRAIN", 1), ("■", "MAINT", 1)]
    assert states(POOL, FULL) == words
    unknown = replace(POOL, servers=[*POOL.servers, ServerRow()])
    assert states(unknown, FULL) == [*words, ("·", "UNKNOWN", 1)]


def test_rotation_without_any_weight_is_not_known() -> None:
    assert rotation(PoolRow()) == "-"
    assert rotation(replace(POOL, servers=POOL.servers[3:])) == "-"


def test_facts_beside_the_graphs_are_five_lines() -> None:
    assert pool_facts(POOL, FULL, NOW, 20) == (
        "─ Pool api ─────────",
        "  ▲ UP 1   ▼ DOWN 1   ▶ DRAIN 1   ■ MAINT 1",
        "  in rotation 1 of 4 = 25% of weight",
        "  queue 3 of 50, the first for 4s   retries -",
        "  conns -   in flight -   req/s 250",
    )
    bare = pool_facts(PoolRow(name="x", served_by="", connections_max=9), FULL, NOW, 10)
    assert bare[2] == "  in rotation 0 of 0 = - of weight   served by nobody: 503"
    assert bare[3:] == ("  no queue   retries -", "  conns -   in flight - of 9   req/s -")
