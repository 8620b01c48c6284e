from __future__ import annotations

import pytest

from lbapp.control.past import PastPoint
from lbapp.tui.glance import carried, glance, slowest
from lbapp.tui.glyphs import FULL, LINUX_CONSOLE, Glyphs
from lbapp.tui.staging import scene_of
from lbapp.tui.tones import plain
from tests.tui.engine_double import server, status


def point(rate: float) -> PastPoint:
    return {
        "at": 1.0, "seconds": 1.0, "requests": 1, "requests_per_s": rate, "errors": 0, "error_rate": 0.5, "in_flight": 1,
        "p50": 1.0, "p99": 2500.0, "admin": None, "health": None, "weight": None, "ready": None, "servers": None,
        "node": {"cpu_percent": None, "memory_bytes": None, "connections": 900},
    }  # fmt: skip


@pytest.mark.parametrize("glyphs", [FULL, LINUX_CONSOLE])
@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_head_of_the_overview_fits_its_width_and_says_how_many_are_how(width: int, glyphs: Glyphs) -> None:
    scene = scene_of(status([server("app", f"s{number}") for number in range(5)]))
    rows = list(scene.servers())
    rows[0].health, rows[1].admin, rows[2].admin = "down", "drain", "maint"
    lines = [plain(line) for line in glance(scene, [point(float(rate)) for rate in range(300)], width, glyphs)]
    assert all(len(line) <= width for line in lines) or width < 80
    assert f"{glyphs.up} UP 2  {glyphs.down} DOWN 1  {glyphs.drain} DRAIN 1  {glyphs.maint} MAINT 1" in lines[0]


def test_peaks_are_those_of_the_last_minutes_and_of_now() -> None:
    scene = scene_of(status([server("app", "s1")]))
    lines = [plain(line) for line in glance(scene, [point(5.0), point(300.0)], 120, FULL, [9.0, 2500.0])]
    assert "req/s       12 /    300" in lines[0]
    assert "conn         7 /    900" in lines[1]
    assert "p99       16ms /   2.5s" in lines[2]
    assert "errors    1.0% /  50.0%" in lines[3]


def test_before_the_past_is_known_there_is_what_is_now() -> None:
    scene = scene_of(status([server("app", "s1")]))
    lines = [plain(line) for line in glance(scene, [], 80, FULL)]
    assert "12 req/s  7 conn  p99 16ms  errors 1.0%" in lines[1]
    assert "5min" not in lines[1]


def test_percentiles_of_several_listeners_are_not_put_together() -> None:
    scene = scene_of(status([server("app", "s1")]))
    other = scene_of(status([server("app", "s1")])).listeners[0]
    other.p99, other.requests_per_s, other.error_rate = 99.0, 36.0, 0.05
    scene.listeners.append(other)
    found = carried(scene)
    assert (found.requests_per_s, found.connections, found.p99, found.is_of_slowest) == (48.0, 14, 99.0, True)
    assert found.error_rate == pytest.approx(0.04)
    assert "p99 max 99ms" in plain(glance(scene, [], 80, FULL)[1])


def test_curve_of_p99_is_that_of_the_slowest_listener_in_each_second_and_a_peak_that_nobody_knows_is_none() -> None:
    fast: list[PastPoint] = [{**point(1.0), "p99": value} for value in (1.0, 2.0, None, 4.0)]
    slow: list[PastPoint] = [{**point(1.0), "p99": value} for value in (70.0, None, 5.0)]
    assert slowest([fast, slow]) == [70.0, None, 5.0]
    assert slowest([fast]) == [1.0, 2.0, None, 4.0]
    assert slowest([]) == []
    scene = scene_of(status([server("app", "s1")]))
    assert "p99       16ms /      - " in plain(glance(scene, [point(5.0)], 120, FULL)[2]), (
        "the node's own course has none"
    )
    assert "p99       16ms /   70ms " in plain(glance(scene, [point(5.0)], 120, FULL, slowest([fast, slow]))[2])


def test_what_the_node_carries_is_that_of_its_listeners_or_of_pools_where_only_those_are_known() -> None:
    scene = scene_of(status([server("app", "s1", 30.0), server("app", "s2", 12.0)]))
    scene.listeners[0].requests_per_s = 50.0
    assert carried(scene).requests_per_s == scene.requests_per_s == 50.0
    scene.listeners[0].requests_per_s = None
    assert scene.requests_per_s == sum(pool.requests_per_s or 0.0 for pool in scene.pools) > 0
    assert carried(scene).error_rate is None
    scene.pools.clear()
    assert scene.requests_per_s is None
