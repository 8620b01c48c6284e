"""What a fleet is, out of what its store holds: one fold over a whole read and the events after it.

Responsible for the picture that a node has of its fleet. Knows nothing of how either came here, of clocks, or of what a node does
about it.

Invariants: a whole read and any way there by events lead to the same picture; what cannot be read as what it should be is
passed over, leaves what was known before, and is named once until it can be read; what a later version has written that this one
does not know is left as it is, and named once, with the node that wrote it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from lbapp.cluster import values
from lbapp.cluster.gateway import Event, Pair
from lbapp.cluster.keys import Keys, Kind, Name
from lbapp.model.fleet import ConfigurationResult, FleetConfiguration, FleetIntent, FleetView, IntentKey, Member
from lbapp.model.limits import FLEET_GONE_MAX, FLEET_GONE_S

_NAMED_MAX: Final = 1_000  # keys whose values cannot be read and that were named; beyond it none are
_WORDS_LETTERS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Remark:
    """Something in the store that this node makes nothing of. `is_nonsense`: it cannot be read; else a later version wrote it."""

    sentence: str
    is_nonsense: bool = True


@dataclass(frozen=True, slots=True)
class _Found:
    """A remark before it is known who wrote it: that may stand in what comes after it."""

    what: str
    node: str
    problem: str
    is_nonsense: bool = True


class Fold:
    """The picture of one fleet. `began`: the name of the store's data; empty: it has none."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._named: set[bytes] = set()
        self._later: set[tuple[str, ...]] = set()  # what later versions wrote, and was named
        self.began = ""
        self.leases: dict[str, int] = {}  # that nodes are members by
        self._cards: dict[str, Mapping[str, Any]] = {}
        self._states: dict[str, Mapping[str, Any]] = {}
        self._seen_at: dict[str, float] = {}
        self.intents: dict[IntentKey, FleetIntent] = {}
        self.configuration = FleetConfiguration()
        self.results: dict[str, ConfigurationResult] = {}

    def read(self, pairs: Iterable[Pair], now: float) -> list[Remark]:
        """Take a whole read in the place of what was known; return what is to be said of what this node makes nothing of."""
        present = {pair.key: pair for pair in pairs}
        for key in self._held() - present.keys():
            self._delete(key)
        self._named &= present.keys()
        found = [self._put(pair.key, pair.value, pair.revision, pair.lease, now) for pair in present.values()]
        return self._remarks(found)

    def apply(self, events: Iterable[Event], now: float) -> list[Remark]:
        """Take in what has changed since, in its order; return as `read` does."""
        found = []
        for event in events:
            if event.value is None:
                self._delete(event.key)
            else:
                found.append(self._put(event.key, event.value, event.revision, event.lease, now))
        return self._remarks(found)

    def members(self) -> dict[str, Member]:
        """Return the nodes whose leases live, by name."""
        return {
            name: Member(name, card, self._states.get(name, {}), True, self._seen_at.get(name, 0.0))
            for name, card in self._cards.items()
        }

    def recall(self, view: FleetView, began: str) -> None:
        """Begin with what was known once, before the store says anything. Nobody's lease is known of it."""
        self.began = began
        self.intents = dict(view.intents)
        self.configuration = view.configuration
        self.results = dict(view.results)

    def _held(self) -> set[bytes]:
        keys = self._keys
        held = {keys.node(name) for name in self.leases} | {keys.state(name) for name in self._states}
        held |= {keys.intent(each) for each in self.intents} | {keys.result(name) for name in self.results}
        return held | {keys.began, keys.current}

    def _put(self, key: bytes, value: bytes, revision: int, lease: int, now: float) -> _Found | None:
        """Take in one value; return what is to be said of it."""
        name = self._keys.read(key)
        if name is None:
            return self._name_later((self._keys.later(key), values.author(value)), "is not known")
        node = name.of or values.author(value)
        if name.kind is Kind.NODE:
            self.leases[name.of] = lease  # whatever else stands there
        try:
            more = self._take(name, value, revision)
        except ValueError as error:
            return self._name(key, node, f"is passed over: {error}")
        self._named.discard(key)
        if name.kind in (Kind.NODE, Kind.STATE):
            self._seen_at[name.of] = now
        if not more:
            return None
        words = ", ".join(sorted(more))[:_WORDS_LETTERS_MAX]
        return self._name_later((self._keys.later(key), node, words), f"says more than is known ({words})")

    def _take(self, name: Name, value: bytes, revision: int) -> Iterable[str]:
        """Take in what can be read; return the names of what a later version has added to a decision. Raises ValueError."""
        if name.kind is Kind.NODE:
            self._cards[name.of] = values.read_card(value)
        elif name.kind is Kind.STATE:
            self._states[name.of] = values.read_state(value)
        elif name.intent is not None:
            self.intents[name.intent] = intent = values.read_intent(name.intent, value, revision)
            return intent.more
        elif name.kind is Kind.RESULT:
            self.results[name.of] = values.read_result(name.of, value)
        elif name.kind is Kind.CURRENT:
            self.configuration = values.read_configuration(value, revision)
            return self.configuration.more
        else:
            self.began = values.read_began(value)
        return ()

    def _delete(self, key: bytes) -> None:
        self._named.discard(key)
        name = self._keys.read(key)
        if name is None:
            return
        if name.kind is Kind.NODE:
            self._cards.pop(name.of, None)
            self.leases.pop(name.of, None)
        elif name.kind is Kind.STATE:
            self._states.pop(name.of, None)
        elif name.intent is not None:
            self.intents.pop(name.intent, None)
        elif name.kind is Kind.RESULT:
            self.results.pop(name.of, None)
        elif name.kind is Kind.CURRENT:
            self.configuration = FleetConfiguration()
        else:
            self.began = ""
        if name.of not in self._cards and name.of not in self._states:
            self._seen_at.pop(name.of, None)

    def _name(self, key: bytes, node: str, problem: str) -> _Found | None:
        if key in self._named or len(self._named) >= _NAMED_MAX:
            return None
        self._named.add(key)
        return _Found(self._keys.shown(key), node, problem)

    def _name_later(self, about: tuple[str, ...], problem: str) -> _Found | None:
        """Name what a later version has written, once of each kind and node, however many keys there are of it."""
        if about in self._later or len(self._later) >= _NAMED_MAX:
            return None
        self._later.add(about)
        what, node = self._keys.shown(self._keys.prefix) + about[0], about[1]
        told = f"{problem} to this version of lbapp: that is left as it is, and nothing is made of it"
        return _Found(what, node, told, is_nonsense=False)

    def _remarks(self, found: Iterable[_Found | None]) -> list[Remark]:
        return [
            Remark(f"{each.what}{self._written_by(each.node)} {each.problem}", each.is_nonsense)
            for each in found
            if each
        ]

    def _written_by(self, node: str) -> str:
        if not node:
            return ""
        version = self._cards.get(node, {}).get("version")
        return f", which {node} (lbapp {version}) has written," if version else f", which {node} has written,"


def with_gone(before: Mapping[str, Member], now: Mapping[str, Member], at: float) -> dict[str, Member]:
    """Return the members of now, and those of before who are none any more, as long as they are worth showing."""
    gone = [
        replace(member, is_alive=False)
        for name, member in before.items()
        if name not in now and at - member.seen_at < FLEET_GONE_S
    ]
    gone.sort(key=lambda member: member.seen_at, reverse=True)
    return {**{member.name: member for member in gone[:FLEET_GONE_MAX]}, **now}
