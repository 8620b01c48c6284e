"""What the panes look at: a source, or one moment of it while the operator has paused.

Responsible for keeping rows, trends and time as they were, so that whatever is drawn anew meanwhile is drawn with the same
figures. Knows nothing of what is drawn. Invariants: what is seen while paused is a copy, which no news changes; all but the
picture itself (questions, freshness, events) is always the source's own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from lbapp.control.calls import Answer, Call
from lbapp.control.config_file import ConfigFile
from lbapp.control.looking import LogLine, Skipped
from lbapp.control.messages import Event
from lbapp.tui.scene import Scene
from lbapp.tui.source import Source
from lbapp.tui.trends import Trends


class Sight:
    """A source that can be paused."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._paused: tuple[Scene, Trends, float] | None = None
        self.trends: Trends = _TrendsOf(self)

    def pause(self) -> None:
        """Look at what is there now, and at nothing newer."""
        scene = self._source.scene
        if scene is not None:
            self._paused = scene.still(), self._source.trends.still(), self._source.now()

    def follow(self) -> None:
        """Look at the newest again."""
        self._paused = None

    @property
    def seen_trends(self) -> Trends:
        """The trends that are looked at."""
        return self._source.trends if self._paused is None else self._paused[1]

    @property
    def scene(self) -> Scene | None:
        """The scene that is looked at."""
        return self._source.scene if self._paused is None else self._paused[0]

    def now(self) -> float:
        """Return the time that the figures are of (Unix seconds)."""
        return self._source.now() if self._paused is None else self._paused[2]

    @property
    def events(self) -> Sequence[Event]:
        """The events up to then."""
        return self._source.events

    @property
    def name(self) -> str:
        """What the figures are of."""
        return self._source.name

    @property
    def title(self) -> str:
        """Whose figures they are."""
        return self._source.title

    @property
    def is_live(self) -> bool:
        """Say whether the figures of the source are of now."""
        return self._source.is_live

    @property
    def has_figures(self) -> bool:
        """Say whether figures of the source are as new as its states."""
        return self._source.has_figures

    def rest(self, *, is_resting: bool) -> None:
        """Have the source keep up states alone, or figures, too."""
        self._source.rest(is_resting=is_resting)

    @property
    def is_of_now(self) -> bool:
        """Say whether time passes there."""
        return self._source.is_of_now

    @property
    def turns(self) -> int:
        """How often another moment was turned to."""
        return self._source.turns

    @property
    def freshness(self) -> str:
        """How fresh the figures of the source are."""
        return self._source.freshness

    @property
    def problem(self) -> str:
        """Why there are no new figures."""
        return self._source.problem

    def config_file(self, path: str) -> ConfigFile:
        """Return the configuration file at a path of the engine's machine. Raises LbappError where there is none."""
        return self._source.config_file(path)

    async def ask(self, call: Call[Answer]) -> Answer:
        """Carry a call out. Raises RequestRefused, EngineUnreachable."""
        return await self._source.ask(call)

    def follow_log(self, query: Mapping[str, str]) -> AsyncIterator[LogLine | Skipped]:
        """Yield exchanges as they end. Raises RequestRefused, EngineUnreachable."""
        return self._source.follow_log(query)


class _TrendsOf(Trends):
    """The trends of whatever is looked at: tables keep hold of them."""

    def __init__(self, sight: Sight) -> None:
        super().__init__()
        self._sight = sight

    def of(self, name: str) -> Sequence[float]:
        return self._sight.seen_trends.of(name)
