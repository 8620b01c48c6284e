"""What etcd's JSON gateway is told and answers: bodies of requests, and answers turned into values.

Responsible for the shapes of etcd's v3 API as JSON: keys and values in base64, 64-bit numbers as text, what is nought left out.
Knows nothing of HTTP, of endpoints or of a fleet.

Invariants: whatever bytes come in, what goes out is a value of these types or `Nonsense`; numbers fit 64 bits.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeVar

_INT64_MAX: Final = 2**63 - 1
_DIGITS_MAX: Final = 20
_Value = TypeVar("_Value")
Body = dict[str, Any]


class Nonsense(ValueError):
    """What the store answered is not what it answers."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A key with its value, the revision at which it was written last, and the lease that it lives by; 0: none."""

    key: bytes
    value: bytes
    revision: int
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """What a range had. `count`: how many keys there are in it, whether or not they are here."""

    revision: int  # of the store
    pairs: tuple[Pair, ...] = ()
    count: int = 0


@dataclass(frozen=True, slots=True)
class Committed:
    """What came of a transaction: whether the comparisons held, and what each range of the branch that was taken had."""

    revision: int
    has_held: bool
    found: tuple[Found, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """A key that was written, or deleted: then its value is None."""

    key: bytes
    value: bytes | None
    revision: int
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a watch. `compacted`: the store has forgotten what was before that revision; 0: it has not.

    `is_part`: there is more of the same revision to come. `ended`: why the watch is over; None: it goes on.
    """

    revision: int
    events: tuple[Event, ...] = ()
    is_part: bool = False
    ended: str | None = None
    compacted: int = 0


# -- what it is told -----------------------------------------------------------------------------------------------------


def text_of(data: bytes) -> str:
    """Return bytes as they stand in JSON."""
    return base64.b64encode(data).decode("ascii")


def after(prefix: bytes) -> bytes:
    """Return the end of the range of all keys that begin with a prefix, whose last byte is not 255."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


def range_of(key: bytes, end: bytes = b"", *, limit: int = 0, revision: int = 0) -> Body:
    """Return a request for a key, or for those from `key` to before `end`, as they were at a revision; 0: as they are."""
    body: Body = {"key": text_of(key)}
    if end:
        body["range_end"] = text_of(end)
    if limit:
        body["limit"] = str(limit)
    if revision:
        body["revision"] = str(revision)
    return body


def put(key: bytes, value: bytes, lease: int = 0) -> Body:
    """Return a request to write a key."""
    body: Body = {"key": text_of(key), "value": text_of(value)}
    if lease:
        body["lease"] = str(lease)
    return body


def is_at(key: bytes, revision: int) -> Body:
    """Return a comparison: the key was written last at this revision; 0: it is not there."""
    return {"key": text_of(key), "target": "MOD", "result": "EQUAL", "mod_revision": str(revision)}


def transaction(compare: Sequence[Body], success: Sequence[Body], failure: Sequence[Body] = ()) -> Body:
    """Return a request to do one thing if all comparisons hold, else another."""
    return {"compare": list(compare), "success": list(success), "failure": list(failure)}


def to_put(key: bytes, value: bytes, lease: int = 0) -> Body:
    """Return a write as a step of a transaction."""
    return {"request_put": put(key, value, lease)}


def to_delete(key: bytes, end: bytes = b"") -> Body:
    """Return a deletion as a step of a transaction."""
    return {"request_delete_range": range_of(key, end)}


def to_range(key: bytes) -> Body:
    """Return a look at one key as a step of a transaction."""
    return {"request_range": range_of(key)}


def to_last(key: bytes, end: bytes) -> Body:
    """Return a look at the last key from `key` to before `end`, without its value, as a step of a transaction."""
    order = {"sort_order": "DESCEND", "sort_target": "KEY", "keys_only": True}
    return {"request_range": range_of(key, end, limit=1) | order}


def watching(key: bytes, end: bytes, revision: int) -> Body:
    """Return a request for everything in a range from a revision on."""
    request = {**range_of(key, end), "start_revision": str(revision), "fragment": True}
    return {"create_request": request}


# -- what it answers -----------------------------------------------------------------------------------------------------


def read_json(data: bytes) -> Body:
    """Return a JSON object. Raises Nonsense."""
    try:
        read = json.loads(data.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Nonsense("it is no JSON") from error
    return _object(read)


def found(answer: Body) -> Found:
    """Return what a range had. Raises Nonsense."""
    return _sound(lambda: _found(answer))


def revision_of(answer: Body) -> int:
    """Return the revision of the store at which an answer was made. Raises Nonsense."""
    return _sound(lambda: _number(_object(answer.get("header")).get("revision")))


def committed(answer: Body) -> Committed:
    """Return what came of a transaction. Raises Nonsense."""

    def read() -> Committed:
        steps = [_object(each) for each in _list(answer.get("responses"))]
        looks = tuple(_found(_object(each["response_range"])) for each in steps if "response_range" in each)
        return Committed(revision_of(answer), _flag(answer.get("succeeded")), looks)

    return _sound(read)


def number_of(answer: Body, name: str) -> int:
    """Return a number of an answer; one that is left out is 0. Raises Nonsense."""
    return _sound(lambda: _number(answer.get(name)))


def inner(answer: Body) -> Body:
    """Return what a streamed answer has inside it. Raises Nonsense."""
    return _sound(lambda: _object(answer.get("result")))


def token_of(answer: Body) -> str:
    """Return the token of an authentication. Raises Nonsense."""
    token = answer.get("token")
    if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
        raise Nonsense("it has no token")
    return token


def message(line: bytes) -> Message:
    """Return one message of a watch. Raises Nonsense."""

    def read() -> Message:
        answer = read_json(line)
        if "error" in answer:
            return Message(0, ended=problem_of(answer) or "an error that has no name")
        result = _object(answer.get("result"))
        revision = _number(_object(result.get("header", {})).get("revision"))
        ended = (_text(result.get("cancel_reason")) or "no reason is given") if _flag(result.get("canceled")) else None
        events = tuple(_event(_object(each)) for each in _list(result.get("events")))
        compacted = _number(result.get("compact_revision"))
        return Message(revision, events, _flag(result.get("fragment")), ended, compacted)

    return _sound(read)


def problem_of(answer: Body) -> str:
    """Return what an answer says is wrong, on one line; empty: it does not say."""
    said = answer.get("error") or answer.get("message")
    if isinstance(said, dict):  # of a stream
        said = said.get("message")
    said = said if isinstance(said, str) else ""
    return "".join(letter if letter.isprintable() else " " for letter in said).strip()


def _found(answer: Body) -> Found:
    pairs = tuple(_pair(_object(each)) for each in _list(answer.get("kvs")))
    revision = _number(_object(answer.get("header")).get("revision"))
    return Found(revision, pairs, _number(answer.get("count")))


def _pair(read: Body) -> Pair:
    return Pair(
        _octets(read.get("key")),
        _octets(read.get("value")),
        _number(read.get("mod_revision")),
        _number(read.get("lease")),
    )


def _event(read: Body) -> Event:
    pair = _pair(_object(read.get("kv")))
    kind = read.get("type", "PUT")
    if kind not in ("PUT", "DELETE"):
        raise Nonsense("an event is neither PUT nor DELETE")
    return Event(pair.key, None if kind == "DELETE" else pair.value, pair.revision, pair.lease)


def _sound(read: Callable[[], _Value]) -> _Value:
    try:
        return read()
    except Nonsense:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Nonsense("something in it is of another type") from error


def _object(value: object) -> Body:
    if not isinstance(value, dict):
        raise Nonsense("something in it is no object")
    return value


def _list(value: object) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise Nonsense("something in it is no list")
    return value


def _number(value: object) -> int:
    """Return a 64-bit number, which is text, or a number where somebody else made the JSON; left out, it is 0."""
    if value is None:
        return 0
    if isinstance(value, str) and len(value) <= _DIGITS_MAX and value.removeprefix("-").isdecimal() and value.isascii():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _INT64_MAX:
        raise Nonsense("something in it is no 64-bit number")
    return value


def _flag(value: object) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    raise Nonsense("something in it is neither true nor false")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _octets(value: object) -> bytes:
    if value is None:
        return b""
    if not isinstance(value, str):
        raise Nonsense("a key or value in it is no text")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Nonsense("a key or value in it is no base64") from error


def _no_number(name: str) -> NoReturn:
    raise Nonsense(f"{name} is no number")
