"""Intents of operators, written to the store of their fleet.

Responsible for writing them all or none, if nobody has changed them since, for saying who has, and for what operators are told
of the store's errors. Knows nothing of what nodes do about an intent.

Invariants: what was refused has changed nothing; where it is not known whether it has, the error says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NoReturn

from lbapp.cluster import gateway, values
from lbapp.cluster.etcd import Etcd, StoreError, StoreRefused, StoreUnreachable
from lbapp.cluster.gateway import Body, Committed, Pair
from lbapp.cluster.keys import Keys
from lbapp.model.errors import RequestRefused
from lbapp.model.fleet import FleetIntent, IntentKey
from lbapp.model.journal import shown
from lbapp.model.limits import FLEET_INTENTS_AT_ONCE_MAX

_ALONE: Final = "Without --fleet a change is for this node alone and needs no store"


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes to the store of one fleet."""

    etcd: Etcd
    keys: Keys

    async def propose(self, intents: Sequence[FleetIntent], seen: Mapping[IntentKey, int]) -> list[FleetIntent]:
        """Do as `Fleet.propose`."""
        if not intents:
            return []
        if len({intent.key for intent in intents}) > FLEET_INTENTS_AT_ONCE_MAX:
            message = f"{len(intents)} settings are more than the store takes at once; nothing was changed"
            raise RequestRefused("too_many", message, f"Change {FLEET_INTENTS_AT_ONCE_MAX} at a time", 413)
        compare, success, failure = [], [], []
        written: dict[bytes, bytes] = {}
        for intent in intents:
            key = self.keys.intent(intent.key)
            written[key] = _value_of(intent, self.keys, key)
            compare.append(gateway.is_at(key, seen.get(intent.key, 0)))
            success.append(gateway.to_put(key, written[key]))
            failure.append(gateway.to_range(key))
        done = await transact(self.etcd, gateway.transaction(compare, success, failure))
        pairs = {pair.key: pair for found in done.found for pair in found.pairs}
        if done.has_held:
            return [replace(intent, revision=done.revision) for intent in intents]
        if all(key in pairs and pairs[key].value == value for key, value in written.items()):
            # An answer that was lost on its way: this is what was written the first time.
            return [replace(intent, revision=pairs[self.keys.intent(intent.key)].revision) for intent in intents]
        for intent in intents:
            pair = pairs.get(self.keys.intent(intent.key))
            if (pair.revision if pair else 0) != seen.get(intent.key, 0):
                _refuse_changed(intent, pair)
        raise unreachable("the store says that it was changed, and does not say what", is_unknown=False)


async def transact(etcd: Etcd, body: Body) -> Committed:
    """Do a transaction for an operator. Raises RequestRefused."""
    try:
        return await etcd.txn(body)
    except StoreError as error:
        raise refused(error) from error


def refused(error: StoreError) -> RequestRefused:
    """Return what an operator is told of an error of the store."""
    if isinstance(error, StoreRefused):
        return RequestRefused("fleet_refused", f"{error}; nothing was changed", _ALONE, 503)
    return unreachable(str(error), is_unknown=isinstance(error, StoreUnreachable) and error.is_unknown)


def unreachable(why: str, *, is_unknown: bool) -> RequestRefused:
    """Return what an operator is told where the store did not answer. `is_unknown`: it may have been written all the same."""
    if is_unknown:
        message, hint = f"{why}; whether it was written is not known", "Look at `lbapp fleet` before you repeat it"
    else:
        message, hint = f"{why}; nothing was changed", _ALONE
    return RequestRefused("fleet_unreachable", message, hint, 503)


def _value_of(intent: FleetIntent, keys: Keys, key: bytes) -> bytes:
    """Return an intent as it is written. Raises RequestRefused: nobody could read it."""
    try:
        name = keys.read(key)
        if name is None or name.intent != intent.key:
            raise ValueError("its name has letters that cannot be shown, or too many")
        return values.intent(intent)
    except ValueError as error:
        message = f"{intent.on!r} cannot have {intent.setting.value} {shown(intent.value)} on the fleet: {error}"
        raise RequestRefused("unwritable", f"{message}; nothing was changed") from error


def _refuse_changed(intent: FleetIntent, pair: Pair | None) -> NoReturn:
    what = f"{intent.setting.value} of {intent.on} was changed meanwhile"
    if pair is not None:
        try:
            now = values.read_intent(intent.key, pair.value, pair.revision)
            what = f"{intent.on} was made {shown(now.value)} by {now.by} at {now.node} meanwhile"
        except ValueError as error:
            raise _not_understood(intent, pair, str(error)) from error
    raise RequestRefused("changed", f"{what}; nothing was changed", "Look at it again, then repeat", 409)


def _not_understood(intent: FleetIntent, pair: Pair, why: str) -> RequestRefused:
    node = values.author(pair.value)
    who = f", as {node} has written it," if node else ""
    message = (
        f"what the fleet wants of {intent.setting.value} of {intent.on}{who} is nothing that this version of lbapp"
    )
    hint = f"Do it at a node of the version that wrote it, or here alone. {_ALONE}"
    return RequestRefused("not_understood", f"{message} understands ({why}); nothing was changed", hint, 409)
