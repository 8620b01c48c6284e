from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot

from lbapp.tui.app import LbappConsole
from lbapp.tui.dialogs.question import Question
from tests.tui.console import SIZE, at_servers, screen_text, until, until_shown
from tests.tui.engine_double import EngineDouble, answering, server
from tests.tui.fleet_double import ALONE, fleet_of, member, member_state, node_drain, routes_report, three_nodes

pytestmark = pytest.mark.anyio
WIDE = (120, 40)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


@pytest.fixture
def double(socket: Path) -> Iterator[EngineDouble]:
    engine = EngineDouble([server("app", f"s{number}") for number in range(1, 6)])
    engine.fleet.status = three_nodes()
    with answering(engine, socket):
        yield engine


async def until_said(pilot: Pilot[None], text: str) -> None:
    """Wait for words on the line of outcomes, however they are wrapped."""
    await until(pilot, lambda: text in pilot.app.shell._said.text)  # type: ignore[attr-defined]  # the console


def is_asking(pilot: Pilot[None]) -> bool:
    return isinstance(pilot.app.screen, Question)


async def at_nodes(pilot: Pilot[None]) -> None:
    await until_shown(pilot, "LIVE")
    await pilot.press("7")
    await until_shown(pilot, "fleet prod")
    await until_shown(pilot, "lb3")


# ---- for this node or for all


@pytest.mark.parametrize("size", [SIZE, WIDE])
async def test_drain_is_for_this_node_alone_unless_its_dialog_is_told_otherwise(
    double: EngineDouble, socket: Path, size: tuple[int, int]
) -> None:
    async with LbappConsole(socket).run_test(size=size) as pilot:
        await at_servers(pilot)
        await pilot.press("d")
        await until_shown(pilot, "On node-a ALONE: lb2, lb3 go on as before.")
        await until_shown(pilot, "All nodes [ ]")
        await pilot.press("y")
        await until_shown(pilot, "app/s1: state READY -> DRAIN")
        assert "fleet" not in double.changing.asked[-1][2]


@pytest.mark.parametrize("size", [SIZE, WIDE])
async def test_choice_in_the_dialog_names_the_nodes_and_the_outcome_does_too(
    double: EngineDouble, socket: Path, size: tuple[int, int]
) -> None:
    async with LbappConsole(socket).run_test(size=size) as pilot:
        await at_servers(pilot)
        await pilot.press("d")
        await until_shown(pilot, "On node-a ALONE")
        await pilot.press("up", "space")  # from Cancel to the choice above it
        await until_shown(pilot, "On ALL 3 nodes that live: node-a, lb2, lb3.")
        await until_shown(pilot, "All nodes [x]")
        await pilot.press("down", "y")
        await until_said(pilot, "on all nodes that live: node-a, lb2, lb3")
        assert double.changing.asked[-1][2]["fleet"] is True


async def test_key_sets_the_console_to_all_nodes_and_the_top_line_says_so_until_it_is_pressed_again(
    double: EngineDouble, socket: Path
) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("F")
        await until_shown(pilot, "RW ALL NODES")
        await until_said(pilot, "is for ALL 3 nodes of prod")
        await pilot.press("plus")
        await until_said(pilot, "on all nodes that live: node-a, lb2, lb3")
        assert double.changing.asked[-1][2]["fleet"] is True
        await pilot.press("F")
        await until(pilot, lambda: "ALL NODES" not in screen_text(pilot.app))  # type: ignore[arg-type]  # the console
        await pilot.press("minus")
        await until(pilot, lambda: len(double.changing.asked) == 2)
        assert "fleet" not in double.changing.asked[-1][2]


