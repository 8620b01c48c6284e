"""Which of the actions in the engine's journal an operator takes back next, and which he does again.

Responsible for this choice, and for the words about it. Knows nothing of how either is sent. Invariants: only what the same user
did is chosen; nothing older than UNDO_S is; an undo is done again once, and not behind another action of his.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lbapp.control.changes import ActionDone, ChangeDone
from lbapp.model.journal import is_of_node
from lbapp.tui.format import duration

UNDO_S: Final = 1800.0
_REDO: Final = "redo of"


def is_by(action: ActionDone, uid: int | None, user: str) -> bool:
    """Say whether a user did something. What is of the whole fleet is known by his name, on whichever node: `alice@lb1`."""
    if action.get("fleet"):
        return bool(user) and action["actor"]["user"].rpartition("@")[0] == user
    return uid is not None and action["actor"]["uid"] == uid


def to_undo(actions: Sequence[ActionDone], uid: int | None, now: float, user: str = "") -> ActionDone | None:
    """Return the newest action of a user that is not taken back. `actions`: the latest last; `now` in Unix seconds."""
    found = [
        action
        for action in actions
        if is_by(action, uid, user)
        and not action["undoes"]
        and not action["is_undone"]
        and action["changes"]
        and now - action["at"] <= UNDO_S
    ]
    return found[-1] if found else None


def to_redo(actions: Sequence[ActionDone], uid: int | None, now: float, user: str = "") -> ActionDone | None:
    """Return the newest undo of a user that he has not done again; None, too, once he has done something else."""
    again = {action["reason"] for action in actions}
    for action in reversed([each for each in actions if is_by(each, uid, user)]):
        if action["undoes"] and not action.get("redoes"):
            if redo_reason(action) not in again:
                return action if action["changes"] and now - action["at"] <= UNDO_S else None
        elif not action["reason"].startswith(_REDO):
            return None
    return None


def redo_reason(undo: ActionDone) -> str:
    """Return the reason by which the journal knows that an undo was done again."""
    return f"{_REDO} {undo['number']}"


def changed_since(actions: Sequence[ActionDone], action: ActionDone) -> ActionDone | None:
    """Return the newest later action about a setting that `action` changed; None: they are as it left them."""
    about = {(change["on"], change["setting"]) for change in action["changes"]}
    later = [
        each
        for each in actions
        if each["number"] > action["number"] and about & {(one["on"], one["setting"]) for one in each["changes"]}
    ]
    return later[-1] if later else None


def told(action: ActionDone) -> str:
    """Return an action in a few words, such as `drain app/s1` or `weight 50 app/s1 and 2 more`, on all nodes where it was so."""
    first = action["changes"][0]
    others = len({change["on"] for change in action["changes"]}) - 1
    where = " on all nodes" if action.get("fleet") and not is_of_node(first["on"]) else ""
    return f"{_what(first)} {first['on']}" + (f" and {others} more" if others else "") + where


def told_since(change: ActionDone, by: ActionDone, now: float) -> str:
    """Return that somebody changed since what `change` did."""
    names = [one["on"] for one in by["changes"]]
    on = next((one["on"] for one in change["changes"] if one["on"] in names), names[0])
    return f"{on} was changed by {by['actor']['user']} {duration(now - by['at'])} ago ({told(by)}); nothing was done"


def _what(change: ChangeDone) -> str:
    if change["setting"] == "published":
        return "publish" if change["after"] else "unpublish"
    after = str(change["after"]).replace("_", " ").lower()
    return after if change["setting"] == "state" else f"{change['setting']} {after}"
