"""What the requests screen knows: exchanges that ended, connections that are open, heads that were malformed.

Responsible for asking the source for as much of it as is in sight, and for putting it together. Knows nothing of widgets or keys.

Invariants: nothing is asked for but when it is called for, and no question is asked again before it is answered; a filter or
view that asks the engine for something else begins a new sample; everything kept is printable and limited.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from time import monotonic
from typing import Any, Final

from lbapp.control import calls
from lbapp.control.looking import CaptureStatus, SessionStatus
from lbapp.model.errors import LbappError
from lbapp.tui.exchanges import ExchangeRow, Shown
from lbapp.tui.format import clean
from lbapp.tui.log_stream import LogStream
from lbapp.tui.requests_head import Ages, Head, ages_of
from lbapp.tui.sample import GROUPINGS, Group, Sample
from lbapp.tui.source import Source
from lbapp.tui.staging import clean_value

LINES_PER_S: Final = "50"  # that the engine sends: enough for the sample of a minute, and cheap for both
SESSIONS_MAX: Final = 1_000
_SESSIONS_S: Final = 2.0
_SESSIONS_SEEN_S: Final = 0.9  # while they are the list
_GROUPS_S: Final = 2.0

Start = Callable[[Coroutine[Any, Any, None], str], object]


class LookedAt:
    """What is known. `start(work, group)` runs work on the event loop, in place of what runs in that group."""

    def __init__(self, source: Source, start: Start) -> None:
        self._source = source
        self._start = start
        self.stream = LogStream(source.follow_log)
        self.sample = Sample()
        self.shown = Shown()
        self.sessions: Sequence[SessionStatus] = ()
        self.connections: int | None = None
        self.captures: Sequence[CaptureStatus] = ()
        self.captures_skipped = 0
        self.grouping = "route"
        self.ages = Ages()
        self.problem = ""  # of the last question
        self._query: dict[str, str] | None = None
        self._asked_at: dict[str, float] = {}
        self._asking: set[str] = set()
        self._groups: list[Group] = []
        self._grouped_at = float("-inf")

    # ---- exchanges

    def follow(self, query: dict[str, str]) -> None:
        """Follow the log by this query; nothing happens when it is followed so already."""
        if query != self._query:
            self._query = query
            self.sample.clear()
            self._grouped_at = float("-inf")
            self._start(self.stream.run({"rate": LINES_PER_S} | query), "log")

    def stop(self) -> None:
        """Take that nobody looks any more; the next `follow` begins anew."""
        self._query = None

    def fetch(self, *, is_following: bool) -> None:
        """Take over what came; put it on the screen while that is followed."""
        now = monotonic()
        rows, skipped = self.stream.fetch()
        self.sample.add(rows, skipped, now)
        self.shown.take(rows)
        if is_following:
            self.shown.advance(now)

    def groups(self) -> list[Group]:
        """Return the groups of the sample, reckoned anew every two seconds."""
        now = monotonic()
        if now - self._grouped_at >= _GROUPS_S:
            self._grouped_at = now
            self._groups = self.sample.groups(GROUPINGS[self.grouping], now)
        return self._groups

    def group_by(self, grouping: str) -> None:
        """Group by something else."""
        self.grouping, self._grouped_at = grouping, float("-inf")

    def row(self, number: str) -> ExchangeRow | None:
        """Return a row on the screen by its number."""
        return next((row for row in self.shown.rows if str(row.number) == number), None)

    # ---- questions

    def ask_sessions(self, *, are_in_sight: bool) -> None:
        """Ask for connections, when it is time to."""
        self._ask("sessions", _SESSIONS_SEEN_S if are_in_sight else _SESSIONS_S, self._sessions)

    def ask_captures(self) -> None:
        """Ask for malformed heads, when it is time to."""
        self._ask("captures", _SESSIONS_S, self._captures)

    def ask_again(self, name: str) -> None:
        """Have a question asked at the next opportunity: something has changed."""
        self._asked_at.pop(name, None)

    def _ask(self, name: str, every_s: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        now = monotonic()
        if name not in self._asking and now - self._asked_at.get(name, float("-inf")) >= every_s:
            self._asking.add(name)
            self._asked_at[name] = now
            self._start(self._answer(name, work), name)

    async def _answer(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
            self.problem = ""
        except LbappError as error:
            self.problem = clean(str(error))
        finally:
            self._asking.discard(name)

    async def _sessions(self) -> None:
        found = clean_value(await self._source.ask(calls.sessions(SESSIONS_MAX)))
        self.sessions, self.connections = found["sessions"], found["connections"]
        self.ages = ages_of(found)

    async def _captures(self) -> None:
        found = clean_value(await self._source.ask(calls.captures()))
        self.captures, self.captures_skipped = found["captures"], found["skipped"]

    # ---- the head

    def head(self, *, with_top: bool) -> Head:
        """Return the figures above the list."""
        scene = self._source.scene
        carried = (scene.listeners or scene.pools) if scene else []
        rates = [each.requests_per_s for each in carried if each.requests_per_s is not None]
        is_narrowed = bool(self._query)
        return Head(
            requests_per_s=sum(rates) if rates else None,
            share=self.sample.share,
            asked=" of those asked for" if is_narrowed else "",
            span_s=self.sample.span_s(monotonic()),
            classes=self.sample.classes(),
            ages=self.ages,
            grouping=self.grouping,
            top=self.groups()[:4] if with_top else (),
            problem=self.stream.problem or self.problem,
        )
