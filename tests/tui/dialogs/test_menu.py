from __future__ import annotations

import pytest

from lbapp.tui.actions.finding import Choice
from lbapp.tui.dialogs.menu import Menu
from tests.tui.dialogs.support import showing

pytestmark = pytest.mark.anyio


CHOICES = [
    Choice("drain", "drain", "B", "d"),
    Choice("maint", "[b]maint", "B", "m", why_not="in MAINT already"),
    Choice("heavier", "weight + 10", "A", "+"),
]
KEYS = {"d": "drain", "m": "maint", "plus": "heavier"}


@pytest.mark.parametrize(
    ("keys", "answer"),
    [("enter", "drain"), ("d", "drain"), ("down down enter", "heavier"), ("plus", "heavier"), ("escape", None)],
)
async def test_key_or_enter_chooses(keys: str, answer: str | None) -> None:
    async with showing(Menu("Actions", CHOICES, KEYS)) as shown:
        await shown.press(*keys.split())
        assert await shown.answered() == answer


async def test_click_chooses_what_is_possible() -> None:
    async with showing(Menu("Actions", CHOICES, KEYS)) as shown:
        await shown.until("maint")
        await shown.pilot.click("#menu-choices", offset=(8, 1))
        await shown.until("! [b]maint: in MAINT already")
        assert shown.answers == []
        await shown.pilot.click("#menu-choices", offset=(8, 2))
        assert await shown.answered() == "heavier"


async def test_what_is_not_possible_says_why_and_is_not_chosen() -> None:
    async with showing(Menu("Actions", CHOICES, KEYS)) as shown:
        await shown.until("(in MAINT already)")
        await shown.press("m", "down", "enter")
        await shown.until("! [b]maint: in MAINT already")
        assert shown.answers == []
