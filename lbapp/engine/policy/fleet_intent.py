"""What a node makes of the intents of its fleet, and what it asks the fleet for.

Responsible for turning changes into intents and back, and for which intents a node makes, passes over or keeps for later. Knows
nothing of the store, of states or of clocks.

Invariants: an intent is made, passed over or kept for later, and never twice; of two decisions about a setting the later one
holds, whichever node it was made on; a file that has another value than an intent was made for beats it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lbapp.model.fleet import FleetIntent
from lbapp.model.journal import NODE_PREFIX, Action, Change, Setting, Value, shown

Key = tuple[str, Setting]


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks the fleet for something, where and why. `undoes`: revisions."""

    by: str
    node: str
    at: float
    reason: str = ""
    is_forced: bool = False
    undoes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Here:
    """A node that is asked. `in_file`, `now`: every setting that there is, under the names of intents.

    `discovered`: pools whose servers come and go; `made`: the revision of what was taken in last, of each setting. It may be
    higher than that of an intent that is newer: a store that was emptied counts from 1 again. `store`: the name of the data that
    the intents are of.
    """

    node: str
    in_file: Mapping[Key, Value]
    now: Mapping[Key, Value]
    discovered: Collection[str]
    made: Mapping[Key, int]
    actions: Sequence[Action]
    store: str = ""


@dataclass(frozen=True, slots=True)
class PassedOver:
    """An intent that is not made. `is_file`: because of the file."""

    intent: FleetIntent
    why: str
    is_file: bool


@dataclass(slots=True)
class Batch:
    """What one writing to the store comes to here. `later`: changes of servers that may be found yet; `unknown`: of nothing here.

    `undoes`: numbers of actions of this node. `store`: as of Here.
    """

    revision: int
    intents: list[FleetIntent]
    make: list[Change] = field(default_factory=list)
    later: list[Change] = field(default_factory=list)
    passed_over: list[PassedOver] = field(default_factory=list)
    unknown: list[FleetIntent] = field(default_factory=list)
    undoes: tuple[int, ...] = ()
    store: str = ""


def intent_of(change: Change, asked: Asked) -> FleetIntent:
    """Return what the fleet is asked for, so that each node makes a change."""
    return FleetIntent(
        change.on,
        change.setting,
        change.after,
        change.in_file,
        asked.by,
        asked.node,
        asked.at,
        asked.reason,
        change.until,
        change.start,
        asked.is_forced,
        change.abort_percent,
        asked.undoes,
        change.then_stop,
    )


def change_of(intent: FleetIntent, before: Value) -> Change:
    """Return the change that an intent is on a node that has had `before`."""
    return Change(
        intent.on,
        intent.setting,
        before,
        intent.value,
        intent.in_file,
        intent.until,
        intent.abort_percent,
        intent.start,
        then_stop=intent.then_stop,
    )


def made_of(actions: Iterable[Action]) -> dict[Key, Action]:
    """Return what was taken in last, of each setting."""
    return {key: action for action in actions if action.fleet for key in action.keys}


def sort_out(intents: Iterable[FleetIntent], here: Here) -> list[Batch]:
    """Return what a node makes of intents that are newer than what it made, in the order in which they were written.

    One that comes a second time is left out.
    """
    batches: dict[int, Batch] = {}
    local = {fleet_key(key, here.node): action for action in here.actions if not action.fleet for key in action.keys}
    for intent in sorted(intents, key=lambda each: each.revision):
        if intent.revision == here.made.get(intent.key) or is_of_another_node(intent.on, here.node):
            continue
        batch = batches.setdefault(intent.revision, Batch(intent.revision, [], store=here.store))
        batch.intents.append(intent)
        _sort_in(intent, batch, here, local.get(intent.key))
    for batch in batches.values():
        batch.undoes = undone_here(batch.intents, here.actions)
    return list(batches.values())


def undone_here(intents: Iterable[FleetIntent], actions: Iterable[Action]) -> tuple[int, ...]:
    """Return the numbers of the actions of this node that intents take back, the latest first."""
    undone = {revision for intent in intents for revision in intent.undoes}
    last = {action.fleet: action.number for action in actions if action.fleet in undone}
    return tuple(sorted(last.values(), reverse=True))


def is_of_another_node(on: str, node: str) -> bool:
    """Say whether an intent is about a node, and not about this one."""
    # A pool may be called `node`, and its servers as nodes are: those who ask refuse it, so it is a node that is meant.
    return on.startswith(NODE_PREFIX) and on != NODE_PREFIX + node


def _sort_in(intent: FleetIntent, batch: Batch, here: Here, local: Action | None) -> None:
    in_file = here.in_file.get(intent.key)
    if in_file is None:
        if intent.on.partition("/")[0] in here.discovered:
            batch.later.append(change_of(intent, intent.in_file))
        else:
            batch.unknown.append(intent)
    elif in_file != intent.in_file:
        why = f"the file has {shown(in_file)} here, and had {shown(intent.in_file)} where it was asked for"
        batch.passed_over.append(PassedOver(intent, why, is_file=True))
    elif local is not None and _is_later(local, intent, here.store):
        why = f"{local.user} has changed it on this node after that"
        batch.passed_over.append(PassedOver(intent, why, is_file=False))
    else:
        batch.make.append(change_of(intent, here.now[intent.key]))


def _is_later(local: Action, intent: FleetIntent, store: str) -> bool:
    """Say whether an action of this node alone was later than an intent.

    Where the node was in sync a later revision of the store says it, whatever the clocks of two machines are.
    """
    is_earlier = local.is_of(store) and 0 < local.seen < intent.revision
    return not is_earlier and intent.at < local.at


def own_name(change: Change, node: str) -> Change:
    """Return a change of a node under the name that it has in the journal of that node."""
    return replace(change, on=NODE_PREFIX.rstrip("/")) if change.on == NODE_PREFIX + node else change


def fleet_key(key: Key, node: str) -> Key:
    """Return a setting of this node under the name that it has in the store."""
    on, setting = key
    return (NODE_PREFIX + node, setting) if on == NODE_PREFIX.rstrip("/") and setting is Setting.STATE else key
