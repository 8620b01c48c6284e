"""The values of what a fleet keeps in its store, as JSON.

Responsible for both ways between them and the values of `model.fleet`, and for refusing what is not of their shape. Knows nothing
of keys but what a value does not repeat, and nothing of how it came here.

Invariants: what is read was checked: types, lengths, finite numbers, text that can be shown; what is written can be read; what a
later version says besides is kept, and written again as it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, Literal, NotRequired, TypedDict

from lbapp.control.fleet import MemberState
from lbapp.control.shapes import check
from lbapp.model.fleet import ConfigurationResult, FleetConfiguration, FleetIntent, IntentKey, RollMode
from lbapp.model.journal import Setting, Value
from lbapp.model.limits import FLEET_VALUE_BYTES_MAX
from lbapp.model.states import WEIGHT_MAX, AdminState

HARD_DRAIN: Final = "hard_drain"
_DEPTH_MAX: Final = 16
_UNSOUND: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")  # what `check` lets nobody show
STATE_WORDS: Final = frozenset([*(state.name.lower() for state in AdminState), HARD_DRAIN])
_NUMBER_MAX: Final = 10**9  # of configurations
_NODES_MAX: Final = 1_000  # in the order of a roll
_NAME_LETTERS_MAX: Final = 255  # of a node that is named in an error


class _Intent(TypedDict):
    value: str | int | bool
    in_file: str | int | bool
    by: str
    node: str
    at: float
    reason: str
    until: float | None
    start: int | None
    is_forced: bool
    abort_percent: NotRequired[float | None]  # an engine of an earlier version writes none of these
    undoes: NotRequired[list[int]]
    then_stop: NotRequired[bool]


class _Configuration(TypedDict):
    number: int
    mode: Literal["all", "rolling"]
    by: str
    node: str
    at: float
    reason: str
    order: list[str]
    reached: int
    stopped: str
    digest: str


class _Result(TypedDict):
    number: int
    at: float
    error: str
    has_only_begun: NotRequired[bool]


class _Began(TypedDict):
    id: str
    at: float
    node: str


class Card(TypedDict):
    """What a node says of who it is. There may be more in it."""

    version: NotRequired[str]
    started_at: NotRequired[float]
    host: NotRequired[str]


# -- reading -------------------------------------------------------------------------------------------------------------


def read_intent(key: IntentKey, data: bytes, revision: int) -> FleetIntent:
    """Return an intent. Raises ValueError: one sentence without an end."""
    whole: _Intent = _checked(data, _Intent, is_open=True)
    read, more = _parted(whole, _Intent)
    on, setting = key
    for name, value in (("value", read["value"]), ("in_file", read["in_file"])):
        if not may_be(setting, value):
            raise ValueError(f"{name} is no {setting.value}")
    rest: dict[str, Any] = {**read, "undoes": tuple(read.get("undoes", ())), "more": more}
    return FleetIntent(on, setting, revision=revision, **rest)


def may_be(setting: Setting, value: Value) -> bool:
    """Say whether a setting can have this value."""
    if setting is Setting.PUBLISHED:
        return isinstance(value, bool)
    if setting is Setting.WEIGHT:
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= WEIGHT_MAX
    return isinstance(value, str) and value in STATE_WORDS


def read_configuration(data: bytes, revision: int) -> FleetConfiguration:
    """Return the configuration that nodes are to serve by. Raises ValueError."""
    whole: _Configuration = _checked(data, _Configuration, is_open=True)
    read, more = _parted(whole, _Configuration)
    order = tuple(read["order"])
    if not 1 <= read["number"] <= _NUMBER_MAX:
        raise ValueError(f"its number is none from 1 to {_NUMBER_MAX}")
    if not 0 <= read["reached"] <= len(order) <= _NODES_MAX or len(set(order)) != len(order):
        raise ValueError("its order and how far it has come do not fit together")
    rest: dict[str, Any] = {**read, "mode": RollMode(read["mode"]), "order": order, "more": more}
    return FleetConfiguration(revision=revision, **rest)


def read_result(node: str, data: bytes) -> ConfigurationResult:
    """Return what came of a configuration on a node. Raises ValueError."""
    read: _Result = _checked(data, _Result)
    return ConfigurationResult(read["number"], node, read["at"], read["error"], read.get("has_only_begun", False))


def read_card(data: bytes) -> dict[str, Any]:
    """Return who a node says it is: what is known of it has the right type, and the rest can be shown. Raises ValueError."""
    card: dict[str, Any] = _checked(data, Card, is_open=True)
    return card


def read_state(data: bytes) -> dict[str, Any]:
    """Return what a node says that it carries: a MemberState. Raises ValueError."""
    state: dict[str, Any] = _checked(data, MemberState, is_open=True)
    return state


def read_began(data: bytes) -> str:
    """Return the name of the store's data. Raises ValueError."""
    read: _Began = _checked(data, _Began)
    return read["id"]


