"""A file instead of an engine."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from lbapp.control import calls
from lbapp.control.calls import Call
from lbapp.control.recall import Past
from lbapp.model.amounts import Subject
from lbapp.model.errors import LbappError, RequestRefused
from lbapp.tui.app import LbappConsole
from lbapp.tui.kept import kept_history
from lbapp.tui.travel import Start
from tests.control.test_recall import hour
from tests.tui.console import SIZE, screen_text, until, until_shown

pytestmark = pytest.mark.anyio


def clock(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%H:%M:%S")


async def test_history_without_an_engine_is_looked_at_from_its_end_backwards() -> None:
    app = LbappConsole(kept_history("history-1", hour()))
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "HISTORY")
        await pilot.press("3")
        await until_shown(pilot, "app/s2")
        assert app.shell.source.now() == 200.0
        assert "  RO" in screen_text(app).splitlines()[0]
        await pilot.press("left_square_bracket")
        await until_shown(pilot, f"PAST {clock(199.0)} (1s before)")
        await pilot.press("t", *"-100s", "enter")
        await until(pilot, lambda: app.shell.source.now() == 120.0)
        await until_shown(pilot, "counted over 1m00s")
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: app.shell.source.now() == 60.0)
        await pilot.press("left_square_bracket")
        await until_shown(pilot, "! nothing is recorded")
        await pilot.press("d", "0")
        await until_shown(pilot, "HISTORY")


async def test_history_can_be_opened_at_a_time() -> None:
    app = LbappConsole(kept_history("history-1", hour()), start=Start(190.2))
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, f"PAST {clock(190.0)}")


async def test_file_answers_what_it_has_and_refuses_all_else_in_a_sentence() -> None:
    kept = kept_history("history-1", hour())
    found = await kept.ask(calls.course(Subject("server", "app/s1"), 5.0, 1))
    assert [point["at"] for point in found["points"]] == [196.0, 197.0, 198.0, 199.0, 200.0]
    refused: list[tuple[Call[Any], str]] = [
        (calls.decisions({}), "this history has no decisions"),
        (calls.probes("app/s1"), "this history has no probes"),
        (calls.server("app/s1"), "this history has no figures of a server beyond the tables"),
        (calls.confirm({}), "a history cannot be changed"),
    ]
    for call, sentence in refused:
        with pytest.raises(RequestRefused, match=sentence):
            await kept.ask(call)
    with pytest.raises(RequestRefused, match="no live requests"):
        async for _ in kept.follow_log({}):
            pass


def test_history_of_nothing_is_refused() -> None:
    with pytest.raises(LbappError, match="nothing is recorded in history-1"):
        kept_history("history-1", Past())