async def test_weight_and_publication_may_be_for_all_nodes(double: EngineDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("w", *"50", "tab", "space", "tab", "y")
        await pilot.press("escape") if is_asking(pilot) else None
        await until(pilot, lambda: double.changing.asked)
        assert (double.changing.asked[-1][2]["weight"], double.changing.asked[-1][2]["fleet"]) == (50, True)
        await pilot.press("colon", *"unpublish app --fleet", "enter")
        await until_shown(pilot, "On ALL 3 nodes that live")
        await pilot.press("y")
        await until_shown(pilot, "app is unpublished")
        assert double.changing.asked[-1][2]["fleet"] is True


async def test_silent_store_lets_nothing_be_done_on_all_nodes_and_nothing_else_is_done_instead(
    double: EngineDouble, socket: Path
) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("F")
        double.fleet.status = three_nodes(state="stale", age_s=42.0)
        await until(pilot, lambda: pilot.app.shell.fleet["state"] == "stale")  # type: ignore[attr-defined]  # the console
        await pilot.press("plus", "d")
        await until_said(pilot, "! the store does not answer, so nothing can be changed on all nodes")
        assert not is_asking(pilot)
        assert double.changing.asked == []
        await pilot.press("F", "plus")
        await until(pilot, lambda: double.changing.asked)
        assert "fleet" not in double.changing.asked[-1][2]


async def test_node_that_does_not_say_that_it_has_it_is_named(double: EngineDouble, socket: Path) -> None:
    double.fleet.is_slow = True
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("F", "plus")
        await until_said(pilot, "node-a has it; not yet said by lb2, lb3")


async def test_undo_of_an_action_of_the_fleet_says_on_which_nodes(double: EngineDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("F", "plus")
        await until_said(pilot, "on all nodes that live: node-a, lb2, lb3")
        await until_shown(pilot, "undo z: weight 110 app/s1 on all nodes")
        await pilot.press("z")
        await until_said(pilot, "undone: app/s1: weight 110 -> 100")
        await until_said(pilot, "on all nodes that live: node-a, lb2, lb3")
        await pilot.press("Z")
        await until_said(pilot, "done again: weight 110 app/s1 on all nodes")
        await until_said(pilot, "on all nodes that live: node-a, lb2, lb3")
        assert double.changing.asked[-1][:2] == ("POST", "/v1/undo")  # the engine's own: one action, on every node


async def test_console_of_a_node_that_is_alone_has_no_such_key_and_no_choice(
    double: EngineDouble, socket: Path
) -> None:
    double.fleet.status = ALONE
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("F", "d")
        await until_shown(pilot, "4 of 5 servers of app stay")
        assert "All nodes" not in screen_text(pilot.app)  # type: ignore[arg-type]  # the console
        assert "ALONE" not in screen_text(pilot.app)  # type: ignore[arg-type]  # the console


async def test_news_of_what_was_done_does_not_take_the_place_of_a_refusal(double: EngineDouble, socket: Path) -> None:
    double.fleet.is_slow = True
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("F", "plus")
        await until_said(pilot, "not yet said by lb2, lb3")
        await pilot.press("S")
        await until_said(pilot, "! no configuration waits to be confirmed")
        news = pilot.app.shell.changes._news  # type: ignore[attr-defined]  # the console
        assert news._last == ("no configuration waits to be confirmed", False)


async def test_what_is_so_here_already_is_asked_for_on_all_nodes(double: EngineDouble, socket: Path) -> None:
    double.servers[0]["admin"], double.servers[0]["is_eligible"] = "maint", False
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("colon", *"maint app/s1", "enter")
        await until_said(pilot, "! in MAINT already")
        await pilot.press("F", "colon", *"maint app/s1", "enter")
        await until_shown(pilot, "On ALL 3 nodes that live")
        await pilot.press("y")
        await until(pilot, lambda: double.changing.asked)
        assert double.changing.asked[-1][2]["fleet"] is True


async def test_key_goes_back_to_this_node_when_the_fleet_is_gone(double: EngineDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("F")
        double.fleet.status = ALONE  # `[cluster]` has left the file
        await until(pilot, lambda: pilot.app.shell.fleet is None)  # type: ignore[attr-defined]  # the console
        await pilot.press("plus")
        await until_said(pilot, "! this node is in no fleet: F goes back to this node alone")
        await pilot.press("F")
        await until_said(pilot, "is for this node alone")
        await pilot.press("plus")
        await until(pilot, lambda: double.changing.asked)
        assert "fleet" not in double.changing.asked[-1][2]


# ---- nodes


@pytest.mark.parametrize("size", [SIZE, WIDE])
async def test_node_under_the_cursor_is_drained_after_its_steps_were_shown(
    double: EngineDouble, socket: Path, size: tuple[int, int]
) -> None:
    async with LbappConsole(socket).run_test(size=size) as pilot:
        await at_nodes(pilot)
        await pilot.press("down", "N")
        for text in (
            "Drain node lb2?",
            "Steps: 1 its record leaves DNS, 20s, 2 210 connections are asked to leave",
            "2 of 3 nodes are ready then.",
            "! In step 3, established connections END",
            "Then stop",
        ):
            await until_shown(pilot, text)
        await pilot.press("y")
        await until_shown(pilot, "lb2 drains: clients are asked to leave")
        body = double.changing.asked[-1][2]
        assert (body["node"], body["state"]) == ("lb2", "drain")
        await until_shown(pilot, "DRAIN")
        await pilot.press("E")
        await until_shown(pilot, "nobody is asked to leave lb2 any more")
        assert double.changing.asked[-1][2]["state"] == "ready"


async def test_this_node_is_drained_from_any_other_screen_and_its_dialog_names_it(
    double: EngineDouble, socket: Path
) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("N")
        await until_shown(pilot, "Drain this node, node-a?")
        await pilot.press("up", "space", "down", "y")
        await until_said(pilot, "the node drains: clients are asked to leave, and its engine ends then")
        body = double.changing.asked[-1][2]
        assert ("node" in body, body["then_stop"]) == (False, True)


async def test_too_few_nodes_are_forced_only_when_the_node_is_typed(double: EngineDouble, socket: Path) -> None:
    double.fleet.quorum = "1 of 3 nodes would be ready then, fewer than 2"
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_nodes(pilot)
        await pilot.press("down", "N")
        await until_shown(pilot, "Steps: 1")
        await pilot.press("y")
        await until_shown(pilot, "! 1 of 3 nodes would be ready then")
        await until_shown(pilot, "Type lb2:")
        await pilot.press(*"lb2", "enter")
        await until_shown(pilot, "lb2 drains")
        assert double.changing.asked[-1][2]["force"] is True


async def test_node_that_was_started_again_while_its_dialog_was_open_is_left_alone(
    double: EngineDouble, socket: Path
) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_nodes(pilot)
        await pilot.press("down", "N")
        await until_shown(pilot, "Steps: 1")
        double.fleet.member("lb2")["started_at"] += 60
        await pilot.press("y")
        await until_shown(pilot, "! lb2 was started again meanwhile; nothing was done")
        assert double.changing.asked == []


async def test_no_node_is_meant_while_another_one_has_slid_under_the_cursor(double: EngineDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_nodes(pilot)
        await pilot.press("down")
        double.fleet.status["members"] = [each for each in double.fleet.status["members"] if each["name"] != "lb2"]
        await until(pilot, lambda: "lb2" not in screen_text(pilot.app))  # type: ignore[arg-type]  # the console
        await pilot.press("N")
        await until_shown(pilot, "! select a node first")
        assert not is_asking(pilot)


async def test_command_line_drains_a_node_by_its_name_and_says_which_there_are(
    double: EngineDouble, socket: Path
) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("colon", *"node drain lb9", "enter")
        await until_shown(pilot, "! no node that lives is named lb9: there are node-a, lb2, lb3")
        await pilot.press("colon", *"node drain lb3 2m", "enter")
        await until_shown(pilot, "Drain node lb3?")
        await until_shown(pilot, "Steps: 1")
        await pilot.press("y")
        await until_shown(pilot, "lb3 drains")
        assert (double.changing.asked[-1][2]["node"], double.changing.asked[-1][2]["drain_timeout_s"]) == ("lb3", 120.0)


async def test_what_cannot_be_known_of_a_node_is_said_in_its_dialog(double: EngineDouble, socket: Path) -> None:
    report = routes_report(ecmp="handoff")
    double.fleet.status = fleet_of(
        member("node-a"), member("lb2", state=member_state(announce=report, dns=None)), state="stale", age_s=42.0
    )
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_nodes_of_two(pilot)
        await pilot.press("down", "N")
        await until_shown(pilot, "whether enough nodes are ready cannot be known")
        await until_shown(pilot, "In step 2, established connections stay.")


async def at_nodes_of_two(pilot: Pilot[None]) -> None:
    await until_shown(pilot, "LIVE")
    await pilot.press("7")
    await until_shown(pilot, "lb2")


async def test_step_and_countdown_of_a_drain_are_in_sight(double: EngineDouble, socket: Path) -> None:
    state = double.fleet.member("lb2")["state"]
    assert state is not None
    state["drain"] = node_drain()
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_nodes(pilot)
        await pilot.press("down", "enter")
        await until_shown(pilot, "step 1 of 5: its records leave DNS;")
        await until_shown(pilot, "s at most")
