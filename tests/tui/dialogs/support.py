"""An application that shows one dialog and keeps what it answered.

Responsible for pressing keys and for waiting for what is drawn. Knows nothing of the dialogs.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from textual.pilot import Pilot
from textual.screen import ModalScreen

from lbapp.tui.dressed import Dressed, Look
from lbapp.tui.glyphs import FULL

DEADLINE_S = 25.0


class Shown:
    """One dialog in sight. `answers`: what it was dismissed with, once it was."""

    def __init__(self, pilot: Pilot[Any], answers: list[Any]) -> None:
        self.pilot = pilot
        self.answers = answers

    @property
    def text(self) -> str:
        """What is drawn."""
        lines = self.pilot.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in lines)

    async def press(self, *keys: str) -> None:
        """Press keys one behind the other."""
        await self.pilot.press(*keys)

    async def until(self, text: str) -> None:
        """Wait for a text."""
        deadline = time.monotonic() + DEADLINE_S
        while text not in self.text:
            assert time.monotonic() < deadline, self.text
            await self.pilot.pause(0.02)

    async def answered(self) -> Any:
        """Wait for the answer."""
        deadline = time.monotonic() + DEADLINE_S
        while not self.answers:
            assert time.monotonic() < deadline, self.text
            await self.pilot.pause(0.02)
        return self.answers[-1]


@asynccontextmanager
async def showing(dialog: ModalScreen[Any], size: tuple[int, int] = (80, 24)) -> AsyncIterator[Shown]:
    """Show a dialog, and keep its answer."""
    app = Dressed(Look("dark", FULL))
    answers: list[Any] = []
    async with app.run_test(size=size) as pilot:
        app.push_screen(dialog, answers.append)
        await pilot.pause()
        yield Shown(pilot, answers)
