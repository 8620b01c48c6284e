"""What operators did, as the console last heard it from the engine's journal.

Responsible for asking anew when somebody has done something, and for what `z` would take back. Knows nothing of how that is sent.
Invariants: the journal is the engine's, so an action of this user counts wherever it was made; what is shown is printable.
"""

from __future__ import annotations

from contextlib import suppress
from pwd import getpwuid
from typing import Final

from lbapp.control import calls
from lbapp.control.changes import ActionDone
from lbapp.control.messages import Actor
from lbapp.model.errors import LbappError
from lbapp.tui.actions.undoing import to_redo, to_undo, told
from lbapp.tui.format import duration
from lbapp.tui.source import Source
from lbapp.tui.staging import clean_value

ACTIONS_ASKED: Final = 200


def is_operator(actor: Actor) -> bool:
    """Say whether somebody is an operator, on this node or on another of the fleet, and not lbapp itself."""
    return actor["uid"] is not None or "@" in actor["user"]


def _name_of(uid: int | None) -> str:
    try:
        return "" if uid is None else getpwuid(uid).pw_name
    except KeyError:
        return ""


class Journal:
    """The latest actions. `uid`, `user`: whose undo it is; None, empty: the engine's first answer to a change says it."""

    def __init__(self, source: Source, uid: int | None) -> None:
        self._source = source
        self.uid = uid
        self.user = _name_of(uid)
        self.actions: list[ActionDone] = []
        self._heard_of: int | None = None  # the newest event of an operator that was there when it was asked

    def know(self, actor: Actor | None) -> None:
        """Take over from an engine's first answer to a change who that is."""
        if self.uid is None and actor is not None and actor["uid"] is not None:
            self.uid, self.user = actor["uid"], actor["user"].partition("@")[0]

    def has_news(self) -> bool:
        """Say whether an operator has done something since the journal was read last."""
        return self._newest() != self._heard_of

    def _newest(self) -> int:
        """Return the number of the newest event that an operator caused; 0: there is none."""
        for event in reversed(self._source.events):
            if event["actor"] is not None and is_operator(event["actor"]):
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
        return to_undo(self.actions, self.uid, self._source.now(), self.user)

    def to_redo(self) -> ActionDone | None:
        """Return the undo that `Z` does again."""
        return to_redo(self.actions, self.uid, self._source.now(), self.user)

    @property
    def offer(self) -> str:
        """What `z` would take back, for the line of facts."""
        action = self.to_undo()
        if action is None:
            return "undo z: none"
        return f"undo z: {told(clean_value(action))} ({duration(self._source.now() - action['at'])})"
