from __future__ import annotations

import pytest

from lbapp.tui.actions.finding import Choice
from lbapp.tui.dialogs.palette import Palette
from tests.tui.dialogs.support import showing

pytestmark = pytest.mark.anyio


def choices(count: int) -> list[Choice]:
    servers = [Choice(f"server app/s{number}", f"app/s{number}", f"10.0.0.{number}:80") for number in range(count)]
    return [Choice("act drain", "drain", "no new clients", why_not="select a server first"), *servers]


async def test_letters_find_and_enter_chooses_among_a_thousand() -> None:
    async with showing(Palette(choices(1_000))) as shown:
        await shown.press(*"s42")
        await shown.until("find: s42")
        await shown.press("down", "enter")
        assert (await shown.answered()).startswith("server app/s42")


async def test_what_is_not_possible_or_not_there_says_so() -> None:
    async with showing(Palette(choices(3))) as shown:
        await shown.press(*"drain", "enter")
        await shown.until("! drain: select a server first")
        await shown.press("x", "enter")
        await shown.until("! nothing is named so")
        await shown.press("escape")
        assert await shown.answered() is None
