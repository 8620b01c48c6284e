"""Which action of the journal an event tells of, and what became of it.

Responsible for finding the two together: an event has no number of an action. Knows nothing of drawing or asking.

Invariants: an action belongs to an event only when subject, setting, both values and the operator are the same and they are no
further apart than NEAR_S; who undid an action is an action that says so itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lbapp.control.changes import ActionDone
from lbapp.control.messages import Actor, Event

NEAR_S: Final = 5.0  # an action is on disk before it takes effect
_SETTINGS: Final = {"admin_state_changed": "state", "weight_changed": "weight"}
_Key = tuple[str, str, str, str, int | None]


class Audit:
    """The actions that are known, to be asked by event."""

    def __init__(self, actions: Sequence[ActionDone] = ()) -> None:
        self._by_change: dict[_Key, list[ActionDone]] = {}
        self._undone_by: dict[int, ActionDone] = {}
        for action in actions:
            for number in action["undoes"]:
                self._undone_by[number] = action
            for change in action["changes"]:
                key = _key(change["on"], change["setting"], change["before"], change["after"], action["actor"])
                self._by_change.setdefault(key, []).append(action)

    def action_of(self, event: Event) -> ActionDone | None:
        """Return the action that an event tells of; None: there is none, or it is not known."""
        setting = _SETTINGS.get(event["kind"])
        if setting is None or event["actor"] is None:
            return None
        found = self._by_change.get(
            _key(event["subject"], setting, event["before"], event["after"], event["actor"]), ()
        )
        near = [each for each in found if abs(each["at"] - event["at"]) <= NEAR_S]
        return min(near, key=lambda each: abs(each["at"] - event["at"]), default=None)

    def undone_by(self, action: ActionDone) -> ActionDone | None:
        """Return the action that took one back; None: it holds, or that is not known."""
        return self._undone_by.get(action["number"]) if action["is_undone"] else None

    def word(self, event: Event) -> str:
        """Return what became of an event's action, in a few letters; empty: it has none."""
        action = self.action_of(event)
        if action is None:
            return ""
        if action["is_undone"]:
            return "undone"
        if action["undoes"]:
            return f"undid {action['undoes'][0]}"
        return f"no. {action['number']}"

    def lines(self, event: Event) -> list[tuple[str, str]]:
        """Return what is known of an event's action, as names and texts."""
        action = self.action_of(event)
        if action is None:
            return []
        lines = [("action", f"no. {action['number']}"), ("reason", action["reason"] or "-")]
        if len(action["changes"]) > 1:
            lines.append(("with it", f"{len(action['changes'])} settings were changed"))
        if action["undoes"]:
            lines.append(("takes back", ", ".join(f"no. {number}" for number in action["undoes"])))
        lines.append(("undone", self._undone(action)))
        return lines

    def _undone(self, action: ActionDone) -> str:
        if not action["is_undone"]:
            return "no"
        by = self.undone_by(action)
        return "yes" if by is None else f"by no. {by['number']} of {by['actor']['user']}"


def _key(subject: str, setting: str, before: object, after: object, actor: Actor) -> _Key:
    return subject, setting, str(before), str(after), actor["uid"]
