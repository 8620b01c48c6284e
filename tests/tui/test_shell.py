from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.containers import Container

from lbapp.control.messages import Status
from lbapp.tui.app import LbappConsole
from tests.tui.console import SIZE, at_servers, screen_text, until, until_shown
from tests.tui.engine_double import EngineDouble, answering, drain, server

pytestmark = pytest.mark.anyio


async def test_sort_reverse_and_problems_arrange_the_servers(tmp_path: Path) -> None:
    double = EngineDouble()
    double.servers[1]["health"], double.servers[1]["is_eligible"] = "down", False
    with answering(double, tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=SIZE) as pilot:
            await at_servers(pilot)
            assert [line[5:11] for line in screen_text(app).splitlines()[4:7]] == ["app/s2", "app/s1", "app/s3"]
            await pilot.press("less_than_sign", "less_than_sign", "less_than_sign")
            await until_shown(pilot, "sort req/s")
            await until(
                pilot,
                lambda: [line[5:11] for line in screen_text(app).splitlines()[4:7]] == ["app/s3", "app/s2", "app/s1"],
            )
            await pilot.press("r")
            await until(pilot, lambda: screen_text(app).splitlines()[4][5:11] == "app/s1")
            await pilot.press("exclamation_mark")
            await until_shown(pilot, "1 of 1, 3 in all  ! problems only  sort req/s")


async def test_whoever_leaves_before_the_other_screens_are_made_just_leaves(
    double: EngineDouble, socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lbapp.tui.shell.REST_S", 3_600.0)
    app = LbappConsole(socket)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "LIVE")
        app.shell._content = Container()  # one that is in no tree, as that of a screen that is being taken down
        app.shell._make_the_rest()
        assert len(app.shell._content.children) == 0


async def test_paused_tables_hold_still_until_they_follow_again(tmp_path: Path) -> None:
    double = EngineDouble()
    with answering(double, tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=SIZE) as pilot:
            await at_servers(pilot)
            await pilot.press("p")
            await until_shown(pilot, "PAUSED")
            double.servers[0]["health"] = "down"

            def health() -> str:
                row = app.feed.scene.server("app/s1") if app.feed.scene else None
                return row.health if row else ""

            await until(pilot, lambda: health() == "down")
            assert "DOWN" not in screen_text(app)
            await pilot.press("p")
            await until_shown(pilot, "DOWN")


async def test_paused_list_is_sorted_filtered_and_moved_in_with_the_figures_that_were_there(tmp_path: Path) -> None:
    """Each of these draws rows anew: with other figures it would be no picture of any moment."""
    double = EngineDouble()
    with answering(double, tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=SIZE) as pilot:
            await at_servers(pilot)
            await pilot.press("p")
            await until_shown(pilot, "PAUSED")
            double.servers[0]["health"], double.servers[2]["weight"] = "down", 77

            def news() -> list[object]:
                rows = list(app.feed.scene.servers()) if app.feed.scene else []
                return [(row.health, row.weight) for row in rows]

            await until(pilot, lambda: news() == [("down", 100), ("up", 100), ("up", 77)])
            for keys in (("down", "up"), ("greater_than_sign",), ("r",), ("slash", "s", "enter"), ("right",)):
                await pilot.press(*keys)
                await pilot.pause()
                assert "DOWN" not in screen_text(app), keys
                assert " 77 " not in screen_text(app), keys
            await pilot.press("escape", "slash", *"state:down")
            await until_shown(pilot, "0 of 0, 3 in all")
            await pilot.press("escape", "p")
            await until_shown(pilot, "DOWN")


async def test_keys_that_change_servers_stand_below_only_where_one_is_selected(tmp_path: Path) -> None:
    with answering(EngineDouble(), tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=SIZE) as pilot:
            await until(pilot, lambda: app.feed.is_live)
            for key, is_selected in (
                ("1", False),
                ("2", False),
                ("3", True),
                ("5", False),
                ("enter", False),
                ("3", True),
            ):
                await pilot.press(key)
                await until(pilot, lambda: ("d drain" in screen_text(app).splitlines()[-1]) is is_selected)  # noqa: B023


