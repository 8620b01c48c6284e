"""What stands in the body of a change, checked.

Responsible for every rule about the fields of a request, and for what is said of one that breaks it. Knows nothing of what a
change does. Invariant: whatever a body holds, it is understood or refused with one sentence and a hint.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Final

from lbapp.control.messages import Actor
from lbapp.engine.supervisor.configurations import FROM_FILE, Source
from lbapp.engine.supervisor.intents import Why
from lbapp.engine.supervisor.server_state import ServerState
from lbapp.model.errors import RequestRefused
from lbapp.model.states import WEIGHT_MAX, AdminState

TIMEOUT_S_MAX: Final = 7 * 24 * 3600.0
_SHOWN_MAX: Final = 60
_ADMIN: Final = {state.name.lower(): state for state in AdminState}
_GROUP_LETTERS_MAX: Final = 64
REASON_LETTERS_MAX: Final = 200
_WEIGHTS: Final = ("weight", "weight_add", "weight_percent")
_PERCENT_MAX: Final = 100 * WEIGHT_MAX  # of a weight of 1
_WHY_OF_NEW: Final = ("reason", "unrecorded")


@dataclass(frozen=True, slots=True)
class Relative:
    """A weight by what a server has: so much more or less than now, or a share of what the file says."""

    more: int = 0
    percent: float | None = None

    def of(self, state: ServerState) -> int:
        """Return the weight of one server: at least 1, so that no step takes it out, but 0 stays 0 unless it gets more."""
        if self.percent is not None:
            least = 1 if self.percent and (state.weight or state.server.weight) else 0
            return min(WEIGHT_MAX, max(least, round(state.server.weight * self.percent / 100)))
        if state.weight == 0 and self.more <= 0:
            return 0
        return min(WEIGHT_MAX, max(1, state.weight + self.more))


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to become of servers, and why. None: that stays. `is_hard` is about a drain."""

    admin: AdminState | None
    weight: int | None
    timeout_s: float | None
    why: Why
    is_forced: bool
    is_hard: bool = False
    over_s: float | None = None
    abort_percent: float | None = None
    relative: Relative | None = None

    def at(self, state: ServerState) -> Wish:
        """Return what is to become of one server as it is now: a weight is a number then."""
        return self if self.relative is None else replace(self, weight=self.relative.of(state), relative=None)

    def admin_of(self, state: ServerState) -> tuple[AdminState, bool]:
        """Return what a server's state becomes, and whether it is hard."""
        if self.admin is None:
            return state.admin, state.is_hard
        return self.admin, self.is_hard


def wish_of(patch: dict[str, object]) -> Wish:
    """Return what a ServerPatch or a ServersPatch asks for. Raises RequestRefused 422."""
    if not patch.keys() & {"state", *_WEIGHTS, "drain_timeout_s"}:
        raise invalid("body", "the change is empty", "Give state, weight or both")
    is_hard = patch.get("hard", False)
    if not isinstance(is_hard, bool) or (is_hard and patch.get("state") != "drain"):
        raise invalid("body", f"hard is {shown_json(is_hard)}", 'Use true or false, beside "state": "drain"')
    return Wish(
        _admin(patch["state"]) if "state" in patch else None,
        _weight(patch["weight"]) if "weight" in patch else None,
        seconds_of(patch["drain_timeout_s"], "drain_timeout_s") if "drain_timeout_s" in patch else None,
        why_of(patch),
        force_of(patch),
        is_hard,
        *_ramp(patch),
        _relative(patch),
    )


def _relative(patch: dict[str, object]) -> Relative | None:
    """Return which weight is wanted by what each server has; None: none is. Raises RequestRefused 422."""
    named = [name for name in _WEIGHTS if name in patch]
    if len(named) > 1:
        raise invalid("body", f"{' and '.join(named)} stand beside each other", "Use one of them")
    more, percent = patch.get("weight_add"), patch.get("weight_percent")
    if "weight_add" in named:
        if not isinstance(more, int) or isinstance(more, bool) or not -WEIGHT_MAX <= more <= WEIGHT_MAX:
            hint = f"Use a whole number from -{WEIGHT_MAX} to {WEIGHT_MAX}"
            raise invalid("weight", f"weight_add is {shown_json(more)}", hint)
        return Relative(more)
    if "weight_percent" in named:
        if not isinstance(percent, int | float) or isinstance(percent, bool) or not 0 <= percent <= _PERCENT_MAX:
            raise invalid("weight", f"weight_percent is {shown_json(percent)}", f"Use a share from 0 to {_PERCENT_MAX}")
        return Relative(percent=float(percent))
    return None


