"""The last whole view on the node's own disk, for a start without the store.

Responsible for one file: written at one stroke, with a checksum, and read whatever it is. Knows nothing of the store.

Invariants: what is read is what was written whole; a file that is damaged is said and passed over; no secret is in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NotRequired, TypedDict
from zlib import crc32

from lbapp.cluster import values
from lbapp.cluster.keys import Keys, Kind
from lbapp.control.shapes import check
from lbapp.control.state_file import replace_file
from lbapp.model.fleet import FleetConfiguration, FleetView, IntentKey, Member
from lbapp.model.limits import FLEET_KEPT_BYTES_MAX

_HEAD: Final = b"lbapp fleet 1 "
_CHECKSUM_LETTERS: Final = 8


class KeptDamaged(Exception):
    """The file is there and cannot be used: one sentence without an end."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a node knew. `began` and `lease`: of the store's data and of the node's own membership; empty and 0: none.

    `floor` and `former`: as of `Since`. `endpoints`: of the store that has said so; empty: it is not known.
    """

    view: FleetView = field(default_factory=FleetView)
    began: str = ""
    lease: int = 0
    floor: int = 0
    former: Mapping[IntentKey, int] = field(default_factory=dict)
    endpoints: tuple[str, ...] = ()


class _Pair(TypedDict):
    key: str
    value: str
    revision: int


class _Member(TypedDict):
    name: str
    card: str
    state: str
    is_alive: bool
    seen_at: float
    is_unsure: NotRequired[bool]  # earlier versions kept none of these


class _Body(TypedDict):
    fleet: str
    confirmed_at: float
    revision: int
    began: str
    lease: int
    floor: int
    former: list[_Pair]
    members: list[_Member]
    pairs: list[_Pair]
    endpoints: NotRequired[list[str]]


def write(path: Path, fleet: str, kept: Kept) -> None:
    """Put it on the disk in the place of what was there. Raises OSError. It may take as long as the disk does."""
    replace_file(path, _data(fleet, kept))


def read(path: Path, fleet: str) -> Kept | None:
    """Return what is kept of a fleet; None: nothing is. Raises KeptDamaged."""
    try:
        with path.open("rb") as file:
            data = file.read(FLEET_KEPT_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeptDamaged(f"{path} cannot be read: {error.strerror}") from error
    try:
        return _kept(data, fleet)
    except (ValueError, RecursionError) as error:
        raise KeptDamaged(f"{path} is damaged and is passed over: {error}") from error


def _data(fleet: str, kept: Kept) -> bytes:
    view, keys = kept.view, Keys(fleet)
    pairs = [_pair(keys.intent(key), values.intent(intent), intent.revision) for key, intent in view.intents.items()]
    pairs += [_pair(keys.result(name), values.result(result), 0) for name, result in view.results.items()]
    if view.configuration.number:
        pairs.append(_pair(keys.current, values.configuration(view.configuration), view.configuration.revision))
    body: _Body = {
        "fleet": fleet,
        "confirmed_at": view.confirmed_at,
        "revision": view.revision,
        "began": kept.began,
        "lease": kept.lease,
        "floor": kept.floor,
        "former": [_pair(keys.intent(key), b"", revision) for key, revision in kept.former.items()],
        "members": [_member(member) for member in view.members.values()],
        "pairs": pairs,
        "endpoints": list(kept.endpoints),
    }
    written = json.dumps(body, separators=(",", ":")).encode("ascii")
    return _HEAD + b"%08x\n" % crc32(written) + written


def _kept(data: bytes, fleet: str) -> Kept | None:
    head, _, rest = data.partition(b"\n")
    if head != _HEAD + b"%08x" % crc32(rest):
        raise ValueError("its checksum is another")
    body: _Body = json.loads(rest)
    check(body, _Body, "it")
    if body["fleet"] != fleet:
        return None  # it is of another fleet, which this node was of before
    view = FleetView(confirmed_at=body["confirmed_at"], revision=body["revision"])
    view = replace(view, members={each["name"]: _member_of(each) for each in body["members"]})
    former = {key: each["revision"] for each in body["former"] if (key := _intent_key(each, fleet)) is not None}
    view = _with_pairs(view, body["pairs"], fleet)
    return Kept(view, body["began"], body["lease"], body["floor"], former, tuple(body.get("endpoints", ())))


def _with_pairs(view: FleetView, pairs: list[_Pair], fleet: str) -> FleetView:
    keys = Keys(fleet)
    intents, results, configuration = {}, {}, FleetConfiguration()
    for pair in pairs:
        name, value, revision = keys.read(pair["key"].encode()), pair["value"].encode(), pair["revision"]
        # What a later version wrote before this one was put back is passed over, as it is in the store.
        with suppress(ValueError):
            if name is None:
                continue
            if name.intent is not None:
                intents[name.intent] = values.read_intent(name.intent, value, revision)
            elif name.kind is Kind.RESULT:
                results[name.of] = values.read_result(name.of, value)
            elif name.kind is Kind.CURRENT:
                configuration = values.read_configuration(value, revision)
    return replace(view, intents=intents, results=results, configuration=configuration)


def _intent_key(pair: _Pair, fleet: str) -> IntentKey | None:
    name = Keys(fleet).read(pair["key"].encode())
    return None if name is None else name.intent


def _pair(key: bytes, value: bytes, revision: int) -> _Pair:
    return {"key": key.decode(), "value": value.decode(), "revision": revision}


def _member(member: Member) -> _Member:
    card, state = (json.dumps(dict(each), separators=(",", ":")) for each in (member.card, member.state))
    return {
        "name": member.name,
        "card": card,
        "state": state,
        "is_alive": member.is_alive,
        "seen_at": member.seen_at,
        "is_unsure": member.is_unsure,
    }


def _member_of(read: _Member) -> Member:
    state: dict[str, Any] = {} if read["state"] == "{}" else values.read_state(read["state"].encode())
    card = values.read_card(read["card"].encode())
    return Member(read["name"], card, state, read["is_alive"], read["seen_at"], read.get("is_unsure", False))