def read_text(data: bytes) -> str:
    """Return the text of a configuration. Raises ValueError."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8 text") from error


def author(data: bytes) -> str:
    """Return the node that a value names as the one that has written it; empty: it names none, or nothing that can be shown."""
    try:
        named = json.loads(data[: FLEET_VALUE_BYTES_MAX + 1])["node"]
        check(named, str, "it")
    except (ValueError, TypeError, LookupError, RecursionError):
        return ""
    return str(named)[:_NAME_LETTERS_MAX]


def _parted(whole: Mapping[str, Any], message: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the message declares, and what a later version has added."""
    known = {name: each for name, each in whole.items() if name in message.__annotations__}
    return known, {name: each for name, each in whole.items() if name not in known}


def _checked(data: bytes, message: Any, *, is_open: bool = False) -> Any:
    """Return what was read, without what the message does not declare unless it `is_open`. Raises ValueError."""
    if len(data) > FLEET_VALUE_BYTES_MAX:
        raise ValueError(f"it is longer than {FLEET_VALUE_BYTES_MAX} bytes")
    try:
        read = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError("it is no JSON") from error
    check(read, message, "it")
    if not is_open:
        return {name: read[name] for name in message.__annotations__ if name in read}
    _check_open(read, "it", _DEPTH_MAX)
    return read


def _check_open(value: object, where: str, depth: int) -> None:
    """Make sure of what nothing is known about that it can be shown. Raises ValueError."""
    if depth == 0:
        raise ValueError(f"it is nested deeper than {_DEPTH_MAX}")
    if isinstance(value, dict):
        for name, each in value.items():
            check(name, str, where)
            _check_open(each, where, depth - 1)
    elif isinstance(value, list):
        for each in value:
            _check_open(each, where, depth - 1)
    elif value is not None:
        check(value, type(value), where)


# -- writing -------------------------------------------------------------------------------------------------------------


def intent(value: FleetIntent) -> bytes:
    """Return an intent as it is kept. Raises ValueError: it could not be read again."""
    body: _Intent = {
        "value": value.value,
        "in_file": value.in_file,
        "by": value.by,
        "node": value.node,
        "at": value.at,
        "reason": value.reason,
        "until": value.until,
        "start": value.start,
        "is_forced": value.is_forced,
        "abort_percent": value.abort_percent,
        "undoes": list(value.undoes),
        "then_stop": value.then_stop,
    }
    data = _written({**value.more, **body})
    read_intent(value.key, data, 0)
    return data


def configuration(value: FleetConfiguration) -> bytes:
    """Return a configuration, without its text, as it is kept. Raises ValueError: it could not be read again."""
    body: _Configuration = {
        "number": value.number,
        "mode": value.mode.value,
        "by": value.by,
        "node": value.node,
        "at": value.at,
        "reason": value.reason,
        "order": list(value.order),
        "reached": value.reached,
        "stopped": value.stopped,
        "digest": value.digest,
    }
    data = _written({**value.more, **body})
    read_configuration(data, 0)
    return data


def result(value: ConfigurationResult) -> bytes:
    """Return what came of a configuration as it is kept."""
    body: _Result = {"number": value.number, "at": value.at, "error": shown(value.error)}
    if value.has_only_begun:
        body["has_only_begun"] = True
    return _written(body)


def card(value: Mapping[str, Any]) -> bytes:
    """Return who a node is as it is kept. Raises ValueError: it could not be read again."""
    data = _written(value)
    read_card(data)
    return data


def state(value: Mapping[str, Any]) -> bytes:
    """Return what a node carries as it is kept. Raises ValueError: it could not be read again."""
    data = _written(value)
    read_state(data)
    return data


def began(name: str, at: float, node: str) -> bytes:
    """Return the name of the store's data as it is kept."""
    body: _Began = {"id": name, "at": at, "node": node}
    return _written(body)


def shown(text: str) -> str:
    """Return a sentence without what cannot be shown, and not too long."""
    return _UNSOUND.sub("?", text)[: FLEET_VALUE_BYTES_MAX // 8]  # of up to six bytes each, as JSON has them


def _written(value: object) -> bytes:
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"it cannot be written as JSON: {error}") from error
