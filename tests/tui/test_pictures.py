"""Every screen of the console as it is drawn, letter by letter and colour by colour.

A screen that is meant to change is drawn anew with LBAPP_SNAPSHOTS=write; the diff of tests/tui/pictures shows what changed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from textual.pilot import Pilot

from lbapp.control.fleet import FleetStatus
from lbapp.tui.app import LbappConsole
from lbapp.tui.dressed import Look
from lbapp.tui.feed import Feed
from lbapp.tui.glyphs import SETS
from lbapp.tui.sample import Sample
from lbapp.tui.themes import NAMES
from tests.tui import changing_double, engine_double, fleet_double
from tests.tui.console import until, until_shown
from tests.tui.engine_double import EngineDouble, answering, drain, server
from tests.tui.fleet_double import fleet_of, member, member_state, roll, routes_report
from tests.tui.looks_double import capture, decision, session
from tests.tui.snapshots import IS_WRITING, assert_pictured, assert_said, letters, picture

pytestmark = pytest.mark.anyio

NOW = 1_795_860_000.0
KEYS = {
    "overview": ("1",), "pools": ("2",), "servers": ("3",), "servers-latency": ("right",), "requests": ("4",), "events": ("5",),
    "config": ("6",), "nodes": ("7",), "pool": ("2", "enter"), "server": ("3", "down", "enter"), "help": ("3", "question_mark"),
    "drain": ("escape", "d"), "menu": ("escape", "x"), "sort": ("escape", "s"),
}  # fmt: skip
TOML = '[[listener]]\nname = "web"\nbind = "0.0.0.0:8080"\npool = "app"\n\n[[pool]]\nname = "app"\n# two of them\n'


@pytest.fixture
def still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineDouble]:
    """An engine whose clock stands, in a time zone that stays, with something of everything."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    stopped = SimpleNamespace(time=lambda: NOW, monotonic=time.monotonic, sleep=time.sleep)
    monkeypatch.setattr(engine_double, "time", stopped)
    monkeypatch.setattr(changing_double, "time", stopped)
    monkeypatch.setattr(fleet_double, "time", stopped)
    monkeypatch.setattr(Feed, "age_s", 0.0)
    monkeypatch.setattr(Sample, "span_s", lambda _self, _now: 43.0)
    double = EngineDouble(
        [server("app", f"s{number}", 12.0 * number) for number in range(1, 7)] + [server("api", "a1", 3.0)]
    )
    for one in double.servers:
        one["health_since"] = NOW - 7_200
    double.toml = TOML
    down, draining, maint, unknown, ejected = double.servers[1:6]
    down["health"], down["health_reason"], down["is_eligible"], down["health_since"] = (
        "down",
        "HTTP 503",
        False,
        NOW - 75,
    )
    draining["admin"], draining["drain"] = "drain", drain(since=NOW - 30, remaining_s=270.0, in_flight=3)
    maint["admin"], unknown["health"], ejected["ejected"] = "maint", "unknown", "5 failures in a row"
    double.events.extend(
        {"seq": seq, "at": NOW - 60 * (5 - seq), "kind": kind, "subject": "app/s2", "message": message,
         "actor": None, "before": None, "after": None}
        for seq, (kind, message) in enumerate(
            [("server_went_up", "app/s2 is up: HTTP 200"), ("server_went_down", "app/s2 is down: HTTP 503")], 1)
    )  # fmt: skip
    double.looks.sessions, double.looks.captures, double.looks.decisions = [session(1, 2.0)], [capture()], [decision()]
    with answering(double, tmp_path / "s"):
        yield double
    monkeypatch.undo()
    time.tzset()


async def ready(pilot: Pilot[None], app: LbappConsole) -> None:
    """Wait for everything that comes by itself."""
    await until_shown(pilot, "welcome")
    await until(pilot, lambda: app.feed.is_live and len(app.feed.events) == 2)
    for step in range(30):
        app.feed.trends.add(("app", "api", "app/s1"), [float(step % 9), 3.0, float(step)])


@pytest.mark.parametrize("glyphs", ["full", "vt"])
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@pytest.mark.usefixtures("still")
async def test_screens_and_dialogs_are_drawn_as_their_pictures(
    tmp_path: Path, size: tuple[int, int], glyphs: str
) -> None:
    app = LbappConsole(tmp_path / "s", look=Look("vt" if glyphs == "vt" else "dark", SETS[glyphs]))
    async with app.run_test(size=size) as pilot:
        await ready(pilot, app)
        for name, keys in KEYS.items():
            await pilot.press(*keys)
            await assert_pictured(pilot, f"{name}-{size[0]}x{size[1]}-{glyphs}")


FLEET_KEYS = {"fleet": ("7",), "fleet-drain": ("down", "N"), "fleet-server-drain": ("escape", "3", "down", "d")}


@pytest.mark.parametrize("glyphs", ["full", "vt"])
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_nodes_of_a_fleet_and_its_dialogs_are_drawn_as_their_pictures(
    still: EngineDouble, tmp_path: Path, size: tuple[int, int], glyphs: str
) -> None:
    still.fleet.status = pictured_fleet()
    app = LbappConsole(tmp_path / "s", look=Look("vt" if glyphs == "vt" else "dark", SETS[glyphs]))
    async with app.run_test(size=size) as pilot:
        await ready(pilot, app)
        for name, keys in FLEET_KEYS.items():
            await pilot.press(*keys)
            await assert_pictured(pilot, f"{name}-{size[0]}x{size[1]}-{glyphs}")


def pictured_fleet() -> FleetStatus:
    """Return a fleet with something of everything, whose view does not grow older."""
    down = routes_report()
    down["sessions"][1] |= {"is_up": False, "state": "Connect", "bfd": "Down"}
    return fleet_of(
        member("node-a", share=0.5), member("lb2", share=0.5, state=member_state(announce=down, differs=1, error_rate=0.2)),
        member("lb3", is_alive=False, share=None, seen_at=NOW - 75),
        state="stale", age_s=None, problem="the store at 10.0.0.1:2379 does not answer", configuration=roll(),
    )  # fmt: skip


@pytest.mark.skipif(IS_WRITING, reason="pictures are being drawn")
@pytest.mark.parametrize("theme", NAMES)
@pytest.mark.usefixtures("still")
async def test_screens_say_the_same_in_every_theme_and_without_colours(
    theme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if theme == "hc":
        monkeypatch.setenv("NO_COLOR", "1")
    app = LbappConsole(tmp_path / "s", look=Look.of(os.environ, None if theme == "hc" else theme, "full"))
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        for name, keys in KEYS.items():
            await pilot.press(*keys)
            await assert_said(pilot, f"{name}-80x24-full")
            if theme == "hc":
                assert set(picture(app).removeprefix(letters(picture(app)))) <= set(" -\nbiI"), "a colour"
