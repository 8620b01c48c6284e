"""What the requests screen knows: exchanges that ended, connections that are open, heads that were malformed.

Responsible for asking the source for as much of it as is in sight, and for putting it together. Knows nothing of widgets or keys.

Invariants: nothing is asked for but when it is called for, and no question is asked again before it is answered; a filter or
view that asks the engine for something else begins a new sample; everything kept is printable and limited.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final

from textual.widget import Widget

from lbapp.control import calls
from lbapp.control.looking import Captures, CaptureStatus, Sessions, SessionStatus
from lbapp.tui.asking import Job, Poll
from lbapp.tui.exchanges import SLOW_MS, ExchangeRow, Shown
from lbapp.tui.log_stream import LogStream
from lbapp.tui.requests_head import Ages, Head, ages_of
from lbapp.tui.sample import GROUPINGS, Group, Sample
from lbapp.tui.source import Source

# What the engine sends: enough for the sample of a minute, and cheap for both; what failed or was slow before all else.
SENT: Final = {"rate": "50", "prefer": "1", "slow_ms": f"{SLOW_MS:g}"}
SESSIONS_MAX: Final = 1_000
_LOG: Final = "log"
_EVERY_S: Final = 1.0
_GROUPS_S: Final = 2.0


class LookedAt:
    """What is known. `owner` carries the work; `source` returns where to ask."""

    def __init__(self, owner: Widget, source: Callable[[], Source]) -> None:
        self._owner = owner
        self._source = source
        self.stream = LogStream(lambda query: source().follow_log(query))
        self.sample = Sample()
        self.shown = Shown()
        self.grouping = "route"
        self._sessions: Poll[Sessions] = Poll(owner, source, _EVERY_S, _nothing)
        self._captures: Poll[Captures] = Poll(owner, source, _EVERY_S, _nothing)
        self._sessions.about(calls.sessions(SESSIONS_MAX))
        self._captures.about(calls.captures())
        self._query: dict[str, str] | None = None
        self._groups: list[Group] = []
        self._grouped_at = float("-inf")
        self._classes: tuple[float | None, dict[str, float]] = (None, {})
        self._classed_at = float("-inf")

    # ---- exchanges

    def follow(self, query: dict[str, str]) -> None:
        """Follow the log by this query; nothing happens when it is followed so already."""
        if query != self._query:
            self._query = query
            self.sample.clear()
            self._grouped_at = self._classed_at = float("-inf")
            work = Job(self.stream.run, SENT | query)
            self._owner.run_worker(work, group=_LOG, exclusive=True)

    def stop(self) -> None:
        """Follow no more: nobody looks."""
        self._query = None
        self._owner.workers.cancel_group(self._owner, _LOG)

    def forget(self) -> None:
        """Forget what was seen, and ask anew."""
        self.stop()
        self.stream.fetch()
        self.shown.recent.clear()
        self._sessions.forget()
        self._captures.forget()

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
            self._grouped_at = now if self.sample.seen else self._grouped_at
            self._groups = self.sample.groups(GROUPINGS[self.grouping], now)
        return self._groups

    def _shares(self) -> tuple[float | None, dict[str, float]]:
        """Return the share that was seen, and those of the classes, reckoned anew every second."""
        now = monotonic()
        if now - self._classed_at >= _EVERY_S:
            self._classed_at = now if self.sample.seen else self._classed_at
            self._classes = self.sample.share, self.sample.classes()
        return self._classes

    def group_by(self, grouping: str) -> None:
        """Group by something else."""
        self.grouping, self._grouped_at = grouping, float("-inf")

    def row(self, number: str) -> ExchangeRow | None:
        """Return a row on the screen by its number."""
        return next((row for row in self.shown.rows if str(row.number) == number), None)

    # ---- questions

    def ask_sessions(self) -> None:
        """Ask for the connections of clients, when it is time to."""
        self._sessions.ask()

    @property
    def sessions(self) -> Sequence[SessionStatus]:
        """Connections that carry something, those busy for longest first."""
        found = self._sessions.answer
        return [each for each in found["sessions"] if each["state"] != "idle"] if found else ()

    def ask_captures(self) -> None:
        """Ask for malformed heads, when it is time to."""
        self._captures.ask()

    @property
    def captures(self) -> Sequence[CaptureStatus]:
        """The last malformed heads, the latest first."""
        return self._captures.answer["captures"] if self._captures.answer else ()

    @property
    def captures_skipped(self) -> int:
        """How many were too many to look at."""
        return self._captures.answer["skipped"] if self._captures.answer else 0

    # ---- the head

    def head(self, *, with_top: bool) -> Head:
        """Return the figures above the list."""
        scene = self._source().scene
        seen, classes = self._shares()
        return Head(
            requests_per_s=scene.requests_per_s if scene else None,
            share=seen,
            is_narrowed=bool(self._query),
            span_s=self.sample.span_s(monotonic()),
            classes=classes,
            ages=ages_of(self._sessions.answer) if self._sessions.answer else Ages(),
            grouping=self.grouping,
            top=self.groups()[:4] if with_top else (),
            problem=self.stream.problem or self._sessions.problem or self._captures.problem,
        )


def _nothing() -> None:
    """Do nothing more: the screen is shown twice a second anyway."""
