"""Looking into the workers: exchanges as they end, connections that are open.

Responsible for the questions that workers are asked, also of those that end something, for putting their answers together, and
for who looks on, worker by worker. Knows nothing of HTTP or of what a line says.

Invariants: who looks on and does not keep up misses lines, which are counted, and holds up nobody; a worker that does not answer
in time is left out; a worker that is new tells those who look on, too.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final

import anyio

from lbapp.engine.channel import Message
from lbapp.engine.questions import (
    ANYWHERE,
    Answer,
    Capture,
    EndInFlight,
    EndSession,
    ListCaptures,
    ListDecisions,
    ListSessions,
    Observe,
    Observed,
    PreviewDecision,
    Session,
    Unobserve,
    Where,
)
from lbapp.engine.supervisor.events import Signal
from lbapp.model.decision import Decision
from lbapp.model.log_filter import LogFilter, Preference

_ANSWER_TIMEOUT_S: Final = 2.0
_PENDING_LINES_MAX: Final = 2_000  # of one who looks on, in the supervisor
_WORKER_BITS: Final = 8  # of a session's number: the slot


@dataclass(slots=True)
class _Watch:
    """One who looks on."""

    observe: Observe
    lines: list[str] = field(default_factory=list)
    skipped: int = 0
    heard: Signal = field(default_factory=Signal)


@dataclass(slots=True)
class _Question:
    """One question, and who has answered it, by slot."""

    answers: dict[int, Answer] = field(default_factory=dict)
    heard: Signal = field(default_factory=Signal)


class Looking:
    """What is asked of the workers. `slots`: those that have a worker; `tell`: one of them, by slot."""

    def __init__(self, slots: Callable[[], list[int]], tell: Callable[[int, Message], None]) -> None:
        self._slots = slots
        self._tell = tell
        self._numbers = count(1)
        self._watches: dict[int, _Watch] = {}
        self._questions: dict[int, _Question] = {}
        self._is_over = False

    async def follow(
        self, wanted: LogFilter, per_second: float, preference: Preference | None = None
    ) -> AsyncGenerator[tuple[list[str], int], None]:
        """Give lines of exchanges as they end, and how many more there were, until `close`."""
        slots = self._slots()
        share = max(1.0, per_second / max(1, len(slots)))
        watch = _Watch(Observe(next(self._numbers), wanted, share, preference))
        self._watches[watch.observe.number] = watch
        try:
            for slot in slots:
                self._tell(slot, watch.observe)
            while not self._is_over:
                heard = watch.heard
                if not watch.lines and not watch.skipped:
                    await heard.wait()
                lines, skipped = watch.lines, watch.skipped
                watch.lines, watch.skipped = [], 0
                if lines or skipped:
                    yield lines, skipped
        finally:
            del self._watches[watch.observe.number]
            for slot in self._slots():
                self._tell(slot, Unobserve(watch.observe.number))

    async def sessions(self, limit: int, where: Where = ANYWHERE) -> tuple[list[tuple[int, Session]], int]:
        """Return open connections with their numbers on this node, those busy for longest first, and how many there are."""
        number = next(self._numbers)
        answers = await self._ask(number, self._slots(), ListSessions(number, limit, where))
        found = [
            (session.number << _WORKER_BITS | slot, session)
            for slot, answer in answers.items()
            for session in answer.sessions
        ]
        found.sort(key=lambda each: (each[1].state == "idle", -each[1].busy_s, -each[1].age_s))
        return found[:limit], sum(answer.connections for answer in answers.values())

    async def captures(self) -> tuple[list[Capture], int]:
        """Return the last malformed requests and answers, the latest first, and how many more there were."""
        number = next(self._numbers)
        answers = await self._ask(number, self._slots(), ListCaptures(number))
        found = [each for answer in answers.values() for each in answer.captures]
        return sorted(found, key=lambda each: -each.at_s), sum(answer.skipped for answer in answers.values())

    async def end_session(self, session: int, where: Where = ANYWHERE) -> bool:
        """Close a connection, whatever it carries; say whether it was there."""
        number, slot = next(self._numbers), session & ((1 << _WORKER_BITS) - 1)
        if slot not in self._slots():
            return False
        answers = await self._ask(number, [slot], EndSession(number, session >> _WORKER_BITS, where))
        return any(answer.is_done for answer in answers.values())

    async def end_in_flight(self, rows: Sequence[int]) -> tuple[list[int], int]:
        """Have everything in flight at servers end at once, by row. Return how much that was at each, and how many workers have
        not said so in time, who do it all the same.
        """
        number, slots = next(self._numbers), self._slots()
        answers = (await self._ask(number, slots, EndInFlight(number, tuple(rows)))).values()
        ended = [sum(each) for each in zip(*(answer.ended for answer in answers), strict=True)]
        return ended or [0] * len(rows), len(slots) - len(answers)

    async def decisions(self, pool: str, client: str, limit: int) -> list[Decision]:
        """Return why servers were chosen lately, the last decision last. `pool`, `client`: empty for any."""
        number = next(self._numbers)
        answers = await self._ask(number, self._slots(), ListDecisions(number, pool, client, limit))
        found = [decision for answer in answers.values() for decision in answer.decisions]
        found.sort(key=lambda each: each.at_s)
        return found[-limit:]

    async def preview(self, pool: str, client_key: bytes, key: bytes) -> list[Decision]:
        """Return whom the first worker that answers would choose now, and why; of each pool that is asked in turn."""
        for slot in self._slots():
            number = next(self._numbers)
            answers = await self._ask(number, [slot], PreviewDecision(number, pool, client_key, key))
            if slot in answers:
                return list(answers[slot].decisions)
        return []

    async def _ask(self, number: int, slots: list[int], message: Message) -> dict[int, Answer]:
        question = self._questions[number] = _Question()
        try:
            for slot in slots:
                self._tell(slot, message)
            with anyio.move_on_after(_ANSWER_TIMEOUT_S):
                while any(slot not in question.answers and slot in self._slots() for slot in slots):
                    await question.heard.wait()
        finally:
            del self._questions[number]
        return question.answers

    # -- what workers say --------------------------------------------------------------------------------------------

    def hear(self, slot: int, message: Observed | Answer) -> None:
        """Take in what a worker says."""
        if isinstance(message, Answer):
            question = self._questions.get(message.number)
            if question is not None:
                question.answers[slot] = message
                question.heard.fire()
            return
        watch = self._watches.get(message.number)
        if watch is not None:
            room = _PENDING_LINES_MAX - len(watch.lines)
            watch.lines += message.lines[:room]
            watch.skipped += message.skipped + max(0, len(message.lines) - room)
            watch.heard.fire()

    def worker_came(self, slot: int) -> None:
        """Have a worker that serves from now on tell those who look on, too."""
        for watch in self._watches.values():
            self._tell(slot, watch.observe)

    def worker_left(self) -> None:
        """Wake who waits for a worker that is gone."""
        for question in self._questions.values():
            question.heard.fire()

    def close(self) -> None:
        """End every `follow`."""
        self._is_over = True
        for watch in self._watches.values():
            watch.heard.fire()
