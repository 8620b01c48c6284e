"""Operators who look on: exchanges as they end, for who asks, as many as one can read.

Responsible for what each of them gets, for leaving out what is too much, and for sending it to the supervisor. Knows nothing of
how a record is made. Invariants: nobody who looks on slows the data path down: what is sent in a second is bounded, and the rest
is counted; while nobody does, nothing is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from lbapp.engine.channel import Channel
from lbapp.engine.policy.log_filter import is_preferred, is_wanted
from lbapp.engine.questions import Observe, Observed
from lbapp.engine.wire.access_line import json_line
from lbapp.model.exchange_record import ExchangeRecord

if TYPE_CHECKING:
    from lbapp.engine.worker.run import Worker

_SEND_INTERVAL_S: Final = 0.2


class Observer:
    """One who looks on. `room`: how many lines it may get until the next sending; `ordinary`: which of them may give way."""

    __slots__ = ("_asked", "_lines", "_ordinary", "_room", "_skipped")

    def __init__(self, asked: Observe) -> None:
        self._asked = asked
        self._room = max(1, int(asked.per_second * _SEND_INTERVAL_S))
        self._lines: list[str] = []
        self._ordinary: list[int] = []  # places in `_lines`
        self._skipped = 0

    def see(self, record: ExchangeRecord) -> None:
        """Keep what it wants to see, or count it."""
        if not is_wanted(record, self._asked.wanted):
            return
        preference = self._asked.preference
        is_ordinary = preference is not None and not is_preferred(record, preference)
        if len(self._lines) >= self._room:
            self._skipped += 1  # this one, or the one that gives way to it
            if preference is None or is_ordinary or not self._ordinary:
                return
            del self._lines[self._ordinary.pop()]  # the last of them: what is behind it moves up, and is preferred
        if is_ordinary:
            self._ordinary.append(len(self._lines))
        self._lines.append(json_line(record))

    def take(self) -> Observed | None:
        """Return what it has not got yet; None: nothing."""
        if not self._lines and not self._skipped:
            return None
        told = Observed(self._asked.number, tuple(self._lines), self._skipped)
        self._lines, self._ordinary, self._skipped = [], [], 0
        return told


async def tell_observers(worker: Worker, channel: Channel) -> None:
    """Send what observers see, for as long as there are any; return at once where another task does.

    It may still be asleep when the last of them has gone and the next has come: two would send twice as much.
    """
    if worker.is_telling:
        return
    worker.is_telling = True
    try:
        while worker.observers:
            await anyio.sleep(_SEND_INTERVAL_S)
            for observer in list(worker.observers.values()):
                told = observer.take()
                if told is not None:
                    await channel.send(told)
    finally:
        worker.is_telling = False
