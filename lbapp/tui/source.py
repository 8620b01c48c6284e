"""Where the console's figures come from, as the screens know it.

Responsible for the one interface over an engine that answers, an engine's past, and a file that was written for a bug
report. Knows nothing of any of them. Invariant: a source is read by everybody and written by nobody but itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from lbapp.control.calls import Answer, Call
from lbapp.control.config_file import ConfigFile
from lbapp.control.looking import LogLine, Skipped
from lbapp.control.messages import Event
from lbapp.tui.scene import Scene
from lbapp.tui.trends import Trends


class Source(Protocol):
    """The newest that is known."""

    @property
    def scene(self) -> Scene | None:
        """The newest whole picture; None: there is none yet."""

    @property
    def events(self) -> Sequence[Event]:
        """The events that are kept, oldest first, printable."""

    @property
    def trends(self) -> Trends:
        """The short past of every pool and server."""

    @property
    def name(self) -> str:
        """What the figures are of, for people: a socket, a host, a file."""

    @property
    def title(self) -> str:
        """Whose figures they are, as the top line says it: a node, and the host where that is another one; or nothing."""

    @property
    def is_live(self) -> bool:
        """Say whether the figures are of now."""

    @property
    def has_figures(self) -> bool:
        """Say whether figures are as new as states. They are not while the source rests."""

    def rest(self, *, is_resting: bool) -> None:
        """Keep up states alone, for nobody sees figures; or figures, too."""

    @property
    def is_of_now(self) -> bool:
        """Say whether time passes there, be the figures fresh or not: with an engine, not in its past or in a file."""

    @property
    def turns(self) -> int:
        """How often another moment was turned to: an answer is of the moment it was asked at."""

    @property
    def freshness(self) -> str:
        """LIVE, STALE with the age of the figures, WAITING before there are any, PAST or BUNDLE with their time."""

    @property
    def problem(self) -> str:
        """Why there are no new figures, as one sentence; empty while there are."""

    def now(self) -> float:
        """Return the time (Unix seconds) that the figures are of: by the engine's clock, or that of a past."""

    def config_file(self, path: str) -> ConfigFile:
        """Return the configuration file at a path of the engine's machine, with the rights of the operator there.

        Raises LbappError where there is none.
        """

    async def ask(self, call: Call[Answer]) -> Answer:
        """Carry a call out. Raises RequestRefused, EngineUnreachable. What comes back is not printable yet."""

    def follow_log(self, query: Mapping[str, str]) -> AsyncIterator[LogLine | Skipped]:
        """Yield exchanges as they end. Raises RequestRefused, EngineUnreachable. What comes is not printable yet."""