async def test_what_slid_under_the_cursor_is_named_as_the_reason_why_nothing_is_done(tmp_path: Path) -> None:
    double = EngineDouble()
    with answering(double, tmp_path / "s"):
        async with LbappConsole(tmp_path / "s").run_test(size=SIZE) as pilot:
            await at_servers(pilot)
            await pilot.press("down")
            app = pilot.app
            assert isinstance(app, LbappConsole)
            double.servers.pop(1)
            await until(pilot, lambda: "app/s2" not in screen_text(app))
            await pilot.press("e")
            await until_shown(pilot, "! what was under the cursor has left the list")
            assert double.changing.asked == []
            await pilot.press("up", "e")
            await until(pilot, lambda: double.patches)
            assert [name for name, _ in double.patches] == ["app/s1"]


async def test_whoever_goes_elsewhere_while_paused_sees_where_he_is(tmp_path: Path) -> None:
    """Else keys would be about a server, and the screen about the one before."""
    double = EngineDouble()
    with answering(double, tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=SIZE) as pilot:
            await at_servers(pilot)
            await pilot.press("enter")
            await until_shown(pilot, "app > s1 ")
            await pilot.press("p")
            await until_shown(pilot, "PAUSED")
            await pilot.press("n")
            assert app.shell.pane.selection == ("app/s2",)
            await until_shown(pilot, "app > s2 ")
            await until(pilot, lambda: "PAUSED" not in screen_text(app))


async def test_paused_console_asks_for_states_alone_and_shows_figures_again_only_when_they_are_of_now(
    tmp_path: Path,
) -> None:
    double = EngineDouble()
    with answering(double, tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=SIZE) as pilot:
            await at_servers(pilot)
            await pilot.press("p")
            await until(pilot, lambda: not app.feed.has_figures)
            assert double.followed[-1]["figures"] == "no"
            double.servers[0]["requests_per_s"] = 4321.0
            double.revision += 1
            await until(pilot, lambda: app.feed.scene is not None and app.feed.scene.revision == double.revision)
            assert "PAUSED" in screen_text(app)
            await pilot.press("p")
            seen: list[str] = []
            while not seen or "PAUSED" in seen[-1]:
                seen.append(screen_text(app))
                await pilot.pause(0.01)
            assert "4321" in screen_text(app)
            assert not [text for text in seen if "4321" not in text and "PAUSED" not in text]


async def test_question_above_a_paused_list_has_the_figures_of_now(tmp_path: Path) -> None:
    double = EngineDouble()
    with answering(double, tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=SIZE) as pilot:
            await at_servers(pilot)
            await pilot.press("p")
            await until(pilot, lambda: not app.feed.has_figures)
            double.servers[0]["in_flight"] = 77
            await pilot.press("d")
            await until_shown(pilot, "77 in flight finish")
            await pilot.press("escape")
            await until(pilot, lambda: not app.feed.has_figures)
            assert "PAUSED" in screen_text(app)


async def test_change_without_a_selected_server_says_where_to_select_one(tmp_path: Path) -> None:
    double = EngineDouble()
    with answering(double, tmp_path / "s"):
        async with LbappConsole(tmp_path / "s").run_test(size=SIZE) as pilot:
            await until_shown(pilot, "3/3")
            await pilot.press("d")
            await until_shown(pilot, "select a server first")
    assert double.patches == []


SMALL = [(60, 20), (40, 10), (20, 5)]


@pytest.mark.parametrize("size", SMALL)
async def test_small_screen_says_so_keeps_its_table_and_does_not_break_anywhere(
    size: tuple[int, int], tmp_path: Path
) -> None:
    with answering(EngineDouble(), tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app.feed.is_live)
            for key in (*"1234567", *"2357"):
                await pilot.press(key, "question_mark", "escape", "down", "x", "escape", "s", "escape", "d", "escape")
            await pilot.press("3")
            if size[1] > 5:
                await until_shown(pilot, f"{size[0]}x{size[1]} is small")
                await until_shown(pilot, "app/s1")
            await until_shown(pilot, "3 Servers")
            assert all(len(line) == size[0] for line in screen_text(app).splitlines())


@pytest.mark.parametrize("size", [(80, 24), (60, 20)])
async def test_help_and_quit_stand_below_every_screen_and_no_key_is_cut(size: tuple[int, int], tmp_path: Path) -> None:
    with answering(EngineDouble(), tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app.feed.is_live)
            for key in "1234567":
                await pilot.press(key)
                await until_shown(pilot, f"[{key} ")
                await until(pilot, lambda: "? help" in screen_text(app).splitlines()[-1])
                line = screen_text(app).splitlines()[-1].rstrip()
                assert "q quit" in line
                known = {"is small"} | {binding.binding.description for binding in app.screen.active_bindings.values()}
                assert {word.partition(" ")[2] for word in line.strip().split("  ")} <= known, line


