"""Events and actions for tests.

Responsible for whole messages. Knows nothing of sockets.
"""

from __future__ import annotations

from typing import Any, cast

from lbapp.control.changes import ActionDone
from lbapp.control.messages import Actor, Event

ALICE: Actor = {"uid": 1000, "user": "alice", "pid": 4711}
BOB: Actor = {"uid": 1001, "user": "bob", "pid": 4712}
ENGINE: Actor = {"uid": None, "user": "engine", "pid": None}
AT = 1_795_443_727.0


def event(seq: int = 1, **more: Any) -> Event:
    """Return the event of alice's drain of app/s1, but for what is given."""
    found: dict[str, Any] = {
        "seq": seq, "at": AT, "kind": "admin_state_changed", "subject": "app/s1", "message": "app/s1 is now DRAIN, was READY",
        "actor": ALICE, "before": "ready", "after": "drain",
    }  # fmt: skip
    return cast(Event, found | more)


def action(number: int = 7, **more: Any) -> ActionDone:
    """Return the action behind it."""
    found: dict[str, Any] = {
        "number": number, "at": AT - 0.01, "actor": ALICE, "reason": "kernel update", "group": "", "undoes": [],
        "is_undone": False, "changes": [{"on": "app/s1", "setting": "state", "before": "ready", "after": "drain"}],
    }  # fmt: skip
    return cast(ActionDone, found | more)
