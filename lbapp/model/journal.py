"""What operators did while the engine ran: actions, each of one or more changes.

Responsible for the shape that journal, undo and control API agree on. Knows nothing of files or of how a change is made.

Invariant: an action is as it was done: undoing it is another action, which names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

Value = str | int | bool
NODE_PREFIX: Final = "node/"  # before the name of a node that a change of the fleet is about


class Setting(str, Enum):
    """What can be changed while the engine runs."""

    STATE = "state"  # of a server: ready, drain, maint
    WEIGHT = "weight"  # of a server
    PUBLISHED = "published"  # of a pool


def shown(value: Value) -> str:
    """Return a value as operators read it."""
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def is_of_node(on: str) -> bool:
    """Say whether what an action of the fleet is about is one node: this one, which is `node` in its journal, or another."""
    return f"{on}/".startswith(NODE_PREFIX)


@dataclass(frozen=True, slots=True)
class RampLeft:
    """What was left of a weight's way when another change ended it. `abort_percent`: as of a Change."""

    left_s: float
    abort_percent: float | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One setting of one server (`pool/server`) or pool, before and after.

    `in_file` is what the configuration said of it then. `until` (Unix seconds): when a drain closes by force, or when a weight is
    what it is to become; `abort_percent`: of failed attempts, at which that is taken back; `start`: the weight that it goes from,
    where it was on its way to `before` then. `ramp_left`: of that way, which this change ended; None: there was none.
    `then_stop`: of the node's drain, behind which the engine stops.
    """

    on: str
    setting: Setting
    before: Value
    after: Value
    in_file: Value
    until: float | None = None
    abort_percent: float | None = None
    start: int | None = None
    ramp_left: RampLeft | None = None
    then_stop: bool = False

    @property
    def key(self) -> tuple[str, Setting]:
        """What it is about."""
        return self.on, self.setting

    def is_under_way(self, now_s: float) -> bool:
        """Say whether this is a weight that is still on its way."""
        return self.setting is Setting.WEIGHT and self.until is not None and self.until > now_s


@dataclass(frozen=True, slots=True)
class Action:
    """What somebody did at one moment. `number` counts from 1; `group` is the same for actions that are one to their operator.

    `user`, `uid` and `pid` are those of the process that asked. `undoes`: the numbers of the actions that this one takes back.
    `fleet`: the store's revision, where the fleet asked for it; `user` is `alice@lb1` then, and `passed_over` what of that was
    not made here, as something later or the file has another wish. `seen`: of an action of this node alone, the store's revision
    that it knew then; 0: it was not in sync. An action of the fleet that is about another node is here where it was asked for, so
    that it can be taken back there. `store`: the name of the data that either is a revision of; empty: it was not known.
    """

    number: int
    at: float
    user: str
    uid: int | None
    pid: int | None
    reason: str
    group: str
    changes: tuple[Change, ...]
    undoes: tuple[int, ...] = ()
    fleet: int = 0
    passed_over: tuple[tuple[str, Setting], ...] = ()
    seen: int = 0
    store: str = ""

    def is_of(self, began: str) -> bool:
        """Say whether its revision is one of the data of that name."""
        return self.store in ("", began)

    @property
    def keys(self) -> tuple[tuple[str, Setting], ...]:
        """Everything that it is about, made or passed over."""
        return (*(change.key for change in self.changes), *self.passed_over)
