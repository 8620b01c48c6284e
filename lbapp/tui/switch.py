"""Which source the screens look at: the one that the console was opened with, or a moment of its past.

Responsible for turning from one to the other under screens that keep hold of this one object. Knows nothing of either. Invariant:
an answer that was asked for at one moment is not taken for one of another, so the present is never shown as the past.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from lbapp.control.calls import Answer, Call
from lbapp.control.config_file import ConfigFile
from lbapp.control.looking import LogLine, Skipped
from lbapp.control.messages import Event
from lbapp.model.errors import RequestRefused
from lbapp.tui.scene import Scene
from lbapp.tui.source import Source
from lbapp.tui.trends import Trends


class Switch:
    """A source that is another one at a time. `home`: the one it was made with; `seen`: the one that is looked at."""

    def __init__(self, home: Source) -> None:
        self.home = home
        self.seen = home
        self.turns = 0
        self.trends: Trends = _TrendsOf(self)

    @property
    def is_away(self) -> bool:
        """Say whether another moment than the newest is looked at."""
        return self.seen is not self.home

    def turn(self, to: Source) -> None:
        """Look at another source from now on."""
        self.seen = to
        self.turns += 1

    @property
    def scene(self) -> Scene | None:
        """The scene that is looked at."""
        return self.seen.scene

    @property
    def events(self) -> Sequence[Event]:
        """The events up to then."""
        return self.seen.events

    @property
    def name(self) -> str:
        """What the figures are of."""
        return self.seen.name

    @property
    def title(self) -> str:
        """Whose figures they are."""
        return self.seen.title

    @property
    def is_live(self) -> bool:
        """Say whether the figures are of now."""
        return self.seen.is_live

    @property
    def has_figures(self) -> bool:
        """Say whether figures are as new as states."""
        return self.seen.has_figures

    def rest(self, *, is_resting: bool) -> None:
        """Keep up states alone, or figures, too."""
        self.home.rest(is_resting=is_resting)

    @property
    def is_of_now(self) -> bool:
        """Say whether time passes there."""
        return self.seen.is_of_now

    @property
    def freshness(self) -> str:
        """How fresh the figures are."""
        return self.seen.freshness

    @property
    def problem(self) -> str:
        """Why there are no new figures."""
        return self.seen.problem

    def now(self) -> float:
        """Return the time that the figures are of (Unix seconds)."""
        return self.seen.now()

    def config_file(self, path: str) -> ConfigFile:
        """Return the configuration file at a path of the engine's machine. Raises LbappError where there is none."""
        return self.seen.config_file(path)

    async def ask(self, call: Call[Answer]) -> Answer:
        """Carry a call out. Raises RequestRefused, also when another moment is looked at by then; EngineUnreachable."""
        asked = self.seen
        answer = await asked.ask(call)
        if self.seen is not asked and not call.is_change:
            raise _turned()
        return answer

    async def follow_log(self, query: Mapping[str, str]) -> AsyncIterator[LogLine | Skipped]:
        """Yield exchanges as they end, as long as this source is looked at. Raises RequestRefused, EngineUnreachable."""
        asked = self.seen
        async for line in asked.follow_log(query):
            if self.seen is not asked:
                raise _turned()
            yield line


class _TrendsOf(Trends):
    """The trends of whatever is looked at: tables keep hold of them."""

    def __init__(self, switch: Switch) -> None:
        super().__init__()
        self._switch = switch

    def still(self) -> Trends:
        return self._switch.seen.trends.still()

    def of(self, name: str) -> Sequence[float]:
        return self._switch.seen.trends.of(name)


def _turned() -> RequestRefused:
    return RequestRefused("turned", "another moment is looked at by now", "", 409)
