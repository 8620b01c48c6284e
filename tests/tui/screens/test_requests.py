from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random

import anyio
import pytest
from textual.pilot import Pilot

from lbapp.tui.app import LbappConsole
from lbapp.tui.dialogs.question import Question
from lbapp.tui.exchanges import ROWS_PER_S
from lbapp.tui.looked_at import SENT
from lbapp.tui.place import Place
from lbapp.tui.screens.requests import RequestsPane
from tests.tui.console import SIZE, screen_text, until, until_shown
from tests.tui.engine_double import EngineDouble, answering
from tests.tui.exchange_lines import log_line
from tests.tui.looks_double import LooksDouble, capture, decision, session

pytestmark = pytest.mark.anyio
VT_SAFE = frozenset("─│┌┐└┘├┤┬┴┼═║╔╗╚╝░▒█■▲▼▶◀←↑→↓•·±≤≥≈°µ«»")
LOST = {
    "status": 503, "server": None, "outcome": "queue_timeout", "ended_by": "limit", "phase": "queue", "method": "POST",
    "target": "/auth/login", "queue_us": 2_000_000, "connect_us": None, "first_byte_us": None, "total_us": 2_000_000,
}  # fmt: skip


@pytest.fixture
def looks(socket: Path) -> Iterator[LooksDouble]:
    engine = EngineDouble()
    with answering(engine, socket):
        yield engine.looks


async def at_requests(pilot: Pilot[None], looks: LooksDouble) -> LbappConsole:
    """Go to the screen, and wait until it follows the log."""
    app = pilot.app
    assert isinstance(app, LbappConsole)
    await until_shown(pilot, "LIVE")
    await pilot.press("4")
    await until(pilot, lambda: looks.followers)
    return app


def pane_of(app: LbappConsole) -> RequestsPane:
    pane = app.shell.pane
    assert isinstance(pane, RequestsPane)
    return pane


