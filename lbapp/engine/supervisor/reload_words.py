"""What is said of a reload: refusals, differences, summaries.

Responsible for the words. Knows nothing of how a configuration is applied. Invariant: a refusal says what is wrong, and that
nothing was changed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lbapp.control.changes import Difference, ReloadDone
from lbapp.engine.policy.reload import Planned
from lbapp.engine.supervisor.configurations import UNCONFIRMED, Kept
from lbapp.engine.supervisor.running import NoRoom
from lbapp.engine.supervisor.workers import WorkerRefused
from lbapp.model.entities import Configuration
from lbapp.model.errors import ConfigurationError, RequestRefused, StartError
from lbapp.model.file_digest import file_digest

UPGRADE: Final = "Use lbapp upgrade for that; nothing was changed"
_NAMED_MAX: Final = 8


def check_digest(path: Path, text: str, expected: str) -> None:
    """Refuse a file that is not the one that is meant; empty: any is. Raises RequestRefused 409 changed."""
    if expected and file_digest(text.encode()) != expected:
        message = (
            f"{path} is not what was to be applied: somebody else has changed it; nothing was changed in the engine"
        )
        raise RequestRefused("changed", message, "Look at it again, then repeat", 409)


def check_nothing_pending(applied: Kept | None) -> None:
    """Refuse another configuration while one waits to be confirmed. Raises RequestRefused 409 unconfirmed."""
    if applied is not None and applied.state == UNCONFIRMED:
        message = f"configuration {applied.number} is not confirmed yet"
        raise RequestRefused("unconfirmed", message, "Decide on it first: lbapp confirm, or lbapp rollback", 409)


def invalid_configuration(error: ConfigurationError) -> RequestRefused:
    """Return the refusal of a configuration, with everything that is wrong with it."""
    return RequestRefused("invalid_configuration", str(error), "Nothing was changed", 422, error.problems)


def refusal_of(error: BaseException) -> RequestRefused | None:
    """Return the refusal of a configuration that could not be made ready; None: that was no error of this kind."""
    if isinstance(error, StartError):
        return RequestRefused("cannot_reload", f"{error.message}; nothing was changed", error.hint, 409)
    if isinstance(error, NoRoom):
        return RequestRefused("cannot_reload", str(error), UPGRADE, 409)
    if isinstance(error, WorkerRefused):
        return RequestRefused("worker_refused", f"{error}; nothing was changed", "See the engine's log", 409)
    return None


def no_configuration(number: int | None) -> RequestRefused:
    """Return the refusal of a configuration that is not kept; None: there is none before the last."""
    message = "there is no configuration to go back to" if number is None else f"there is no configuration {number}"
    return RequestRefused("unknown_configuration", message, "See: lbapp configurations", 404)


def edits_of(in_file: Configuration, now: Configuration) -> list[Difference]:
    """Return the servers that were added and removed since the file was read."""
    before, after = {each.id: each for each in in_file.servers}, {each.id: each for each in now.servers}
    gone = [each for each in before.values() if after.get(each.id) != each]
    come = [each for each in after.values() if before.get(each.id) != each]
    return [_edit(each.id, each.address, "") for each in gone] + [_edit(each.id, "", each.address) for each in come]


def _edit(on: str, in_file: str, now: str) -> Difference:
    return {"on": on, "setting": "server", "in_file": in_file, "now": now, "action": None}


def stays_of(applied: Kept | None, edits: Sequence[Difference]) -> str:
    """Return what a reload leaves as it is where the file is what it was; empty: it applies the file."""
    if applied is not None and applied.fleet and applied.of:
        number = f"configuration {applied.fleet} of the fleet"
        return f"the file is as it was when {number} was taken; that stays (change the file, or lbapp rollback)"
    if edits:
        return "the file is as it was; servers that were added and removed since stay so (lbapp diff, lbapp rollback)"
    return ""


def done_of(applied: Kept | None, planned: Sequence[Planned], warnings: list[str], *, is_applied: bool) -> ReloadDone:
    """Return what a reload did, or would do. `applied`: the copy of what serves."""
    return {
        "applied": is_applied,
        "number": 0 if applied is None else applied.number,
        "confirm_by": None if applied is None else applied.confirm_by,
        "changes": [
            {"what": each.what, "kind": each.kind, "how": each.how, "details": list(each.details)} for each in planned
        ],
        "warnings": warnings,
    }


def summary(planned: Sequence[Planned]) -> str:
    """Return what a plan changes, in one line."""
    named = ", ".join(f"{each.what} {each.kind}" for each in planned[:_NAMED_MAX])
    return named + (f" and {len(planned) - _NAMED_MAX} more" if len(planned) > _NAMED_MAX else "")


def clock(at: float) -> str:
    """Return the time of day of a moment in Unix seconds."""
    return time.strftime("%H:%M:%S", time.localtime(at))