def _ramp(patch: dict[str, object]) -> tuple[float | None, float | None]:
    """Return over which time a weight is to change, and at which share of failed requests that is taken back."""
    over, percent = patch.get("over_s"), patch.get("abort_if_errors_percent")
    if over is None and percent is None:
        return None, None
    if over is None or not patch.keys() & set(_WEIGHTS):
        raise invalid(
            "body", "over_s and abort_if_errors_percent are about a weight", 'Such as {"weight": 0, "over_s": 600}'
        )
    if percent is None:
        return seconds_of(over, "over_s"), None
    if isinstance(percent, bool) or not isinstance(percent, int | float) or not 0 <= percent <= 100:
        raise invalid("body", f"abort_if_errors_percent is {shown_json(percent)}", "Use a share from 0 to 100")
    return seconds_of(over, "over_s"), float(percent)


def servers_of(patch: dict[str, object]) -> list[str]:
    """Return the names of the servers that a change is about. Raises RequestRefused 422 invalid_body."""
    names = patch.get("servers")
    if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
        return names
    raise invalid("body", f"servers is {shown_json(names)}", 'Use a list of names such as ["app/s1"]')


def force_of(patch: dict[str, object]) -> bool:
    """Say whether a change is to be made whatever it leaves. Raises RequestRefused 422 invalid_body."""
    force = patch.get("force", False)
    if not isinstance(force, bool):
        raise invalid("body", f"force is {shown_json(force)}", "Use true or false")
    return force


def fleet_of(patch: dict[str, object]) -> bool:
    """Say whether a change is meant for all nodes of the fleet. Raises RequestRefused 422 invalid_body."""
    is_of_fleet = patch.get("fleet", False)
    if not isinstance(is_of_fleet, bool):
        raise invalid("body", f"fleet is {shown_json(is_of_fleet)}", "Use true or false")
    return is_of_fleet


def why_of(patch: dict[str, object]) -> Why:
    """Return what an operator says with a change. Raises RequestRefused 422 invalid_body."""
    reason, group, is_unrecorded = patch.get("reason", ""), patch.get("group", ""), patch.get("unrecorded", False)
    if not isinstance(reason, str) or len(reason) > REASON_LETTERS_MAX or not reason.isprintable():
        raise invalid("body", f"reason is {shown_json(reason)}", f"Use one line of up to {REASON_LETTERS_MAX} letters")
    if not isinstance(group, str) or len(group) > _GROUP_LETTERS_MAX or not group.isprintable():
        raise invalid("body", f"group is {shown_json(group)}", f"Use up to {_GROUP_LETTERS_MAX} letters")
    if not isinstance(is_unrecorded, bool):
        raise invalid("body", f"unrecorded is {shown_json(is_unrecorded)}", "Use true or false")
    return Why(reason, group, is_unrecorded)


@dataclass(frozen=True, slots=True)
class How:
    """How a configuration is to be applied. `confirm_s`: it is taken back after that, unless it is confirmed; None: it stays.

    `is_unrecorded`: also when it cannot be written down. `source`: where it came from. `of`: the digest of the file that it is an
    edit of; empty: of none. `expect_number`: of the configuration that is to be left or confirmed; None: whichever serves.
    """

    actor: Actor
    reason: str = ""
    confirm_s: float | None = None
    is_dry: bool = False
    is_unrecorded: bool = False
    source: Source = FROM_FILE
    of: str = ""
    expect_number: int | None = None


def read_how(body: object, actor: Actor, allowed: tuple[str, ...]) -> How:
    """Return what a ReloadRequest or a RollbackRequest asks for. Raises RequestRefused 422 invalid_body."""
    request = object_of({} if body is None else body, allowed)
    is_dry = request.get("dry_run", False)
    if not isinstance(is_dry, bool):
        raise invalid("body", f"dry_run is {shown_json(is_dry)}", "Use true or false")
    confirm_s = seconds_of(request["confirm_s"], "confirm_s") if "confirm_s" in request else None
    why = why_of({"reason": request.get("reason", ""), "unrecorded": request.get("unrecorded", False)})
    expected = read_number(request, "expect_number")
    return How(actor, why.reason, confirm_s, is_dry, why.is_unrecorded, expect_number=expected)


