"""Driving the console in tests: waiting for what is on the screen.

Responsible for reading the screen as text and for conditions with a deadline. Knows nothing of any engine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from textual._context import visible_screen_stack
from textual.app import App
from textual.pilot import Pilot
from textual.strip import Strip

from lbapp.tui.app import LbappConsole
from tests.naps import naps

SIZE = (80, 24)
DEADLINE_S = 25.0


def screen_text(app: LbappConsole) -> str:
    """Return what is drawn, one line a row."""
    return "\n".join("".join(segment.text for segment in strip) for strip in strips(app))


def strips(app: App[None]) -> list[Strip]:
    """Return the lines of the screen; of those below a dialog, too, which else would be drawn, and kept, as blank."""
    visible_screen_stack.set(app._background_screens)
    return app.screen._compositor.render_strips()


def forgive_late_connects() -> None:
    """Let the loop pass over one race of anyio's, which fails a test that ends while the feed connects.

    `connect_unix` has the loop call `set_result` on a future when the socket is writable; a future cancelled in the same
    round of the loop then raises InvalidStateError, after everybody has gone.
    """
    loop = asyncio.get_running_loop()
    handler = loop.get_exception_handler()
    if handler is None or getattr(handler, "forgives", False):
        return

    def forgiving(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), asyncio.InvalidStateError):
            handler(loop, context)

    forgiving.forgives = True  # type: ignore[attr-defined]  # a mark on a function
    loop.set_exception_handler(forgiving)


async def until(pilot: Pilot[None], condition: Callable[[], object], deadline_s: float = DEADLINE_S) -> None:
    """Let the console run until the condition holds; fail with the screen when it never does."""
    forgive_late_connects()
    deadline, pauses = time.monotonic() + deadline_s, naps()
    while not condition():
        app = pilot.app
        assert isinstance(app, LbappConsole)
        assert time.monotonic() < deadline, screen_text(app)
        await pilot.pause(next(pauses))


async def until_shown(pilot: Pilot[None], text: str) -> None:
    """Wait for a text on the screen."""
    app = pilot.app
    assert isinstance(app, LbappConsole)
    await until(pilot, lambda: text in screen_text(app))


async def at_servers(pilot: Pilot[None]) -> None:
    """Wait for the first status and go to the tab of all servers."""
    await until_shown(pilot, "LIVE")
    await pilot.press("3")
    await until_shown(pilot, "WGT")
