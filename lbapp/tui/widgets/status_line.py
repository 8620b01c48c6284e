"""The lines around the tables: what the node is and how fresh the figures are, tabs, outcome, keys.

Responsible for one line of text, drawn as it is and never read as markup, and for the words of the top line. Knows
nothing of keys or screens. Invariant: the top line always says LIVE, PAUSED, STALE with the age, WAITING, or which time or
file is shown.
"""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from lbapp.control.wording import node_state
from lbapp.tui.format import brief_duration, clock, count, duration, size
from lbapp.tui.scene import Scene
from lbapp.tui.source import Source


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
            drawn = Text(text, no_wrap=not self._wraps, overflow="fold" if self._wraps else "crop")
            self.update(drawn, layout=self._wraps)  # one line takes the same room whatever it says


class StatusLine(TextLine):
    """The top line."""

    def tell(self, source: Source, freshness: str, rights: str) -> None:
        """Show how the node is. `freshness`: LIVE, PAUSED, STALE 4s, WAITING and such."""
        self.set_class(not freshness.startswith("LIVE"), "-attention")
        self.say(describe(source.scene, source.title, (freshness, rights), self.size.width))


def describe(scene: Scene | None, title: str, how: tuple[str, str], width: int) -> str:
    """Return the words of the top line, what matters first, in at most `width` cells. `how`: freshness and rights."""
    whose = f"{title}  " if title else ""
    if scene is None:
        return f" lbapp {whose} {how[0]} "
    left = f" lbapp {whose}{'  '.join(how)}"
    rate = f"{count(scene.requests_per_s or 0.0)} req/s"
    engine, was = scene.engine, scene.node_was
    if engine is None:
        right = f"{rate}  cpu {_percent(was['cpu_percent'])}  {size(was['memory_bytes'])}" if was else rate
        return f"{left}  {right.rjust(width - len(left) - 3)} "
    serving = sum(worker["phase"] == "serving" for worker in engine["workers"])
    left += f"  {node_state(engine, scene.at, brief_duration)}"
    workers = f"{serving}/{len(engine['workers'])} workers"
    more = f"up {duration(engine['uptime_s'])}  {size(engine['memory_bytes'])}"
    cpu, time = f"cpu {_percent(engine['cpu_percent'])}", clock(scene.at)
    # As much as there is room for behind a long name; the time stays to the last.
    fuller = ([more, rate, workers, cpu, time], [rate, workers, cpu, time], [rate, cpu, time], [rate, time], [time])
    wordings = ["  ".join(parts) for parts in fuller]
    right = next((each for each in wordings if len(left) + len(each) + 4 <= width), wordings[-1])
    return f"{left}  {right.rjust(width - len(left) - 3)} "


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}%"
