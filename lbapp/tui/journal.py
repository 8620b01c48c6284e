"""What operators did, as the console last heard it from the engine's journal.

Responsible for asking anew when somebody has done something, and for what `z` would take back. Knows nothing of how that is sent.
Invariants: the journal is the engine's, so an action of this user counts wherever it was made; what is shown is printable.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from lbapp.control import calls
from lbapp.control.changes import ActionDone
from lbapp.model.errors import LbappError
from lbapp.tui.actions.undoing import to_redo, to_undo, told
from lbapp.tui.format import duration
from lbapp.tui.source import Source
from lbapp.tui.staging import clean_value

ACTIONS_ASKED: Final = 200


class Journal:
    """The latest actions. `uid`: of the user whose undo it is; None: the engine's first answer to a change says it."""

    def __init__(self, source: Source, uid: int | None) -> None:
        self._source = source
        self.uid = uid
        self.actions: list[ActionDone] = []
        self._heard_of: int | None = None  # the newest event of an operator that was there when it was asked

    def has_news(self) -> bool:
        """Say whether an operator has done something since the journal was read last."""
        return self._newest() != self._heard_of

    def _newest(self) -> int:
        """Return the number of the newest event that an operator caused; 0: there is none."""
        for event in reversed(self._source.events):
            if event["actor"] is not None and event["actor"]["uid"] is not None:
                return event["seq"]
        return 0

    async def read(self) -> None:
        """Ask the engine. Raises RequestRefused, EngineUnreachable: then the next news asks again."""
        self._heard_of = self._newest()  # what comes while it is asked is news
        self.actions = (await self._source.ask(calls.changes(ACTIONS_ASKED)))["actions"]

    async def follow(self) -> None:
        """Ask the engine, and go on with what was known when that comes to nothing."""
        with suppress(LbappError):
            await self.read()

    def to_undo(self) -> ActionDone | None:
        """Return what `z` takes back."""
        return to_undo(self.actions, self.uid, self._source.now())

    def to_redo(self) -> ActionDone | None:
        """Return the undo that `Z` does again."""
        return to_redo(self.actions, self.uid, self._source.now())

    @property
    def offer(self) -> str:
        """What `z` would take back, for the line of facts."""
        action = self.to_undo()
        if action is None:
            return "undo z: none"
        return f"undo z: {told(clean_value(action))} ({duration(self._source.now() - action['at'])})"
