"""What a fleet is, out of what its store holds: one fold over a whole read and the events after it.

Responsible for the picture that a node has of its fleet. Knows nothing of how either came here, of clocks, or of what a node does
about it.

Invariants: a whole read and any way there by events lead to the same picture; what cannot be read as what it should be is passed
over, leaves what was known before, and is named once until it can be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from lbapp.cluster import values
from lbapp.cluster.gateway import Event, Pair
from lbapp.cluster.keys import Keys, Kind, Name
from lbapp.model.fleet import ConfigurationResult, FleetConfiguration, FleetIntent, FleetView, IntentKey, Member
from lbapp.model.limits import FLEET_GONE_MAX, FLEET_GONE_S

_NAMED_MAX: Final = 1_000  # keys whose values cannot be read and that were named; beyond it none are


class Fold:
    """The picture of one fleet. `began`: the name of the store's data; empty: it has none."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._named: set[bytes] = set()
        self.began = ""
        self.leases: dict[str, int] = {}  # that nodes are members by
        self._cards: dict[str, Mapping[str, Any]] = {}
        self._states: dict[str, Mapping[str, Any]] = {}
        self._seen_at: dict[str, float] = {}
        self.intents: dict[IntentKey, FleetIntent] = {}
        self.configuration = FleetConfiguration()
        self.results: dict[str, ConfigurationResult] = {}

    def read(self, pairs: Iterable[Pair], now: float) -> list[str]:
        """Take a whole read in the place of what was known; return a sentence for each value that cannot be read."""
        present = {pair.key: pair for pair in pairs}
        for key in self._held() - present.keys():
            self._delete(key)
        self._named &= present.keys()
        problems = [self._put(pair.key, pair.value, pair.revision, pair.lease, now) for pair in present.values()]
        return [problem for problem in problems if problem]

    def apply(self, events: Iterable[Event], now: float) -> list[str]:
        """Take in what has changed since, in its order; return as `read` does."""
        problems = []
        for event in events:
            if event.value is None:
                self._delete(event.key)
            else:
                problems.append(self._put(event.key, event.value, event.revision, event.lease, now))
        return [problem for problem in problems if problem]

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

    def _put(self, key: bytes, value: bytes, revision: int, lease: int, now: float) -> str:
        """Take in one value; return a sentence where it cannot be read and was not named yet."""
        name = self._keys.read(key)
        if name is None:
            return self._name(key, "is no key of a fleet")
        if name.kind is Kind.NODE:
            self.leases[name.of] = lease  # whatever else stands there
        try:
            self._take(name, value, revision)
        except ValueError as error:
            return self._name(key, f"is passed over: {error}")
        self._named.discard(key)
        if name.kind in (Kind.NODE, Kind.STATE):
            self._seen_at[name.of] = now
        return ""

    def _take(self, name: Name, value: bytes, revision: int) -> None:
        if name.kind is Kind.NODE:
            self._cards[name.of] = values.read_card(value)
        elif name.kind is Kind.STATE:
            self._states[name.of] = values.read_state(value)
        elif name.intent is not None:
            self.intents[name.intent] = values.read_intent(name.intent, value, revision)
        elif name.kind is Kind.RESULT:
            self.results[name.of] = values.read_result(name.of, value)
        elif name.kind is Kind.CURRENT:
            self.configuration = values.read_configuration(value, revision)
        else:
            self.began = values.read_began(value)

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

    def _name(self, key: bytes, problem: str) -> str:
        if key in self._named or len(self._named) >= _NAMED_MAX:
            return ""
        self._named.add(key)
        return f"{self._keys.shown(key)} {problem}"


def with_gone(before: Mapping[str, Member], now: Mapping[str, Member], at: float) -> dict[str, Member]:
    """Return the members of now, and those of before who are none any more, as long as they are worth showing."""
    gone = [
        Member(name, member.card, member.state, False, member.seen_at)
        for name, member in before.items()
        if name not in now and at - member.seen_at < FLEET_GONE_S
    ]
    gone.sort(key=lambda member: member.seen_at, reverse=True)
    return {**{member.name: member for member in gone[:FLEET_GONE_MAX]}, **now}