def read_candidate(body: object) -> tuple[object, str | None, str]:
    """Return the rest of a ReloadRequest, the text that is to be looked at, if any, and the digest that the file has to have.

    Raises RequestRefused 422 invalid_body.
    """
    if not isinstance(body, dict) or not body.keys() & {"text", "expect_digest"}:
        return body, None, ""
    rest = {name: value for name, value in body.items() if name not in ("text", "expect_digest")}
    text, digest = body.get("text"), body.get("expect_digest", "")
    if "text" in body:
        if not isinstance(text, str) or not _is_unicode(text):
            raise invalid("body", f"text is {shown_json(text)}", "Use the text of a configuration")
        if body.get("dry_run") is not True or digest:
            raise invalid("body", "text is only looked at, never applied", 'Use it beside "dry_run": true alone')
    if not isinstance(digest, str) or not re.fullmatch(r"([0-9a-f]{64})?", digest):
        raise invalid("body", f"expect_digest is {shown_json(digest)}", "Use the SHA-256 of the file, 64 hex digits")
    return rest, text, digest


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def read_new_server(body: object) -> dict[str, str | int | bool]:
    """Return the fields of a NewServer; the configuration's own rules check their values.

    Raises RequestRefused 422 invalid_body.
    """
    fields = object_of(body, ("name", "address", "weight", "connections_max", "backup", *_WHY_OF_NEW))
    for name in ("name", "address"):
        if not isinstance(fields.get(name), str):
            raise invalid(
                "body", f"{name} is {shown_json(fields.get(name))}", 'Such as {"name": "s3", "address": "10.0.0.3:80"}'
            )
    found: dict[str, str | int | bool] = {}
    for name, value in fields.items():
        if not isinstance(value, str | int | bool):
            raise invalid("body", f"{name} is {shown_json(value)}", "Use text, a whole number, true or false")
        if name not in _WHY_OF_NEW:
            found[name] = value
    return found


def why_of_new_server(body: object) -> dict[str, object]:
    """Return what a NewServer says beside the server."""
    return {name: body[name] for name in _WHY_OF_NEW if name in body} if isinstance(body, dict) else {}


def is_forced_by(body: object) -> bool:
    """Return what a Removal says of force. Raises RequestRefused 422 invalid_body."""
    is_forced = body.get("force", False) if isinstance(body, dict) else False
    if not isinstance(is_forced, bool):
        raise invalid("body", f"force is {shown_json(is_forced)}", "Use true or false")
    return is_forced


def read_number(body: object, name: str = "number") -> int | None:
    """Return the number of a configuration that a field of a request names. Raises RequestRefused 422 invalid_body."""
    number = body.get(name) if isinstance(body, dict) else None
    if number is not None and (not isinstance(number, int) or isinstance(number, bool)):
        raise invalid("body", f"{name} is {shown_json(number)}", "Use the number of a configuration")
    return number


def object_of(body: object, allowed: tuple[str, ...]) -> dict[str, object]:
    """Return a body that is an object of known fields. Raises RequestRefused 422 invalid_body."""
    if not isinstance(body, dict):
        raise invalid("body", "the body must be a JSON object", f"Its fields are {', '.join(allowed)}")
    for name in body:
        if name not in allowed:
            raise invalid("body", f"there is no field {shown_json(name)}", near(name, list(allowed)))
    return body


def _admin(value: object) -> AdminState:
    if not isinstance(value, str) or value not in _ADMIN:
        raise invalid("state", f"{shown_json(value)} is no state", f"Use {', '.join(_ADMIN)}")
    return _ADMIN[value]


def _weight(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= WEIGHT_MAX:
        raise invalid("weight", f"{shown_json(value)} is no weight", f"Use a whole number from 0 to {WEIGHT_MAX}")
    return value


def seconds_of(value: object, name: str) -> float:
    """Return seconds, 0 to TIMEOUT_S_MAX. Raises RequestRefused 422 invalid_body."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= TIMEOUT_S_MAX:
        raise invalid("body", f"{name} is {shown_json(value)}", f"Use seconds from 0 to {TIMEOUT_S_MAX:g}")
    return float(value)


def shown_json(value: object) -> str:
    """Return a value as sentences quote it."""
    shown = json.dumps(value)
    return shown if len(shown) <= _SHOWN_MAX else f"{shown[:_SHOWN_MAX]}..."


def invalid(what: str, message: str, hint: str) -> RequestRefused:
    """Return the refusal of a body."""
    return RequestRefused(f"invalid_{what}", message, hint, 422)


def near(name: str, known: list[str]) -> str:
    """Return a hint with the names that one may have meant."""
    found = get_close_matches(name, known, n=3, cutoff=0.5)
    if found:
        return f"Did you mean {' or '.join(found)}?"
    some = ", ".join(known[:10])
    return f"There are {some}{', ...' if len(known) > 10 else ''}" if known else "There are none"
