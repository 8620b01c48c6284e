from __future__ import annotations

import pytest

from lbapp.tui.dialogs.help import Help, matching
from tests.tui.dialogs.support import showing

pytestmark = pytest.mark.anyio
LINES = ["MOVE", " up  up", "", "CHANGE", " d  drain", " m  [b]maint", *(f" {number}  screen" for number in range(40))]


async def test_help_scrolls_to_its_end_at_80x24_and_closes() -> None:
    async with showing(Help(LINES)) as shown:
        await shown.until("up and down scroll, / searches, Esc closes")
        await shown.until("[b]maint")
        assert " 39  screen" not in shown.text
        await shown.press("end")
        await shown.until(" 39  screen")
        await shown.press("escape")
        assert await shown.answered() is None


async def test_search_shows_what_has_it_and_escape_shows_all_again() -> None:
    async with showing(Help(LINES)) as shown:
        await shown.press("slash", *"drain")
        await shown.until("/drain")
        await shown.until(" d  drain")
        assert "MOVE" not in shown.text
        await shown.press("escape")
        await shown.until("MOVE")
        assert shown.answers == []


def test_lines_are_found_below_their_heading() -> None:
    assert matching(LINES, "DRAIN") == ["CHANGE", " d  drain"]
    assert matching(LINES, " ") == LINES
    assert matching(LINES, "zebra") == [" nothing has that"]
