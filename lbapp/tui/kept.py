"""A file as a source of figures: what it keeps is all there is.

Responsible for answering calls out of it. Knows nothing of how the file is read. Invariants: no engine is ever asked; nothing can
be changed; what the file does not have is refused with a sentence, never made up.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, cast

import anyio.to_thread

from lbapp.control.calls import Answer, Call
from lbapp.control.config_file import ConfigFile
from lbapp.control.looking import LogLine, Skipped
from lbapp.control.messages import Event
from lbapp.control.recall import Past, course, rates, status_at
from lbapp.model.amounts import Kind, Subject
from lbapp.model.errors import LbappError, RequestRefused
from lbapp.tui.format import clean
from lbapp.tui.past import HISTORY, day_and_time, scene_of_past, trends_of
from lbapp.tui.scene import Scene
from lbapp.tui.trends import TREND_S, Trends

Answering = Callable[[Mapping[str, str | int]], object]
_KINDS: Final[tuple[Kind, ...]] = ("pool", "server", "listener")


@dataclass
class Kept:
    """What a file keeps. `kind`: bundle or history, `name`: of the file, `at`: its end (Unix seconds).

    `answers`: what answers a query, by path. `why_not`: why the answer of a path is not there, where that is known.
    """

    kind: str
    name: str
    at: float
    scene: Scene
    node: str = ""
    events: Sequence[Event] = ()
    past: Past | None = None
    answers: Mapping[str, Answering] = field(default_factory=dict)
    why_not: Mapping[str, str] = field(default_factory=dict)
    trends: Trends = field(default_factory=Trends)

    is_live: Final = False
    has_figures: Final = True
    is_of_now: Final = False
    problem: Final = ""
    turns: Final = 0

    @property
    def title(self) -> str:
        """The node, where the file names it."""
        return self.node

    @property
    def freshness(self) -> str:
        """What kind of file it is, and its time."""
        return f"{self.kind.upper()} {day_and_time(self.at)}"

    def rest(self, *, is_resting: bool) -> None:
        """Do nothing: nothing comes in."""

    def now(self) -> float:
        """Return the time that the file ends with (Unix seconds)."""
        return self.at

    def config_file(self, path: str) -> ConfigFile:
        """Raises LbappError: it is on the engine's machine."""
        raise LbappError(
            f"{clean(path)} is on the machine of the engine", f"Open the console there: a {self.kind} is read"
        )

    async def ask(self, call: Call[Answer]) -> Answer:
        """Answer out of the file. Raises RequestRefused for what it does not have, and for every change."""
        if call.is_change:
            raise RequestRefused("kept", f"a {self.kind} cannot be changed", "Open the console of its engine", 409)
        if call.path == HISTORY and self.past is not None:
            answer: object = await anyio.to_thread.run_sync(partial(_recalled, self.past, call.query, self.at))
        elif call.path in self.answers:
            answer = self.answers[call.path](call.query)
        else:
            why = self.why_not.get(call.path, "")
            raise RequestRefused("not_kept", f"this {self.kind} has no {_what(call.path)}", why, 404)
        return cast(Answer, answer)

    async def follow_log(self, query: Mapping[str, str]) -> AsyncIterator[LogLine | Skipped]:
        """Raise RequestRefused: a file has no live requests."""
        lines: Sequence[LogLine | Skipped] = ()
        for line in lines:
            yield line
        raise RequestRefused("not_kept", f"this {self.kind} has no live requests", "", 404)


def kept_history(name: str, past: Past) -> Kept:
    """Return what a history file holds, as it was at its end. Raises LbappError."""
    every = [at for ring in past.moments for at, _ in ring]
    if not every:
        raise LbappError(f"nothing is recorded in {name}", "The history begins with the engine's first second")
    at = max(every)
    return Kept("history", name, at, scene_of_past(status_at(past, at)), past=past, trends=trends_until(past, at))


def trends_until(past: Past | None, at: float) -> Trends:
    """Return what led to a time, where that is recorded."""
    return Trends() if past is None else trends_of(rates(past, (at - TREND_S, at)))


def _what(path: str) -> str:
    """Return what a path leads to, in a word or two."""
    words = path.removeprefix("/v1/").split("/")
    return "figures of a server beyond the tables" if words[-2:-1] == ["servers"] else clean(words[-1])


def _recalled(past: Past, query: Mapping[str, str | int], end: float) -> Any:
    """Answer `GET /v1/history`. Raises RequestRefused."""
    if "at" in query:
        return status_at(past, float(query["at"]))
    until = float(query.get("until", end))
    if "rates" in query:
        return rates(past, (until - float(query["rates"]), until))
    subjects = [Subject(kind, str(query[kind])) for kind in _KINDS if kind in query]
    span = (until - float(query["last"]), until)
    return course(past, subjects[0] if subjects else None, span, int(query["step"]))
