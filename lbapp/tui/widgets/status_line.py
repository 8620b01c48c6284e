"""The lines around the tables: what the node is and how fresh the figures are, tabs, outcome, keys.

Responsible for one line of text, drawn as it is and never read as markup, and for the words of the top line. Knows
nothing of keys or screens. Invariant: the top line always says LIVE, PAUSED, STALE with the age, or WAITING.
"""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from lbapp.control.wording import node_state
from lbapp.tui.format import brief_duration, clock, count, duration, size
from lbapp.tui.scene import Scene


class TextLine(Static):
    """One line of plain text. `wraps`: more lines, where its style lets it be higher."""

    def __init__(self, text: str = "", *, id: str | None = None, wraps: bool = False) -> None:  # noqa: A002 - Textual's own name
        super().__init__(Text(text, no_wrap=not wraps), id=id, markup=False)
        self.text = text
        self._wraps = wraps

    def say(self, text: str) -> None:
        """Show this text."""
        if text != self.text:
            self.text = text
            self.update(Text(text, no_wrap=not self._wraps, overflow="fold" if self._wraps else "crop"))


class StatusLine(TextLine):
    """The top line."""

    def tell(self, scene: Scene | None, freshness: str, rights: str) -> None:
        """Show how the node is. `freshness`: LIVE, PAUSED, STALE 4s, WAITING and such."""
        self.set_class(not freshness.startswith("LIVE"), "-attention")
        self.say(describe(scene, freshness, rights, self.size.width))


def describe(scene: Scene | None, freshness: str, rights: str, width: int) -> str:
    """Return the words of the top line, what matters first, in at most `width` cells."""
    if scene is None or scene.engine is None:
        return f" lbapp  {freshness} "
    engine = scene.engine
    rate = sum(pool.requests_per_s or 0.0 for pool in scene.pools)
    cpu = "-" if engine["cpu_percent"] is None else f"{engine['cpu_percent']:.0f}%"
    serving = sum(worker["phase"] == "serving" for worker in engine["workers"])
    left = f" lbapp {engine['node']}  {freshness}  {rights}  {node_state(engine, scene.at, brief_duration)}"
    right = " ".join(
        [f"{count(rate)} req/s ", f"{serving}/{len(engine['workers'])} workers ", f"cpu {cpu} ", clock(scene.at)]
    )
    rest = f"up {duration(engine['uptime_s'])}  {size(engine['memory_bytes'])}  "
    if len(left) + len(rest) + len(right) + 4 <= width:
        right = rest + right
    return f"{left}  {right.rjust(width - len(left) - 3)} "