async def test_servers_have_seventeen_rows_at_80x24_and_no_state_is_cut(tmp_path: Path) -> None:
    double = EngineDouble([server("application", f"server-{number:02}") for number in range(40)])
    for one in double.servers[::2]:
        one["health"] = "unknown"
    double.servers[1]["drain"], double.servers[1]["admin"] = drain(remaining_s=59.0), "drain"
    with answering(double, tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=(80, 24)) as pilot:
            await at_servers(pilot)
            await until(pilot, lambda: screen_text(app).count("application/server-") >= 17)
            rows = [line for line in screen_text(app).splitlines() if "application/server-" in line]
            assert all(any(word in row for word in (" UP ", " UNKNOWN ", " DRAIN 5")) for row in rows), rows


async def test_answer_of_another_version_is_one_sentence_that_names_the_field_and_the_console_goes_on(
    tmp_path: Path,
) -> None:
    double = EngineDouble()
    with answering(double, tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=(120, 40)) as pilot:
            await at_servers(pilot)
            await pilot.press("enter")
            await until_shown(pilot, "connect_refused 2")
            del double.servers[0]["failures"]  # type: ignore[misc]  # as an engine that does not know it
            await until_shown(pilot, "failures is missing: another version of lbapp answers")
            await pilot.press("plus")
            await until_shown(pilot, "! changes[0].server.failures is missing: another version")
            await pilot.press("3")
            await until_shown(pilot, "app/s3")
            assert app.return_code is None


async def test_feed_of_another_version_says_so_in_place_of_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EngineDouble, "current", without_a_node(EngineDouble.current))
    with answering(EngineDouble(), tmp_path / "s"):
        async with LbappConsole(tmp_path / "s").run_test(size=SIZE) as pilot:
            await until_shown(pilot, "engine of this version")
            await pilot.press("3", "7", "1")
            assert pilot.app.return_code is None


def without_a_node(current: Callable[[EngineDouble], Status]) -> Callable[[EngineDouble], Status]:
    def found(double: EngineDouble) -> Status:
        status = current(double)
        del status["engine"]["node"]  # type: ignore[misc]  # as an engine that does not know it
        return status

    return found


async def test_filter_that_was_taken_back_is_opened_empty_and_the_keys_say_at_once_that_letters_are_text(
    tmp_path: Path,
) -> None:
    with answering(EngineDouble(), tmp_path / "s"):
        async with LbappConsole(tmp_path / "s").run_test(size=SIZE) as pilot:
            app = pilot.app
            assert isinstance(app, LbappConsole)
            await at_servers(pilot)
            await pilot.press("slash", *"s2")
            await until_shown(pilot, "1 of 1, 3 in all")
            await pilot.press("escape")
            await until_shown(pilot, "d drain")
            await pilot.press("p")  # from now on no news has anything shown
            await until_shown(pilot, "PAUSED")
            await pilot.press("slash")
            await pilot.pause()
            assert app.shell._filter.value == ""
            assert "d drain" not in app.shell._keys.text


async def test_panes_out_of_sight_are_made_behind_the_first_figures(tmp_path: Path) -> None:
    app = LbappConsole(tmp_path / "s")
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "no engine answers")
        assert list(app.shell._panes) == ["overview"]
        await pilot.press("3", "1")  # whoever goes somewhere has it at once
        with answering(EngineDouble(), tmp_path / "s"):
            await until_shown(pilot, "LIVE")
            await until(pilot, lambda: set(app.shell._panes) == set(app.shell.screens))


async def test_dialog_that_asked_the_engine_leaves_nothing_behind(tmp_path: Path) -> None:
    """The timeouts of what it asked are the event loop's for some seconds more."""
    with answering(EngineDouble(), tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=SIZE) as pilot:
            await at_servers(pilot)
            await pilot.press("d")
            await until(pilot, lambda: "[[ Cancel ]]" in (text := screen_text(app)) and "asking" not in text)
            dialog = weakref.ref(app.screen)
            await pilot.press("escape")
            await until(pilot, lambda: gc.collect() >= 0 and dialog() is None, deadline_s=3)
