"""What the operator wants beside what the file says, from the actions in the journal.

Responsible for which changes still hold when the engine starts again, and for what an undo has to do. Knows nothing of files,
sockets or states.

Invariants: of two changes to one setting the later one holds; a file that was changed after a change beats it; what the file
says anyway is no wish, unless a weight is still on its way there; an action is undone once, unless that undo was undone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lbapp.model.journal import NODE_PREFIX, Action, Change, Setting, Value, shown

Key = tuple[str, Setting]


@dataclass(frozen=True, slots=True)
class Intent:
    """A change that holds, and the action that it belongs to."""

    change: Change
    action: Action


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of the journal: what holds, what a newer file has overruled, and what is about something that is not there."""

    intents: list[Intent]
    overruled: list[Intent]
    missing: list[Intent]


class NothingToUndo(Exception):
    """There is no such action, or it cannot be undone: a sentence says why."""


def last_wishes(actions: Sequence[Action]) -> dict[Key, Intent]:
    """Return the last change of each setting of this node; what was asked of another node is that one's."""
    return {
        change.key: Intent(change, action)
        for action in actions
        for change in action.changes
        if not (action.fleet and change.on.startswith(NODE_PREFIX))
    }


def replay(actions: Sequence[Action], in_file: Mapping[Key, Value], now_s: float) -> Replayed:
    """Hold the journal against a file. `in_file`: every setting that there is, with what the file says of it."""
    found = Replayed([], [], [])
    for key, intent in last_wishes(actions).items():
        change = intent.change
        if key not in in_file:
            found.missing.append(intent)
        elif change.after == in_file[key] != change.in_file:
            continue
        elif change.in_file != in_file[key]:
            found.overruled.append(intent)
        elif change.after != in_file[key] or change.is_under_way(now_s):
            found.intents.append(intent)
    return found


def undone_by(actions: Sequence[Action]) -> set[int]:
    """Return the numbers of all actions that are taken back: by an undo that is not taken back itself."""
    undone: set[int] = set()
    for action in reversed(actions):
        if action.number not in undone:
            undone.update(action.undoes)
    return undone


def redone(actions: Sequence[Action]) -> dict[int, tuple[int, ...]]:
    """Return for each redo, which is the undo of an undo, by its number: the numbers of the actions that it has made again."""
    by_number: dict[int, Action] = {}
    redos: dict[int, tuple[int, ...]] = {}
    for action in actions:  # an undo stands behind what it takes back
        undone = [by_number[number] for number in action.undoes if number in by_number]
        if undone and all(each.undoes and each.number not in redos for each in undone):
            redos[action.number] = tuple(number for each in undone for number in each.undoes)
        by_number[action.number] = action
    return redos


def worth_keeping(actions: Sequence[Action], count: int) -> list[Action]:
    """Return the last `count` actions, and those before them of which something holds still."""
    holding = {intent.action.number for intent in last_wishes(actions).values()}
    # Or what the fleet asked for, and something later has changed, would be taken for new.
    holding |= {
        each.number for each in {key: action for action in actions if action.fleet for key in action.keys}.values()
    }
    first = len(actions) - count
    return [action for place, action in enumerate(actions) if place >= first or action.number in holding]


def to_undo(actions: Sequence[Action], number: int | None = None) -> list[Action]:
    """Return the actions that an undo takes back, the latest first: all of the group of action `number`, None: of the last.

    An undo that is named is taken back alone: that is a redo. Raises NothingToUndo.
    """
    undone = undone_by(actions)
    candidates = [action for action in actions if action.changes and not action.undoes and action.number not in undone]
    if number is None:
        if not candidates:
            raise NothingToUndo("there is nothing to undo")
        chosen = candidates[-1]
    else:
        named = [action for action in actions if action.number == number]
        if not named:
            raise NothingToUndo(f"there is no action {number}")
        chosen = named[0]
        if chosen.number in undone:
            raise NothingToUndo(f"action {number} is undone already")
        if chosen.undoes:
            return [chosen]
    return [action for action in reversed(candidates) if action is chosen or action.group == chosen.group != ""]


def reversal(actions: Sequence[Action], now: Mapping[Key, Value], now_s: float) -> list[Change]:
    """Return the changes that take actions back, given the latest first. Raises NothingToUndo if something changed since.

    A weight that was on its way when the first of them ended that goes on with what was left.
    """
    wanted: dict[Key, Change] = {}
    for action in actions:
        for change in reversed(action.changes):
            later = wanted.get(change.key)
            present = later.after if later is not None else now.get(change.key)
            if present is None:
                raise NothingToUndo(f"{change.on} is not there any more")
            if present != change.after:
                raise NothingToUndo(
                    f"{change.on} has {change.setting.value} {shown(present)} now, not {shown(change.after)} as action "
                    f"{action.number} left it"
                )
            left = change.ramp_left
            wanted[change.key] = replace(
                change,
                before=change.after if later is None else later.before,
                after=change.before,
                in_file=change.in_file if later is None else later.in_file,
                until=None if left is None else now_s + left.left_s,
                abort_percent=None if left is None else left.abort_percent,
                start=None,
                ramp_left=None,
            )
    return [change for change in wanted.values() if change.before != change.after or change.until is not None]


def with_times(
    changes: Sequence[Change], undone: Sequence[Action], actions: Sequence[Action], now_s: float
) -> list[Change]:
    """Return the changes of a reversal; a drain that comes back with it has all of the time again that was asked for it.

    `undone`: the actions that are taken back; `actions`: all. A drain that nobody gave a time has its usual one.
    """
    first = {key: action.number for action in sorted(undone, key=lambda each: -each.number) for key in action.keys}
    begun = {
        change.key: Intent(change, action)
        for action in actions
        for change in action.changes
        if action.number < first.get(change.key, 0)
    }
    found = []
    for change in changes:
        known = begun.get(change.key)
        until = None if known is None else known.change.until
        if known is None or until is None or change.setting is not Setting.STATE or known.change.after != change.after:
            found.append(change)
        else:
            found.append(replace(change, until=now_s + round(until - known.action.at, 1)))
    return found