async def test_exchanges_are_shown_as_they_end_the_newest_on_top(looks: LooksDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        app = await at_requests(pilot, looks)
        looks.lines += [log_line(), log_line(**LOST), {"skipped": 18}]
        await until_shown(pilot, "1 in 19 + failed + slow")
        await until_shown(pilot, "!503 POST   /auth/login")
        lines = screen_text(app).splitlines()
        first = next(at for at, line in enumerate(lines) if "!503" in line)
        assert lines[first].split()[-3:] == ["app/-", "2.0s", "2.0s"]
        assert lines[first + 1].split()[1:] == ["200", "GET", "/api/v1/items?page=2", "app/s1", "0", "14ms"]
        assert "5xx 5.0%" in screen_text(app)
        assert max(len(line) for line in lines) <= 80


async def test_wide_screen_has_more_columns_bars_and_the_detail_of_a_row(looks: LooksDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=(120, 40)) as pilot:
        looks.sessions = [session(1, 12.4), session(2, 0.01)]
        await at_requests(pilot, looks)
        looks.lines += [log_line()]
        for text in ("shop.example", "8.1K", "2xx ██████████████████ ", "in flight 2", "!1", "GET /api/v1/items"):
            await until_shown(pilot, text)
        await until_shown(pilot, "192.0.2.9:51322 -> web -> app/s1")
        await until_shown(pilot, "queue 0  connect 1.0ms ████  wait 11ms █████")


async def test_log_is_followed_only_while_the_screen_is_in_sight(looks: LooksDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await until_shown(pilot, "LIVE")
        assert looks.log_queries == []
        await at_requests(pilot, looks)
        await pilot.press("3")
        await until(pilot, lambda: not looks.followers)
        await pilot.press("4")
        await until(pilot, lambda: looks.followers)


async def test_views_ask_the_engine_for_what_they_show_and_show_what_came_lately(
    looks: LooksDouble, socket: Path
) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        app = await at_requests(pilot, looks)
        looks.lines += [log_line(), log_line(**LOST)]
        await until_shown(pilot, "1 of 2")
        await pilot.press("right", "right", "right")
        await until_shown(pilot, "[failing]")
        await until(pilot, lambda: looks.followers == [SENT | {"failed": "1"}])
        assert "/auth/login" in screen_text(app)
        assert "/api/v1" not in screen_text(app)
        await pilot.press("left")
        await until(pilot, lambda: looks.followers == [SENT | {"slower_ms": "1000"}])


async def test_place_with_a_filter_begins_with_it_and_esc_goes_back(looks: LooksDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        app = await at_requests(pilot, looks)
        app.shell.go(Place("requests", "pool=app status>=500 login"))
        await until(pilot, lambda: looks.followers == [SENT | {"pool": "app", "status": "500-599"}])
        assert "engine: pool=app status=500-599  here: login" in app.shell.pane.facts
        await pilot.press("4")
        await until(pilot, lambda: looks.followers == [SENT])
        assert pane_of(app).table.view.text == ""


async def test_in_flight_has_those_busy_for_longest_first_and_c_closes_one(looks: LooksDouble, socket: Path) -> None:
    looks.sessions = [session(7, 12.4), session(8, 0.5), session(9, 0, state="idle")]
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        app = await at_requests(pilot, looks)
        await pilot.press("i")
        await until_shown(pilot, "!12.4s HEADERS")
        await until_shown(pilot, "in flight 2:   <100ms 0  <1s 1  <10s 0  >10s !1")
        assert "IDLE" not in screen_text(app)
        await pilot.press("C", "enter")
        await until(pilot, lambda: not isinstance(app.screen, Question))
        assert looks.closed == []
        await pilot.press("C")
        await until_shown(pilot, "Close connection 7?")
        await pilot.press("y")
        await until_shown(pilot, "connection 7 was closed")
        assert looks.closed == [7]
        await until_shown(pilot, "1 of 1")


async def test_connection_that_has_only_just_slid_under_the_cursor_is_not_closed(
    looks: LooksDouble, socket: Path
) -> None:
    looks.sessions = [session(7, 12.4), session(8, 0.5)]
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        app = await at_requests(pilot, looks)
        await pilot.press("i")
        await until_shown(pilot, "1 of 2")
        looks.sessions = [session(8, 0.5)]
        await until_shown(pilot, "1 of 1")
        await pilot.press("C")
        await until_shown(pilot, "! what was under the cursor has left the list")
        assert not isinstance(app.screen, Question)


def is_listed(app: LbappConsole, looks: LooksDouble) -> bool:
    """Say whether the list has the connections that the engine has, and no others."""
    return set(pane_of(app).sessions._identities()) == {str(each["id"]) for each in looks.sessions}


async def test_connection_that_was_asked_about_is_the_one_that_is_closed_whatever_the_list_does_meanwhile(
    looks: LooksDouble, socket: Path
) -> None:
    order = Random(5)
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        app = await at_requests(pilot, looks)
        await pilot.press("i")
        for number in (7, 8, 9):
            looks.sessions = [session(each, order.uniform(1, 99)) for each in range(number, number + 6)]
            await until(pilot, partial(is_listed, app, looks))
            for _ in range(1 + order.randrange(5)):
                await pilot.press(order.choice(("down", "up")))
            await pilot.press("C")
            await until_shown(pilot, "Close connection")
            (asked,) = re.findall(r"Close connection (\d+)\?", screen_text(app))
            looks.sessions = [session(each, order.uniform(1, 99)) for each in range(number + 1, number + 7)]
            order.shuffle(looks.sessions)
            await until(pilot, partial(is_listed, app, looks))
            await pilot.press("y")
            await until(pilot, lambda: bool(looks.closed))
            assert looks.closed == [int(asked)]
            looks.closed.clear()


async def test_pool_of_a_request_that_has_only_just_slid_under_the_cursor_is_not_meant(
    looks: LooksDouble, socket: Path
) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        app = await at_requests(pilot, looks)
        looks.lines += [log_line()]
        await until_shown(pilot, "/api/v1")
        pane = pane_of(app)
        assert pane.pool_here == "app"
        pane.table.hand.startle()
        assert pane.pool_here == ""


async def test_read_only_console_closes_nothing(looks: LooksDouble, socket: Path) -> None:
    looks.sessions = [session(7, 12.4)]
    async with LbappConsole(socket, read_only=True).run_test(size=SIZE) as pilot:
        app = await at_requests(pilot, looks)
        await pilot.press("i")
        await until_shown(pilot, "!12.4s HEADERS")
        await pilot.press("C", "y")
        await pilot.press("enter")
        await until_shown(pilot, "/export/7")
        assert not isinstance(app.screen, Question)
        assert looks.closed == []


async def test_enter_tells_where_the_time_went_and_why_this_server(looks: LooksDouble, socket: Path) -> None:
    looks.decisions, looks.previews = [decision(port=1), decision()], [decision(server="app/s3")]
    async with LbappConsole(socket).run_test(size=(100, 40)) as pilot:
        await at_requests(pilot, looks)
        looks.lines += [log_line(server="app/s2")]
        await until_shown(pilot, "/api/v1")
        await pilot.press("enter")
        for text in (
            "192.0.2.9:51322 -> web -> app/s2",
            "wait            11ms     ███",
            "completed",
            " > app/s2  its turn",
        ):
            await until_shown(pilot, text)
        await until_shown(pilot, " - app/s3  DRAIN")
        assert ("recorded", {"pool": "app", "client": "192.0.2.9", "limit": "200"}) in looks.decision_queries


async def test_request_of_which_no_decision_was_recorded_has_how_one_would_be_made(
    looks: LooksDouble, socket: Path
) -> None:
    looks.previews = [decision(server="app/s3", by="hash")]
    async with LbappConsole(socket).run_test(size=(100, 40)) as pilot:
        await at_requests(pilot, looks)
        looks.lines += [log_line(**LOST)]
        await until_shown(pilot, "/auth/login")
        await pilot.press("enter")
        await until_shown(pilot, "by limit in phase queue: queue timeout")
        await until_shown(pilot, "No decision of this request was recorded")
        await until_shown(pilot, "now: pool app -> app/s3 by hash")


async def test_top_groups_the_sample_and_enter_shows_what_is_in_a_group(looks: LooksDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        app = await at_requests(pilot, looks)
        looks.lines += [log_line(), log_line(), log_line(**LOST)]
        await until_shown(pilot, "1 of 3")
        await pilot.press("b")
        await until_shown(pilot, "GET /api/v1/items")
        await until_shown(pilot, "by route (b), of 3")
        await pilot.press("b", "b")
        await until_shown(pilot, "by status (b)")
        await until_shown(pilot, "503")
        await pilot.press("down", "enter")
        await until(pilot, lambda: looks.followers == [SENT | {"status": "503-503"}])
        assert app.shell.here == Place("requests", "status=503")
        assert "[stream]" in screen_text(app)
        await pilot.press("escape")
        await until(pilot, lambda: looks.followers == [SENT])
        looks.lines += [log_line(status=404)]
        await pilot.press("b")
        await until_shown(pilot, "by status (b), of 1")


async def test_malformed_has_the_byte_that_was_wrong_marked(looks: LooksDouble, socket: Path) -> None:
    looks.captures = [capture()]
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_requests(pilot, looks)
        await pilot.press("left")
        await until_shown(pilot, "GET /a>\\x00<b HTTP")
        await until_shown(pilot, "3 not looked at")
        await pilot.press("enter")
        await until_shown(pilot, "║ GET /a\\x00b HTTP/1.1")
        await until_shown(pilot, "║       ^^^^ ")


async def test_held_list_stands_still_and_follows_again_from_the_newest(looks: LooksDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        app = await at_requests(pilot, looks)
        looks.lines += [log_line(target="/before")]
        await until_shown(pilot, "/before")
        await pilot.press("f")
        looks.lines += [log_line(target="/behind")]
        await until(pilot, lambda: len(pane_of(app).looked_at.shown.recent) == 2)
        await until_shown(pilot, "held (f)")
        assert "/behind" not in screen_text(app)
        await pilot.press("f")
        await until_shown(pilot, "/behind")


async def test_o_goes_to_the_server_of_a_request_and_w_asks_about_its_pool(looks: LooksDouble, socket: Path) -> None:
    looks.previews = [decision()]
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        app = await at_requests(pilot, looks)
        looks.lines += [log_line()]
        await until_shown(pilot, "/api/v1")
        await pilot.press("W", *"198.51.100.7", "enter")
        await until_shown(pilot, "now: pool app -> app/s2 by round_robin")
        assert ("preview", {"pool": "app", "client": "198.51.100.7"}) in looks.decision_queries
        await pilot.press("escape", "o")
        await until(pilot, lambda: app.shell.here == Place("server", "app/s1"))


async def test_names_in_requests_are_drawn_as_they_are(looks: LooksDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_requests(pilot, looks)
        looks.lines += [log_line(target="/[red]x\x1b[2J")]
        await until_shown(pilot, "/[red]x·[2J")


async def test_thousands_of_lines_at_once_never_hold_the_console_up(looks: LooksDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=(120, 40)) as pilot:
        app = await at_requests(pilot, looks)
        began = time.monotonic()
        looks.lines += [log_line()]
        await until_shown(pilot, "/api/v1")
        shown = pane_of(app).looked_at.shown
        longest = []
        for burst in range(3):  # the least of three: a block of the console's own comes every time
            lines = [log_line(target=f"/{burst}/{number}", total_us=burst * 5_000 + number) for number in range(5_000)]
            async with longest_block() as blocks:
                looks.lines += lines
                await until(pilot, lambda: shown.rows[0].target == looks.last_target)
            longest.append(max(blocks))
        assert min(longest) < 0.05
        await until_shown(pilot, "/2/4999")
        assert len(shown.rows) <= ROWS_PER_S * (1 + time.monotonic() - began)


@asynccontextmanager
async def longest_block() -> AsyncIterator[list[float]]:
    """Note how long the event loop was held up, in seconds of its thread's own time: what others do here is no block."""
    blocks: list[float] = []

    async def watch() -> None:
        while True:
            before = time.thread_time()
            await anyio.sleep(0.005)
            blocks.append(time.thread_time() - before)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        yield blocks
        tasks.cancel_scope.cancel()


async def test_screens_too_small_are_drawn_as_far_as_they_go(looks: LooksDouble, socket: Path) -> None:
    looks.sessions = [session(1, 1.0)]
    async with LbappConsole(socket).run_test(size=(40, 12)) as pilot:
        await at_requests(pilot, looks)
        looks.lines += [log_line()]
        await until_shown(pilot, "200 GET")
        for _ in range(6):
            await pilot.press("right")
        await until_shown(pilot, "[stream]")


async def test_engine_without_a_log_says_why_nothing_comes(socket: Path) -> None:
    engine = EngineDouble()
    engine.looks.refuses_log = True
    with answering(engine, socket):
        async with LbappConsole(socket).run_test(size=SIZE) as pilot:
            await until_shown(pilot, "LIVE")
            await pilot.press("4")
            await until_shown(pilot, "! there is no log here. Look elsewhere")


async def test_linux_console_can_draw_every_view_and_page(
    looks: LooksDouble, socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "linux")
    looks.sessions, looks.captures, looks.decisions = [session(1, 12.4)], [capture()], [decision()]
    async with LbappConsole(socket).run_test(size=(120, 40)) as pilot:
        app = await at_requests(pilot, looks)
        looks.lines += [log_line(), log_line(**LOST)]
        await until_shown(pilot, "1 of 2")
        for view in ("in flight", "slow", "failing", "top", "malformed", "stream"):
            await pilot.press("right")
            await until_shown(pilot, f"[{view}]")
            assert unsafe_letters(app) == set()
        await pilot.press("enter")
        await until_shown(pilot, "WHY THIS SERVER")
        assert unsafe_letters(app) == set()


def unsafe_letters(app: LbappConsole) -> set[str]:
    """Return what the Linux console's own font cannot draw of what is on the screen."""
    text = screen_text(app).replace("\n", "")
    return {letter for letter in text if not letter.isascii() and letter not in VT_SAFE}
