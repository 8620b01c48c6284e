"""What came of an action of the fleet on each node, told while its operator still looks at it.

Responsible for asking for a few seconds which nodes have it, and for that sentence. Knows nothing of what the action was.
Invariants: a node that has not said so is named; once something else was told nothing more is said of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from lbapp.control.fleet import Applied, FleetStatus
from lbapp.control.fleet_words import applied_word, came_of
from lbapp.model.errors import LbappError
from lbapp.tui.format import clean

EVERY_S: Final = 0.5
LOOKS: Final = 12  # a node says what it has every two seconds
Told = tuple[str, bool]  # the words, and whether something is wrong


class FleetNews:
    """What is told last, and what came of it since. `tell` shows words; `ask` asks about the fleet."""

    def __init__(self, tell: Callable[[str, bool], None], ask: Callable[[], Awaitable[FleetStatus]]) -> None:
        self._show = tell
        self._ask = ask
        self._last: Told = ("", False)

    def tell(self, words: str, is_refused: bool) -> None:
        """Show words, and remember that they are the last."""
        self._last = (words, is_refused)
        self._show(words, is_refused)

    def hear(self, words: str) -> None:
        """Know that something else was said since, wherever it came from."""
        if words != self._last[0]:
            self._last = (words, False)

    async def follow(self, applied: Applied) -> None:
        """Tell which nodes have what was told of last, until all do, something else is told, or nobody looks any more."""
        done = self._last
        for _ in range(LOOKS):
            if not applied["waiting"] or not self._go_on(done, applied_word(applied), is_wrong=False):
                break
            await anyio.sleep(EVERY_S)
            try:
                newer = came_of(await self._ask(), applied)
            except LbappError as error:
                self._go_on(done, f"it is not known which nodes have it: {error}", is_wrong=True)
                return
            if newer is None:
                self._go_on(
                    done, "it is written, but the store is silent now: nobody knows which nodes have it", is_wrong=True
                )
                return
            applied = newer
        self._go_on(done, applied_word(applied), is_wrong=bool(applied["waiting"]))

    def _go_on(self, done: Told, where: str, *, is_wrong: bool) -> bool:
        """Show what was done with where it is so; say whether that is still of interest."""
        if not self._last[0].startswith(done[0]):
            return False
        words = (f"{done[0]}   {clean(where)}", done[1] or is_wrong)
        if words != self._last:
            self.tell(*words)
        return True
