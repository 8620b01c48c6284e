"""What is to be changed in the zone, from what stands there and what is wanted.

Responsible for whose addresses go in and out, for the floor under them, and for the notes. Knows nothing of DNS messages, of
engines or of a clock: times come in, in Unix seconds.

Invariants: of each family at least `records_min` addresses are left, or as many as there were; records that no note speaks of are
nobody's, and stay; an address that another living node has noted stays; what is right already is not written.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from lbapp.cluster.dns.notes import Note
from lbapp.model.dns import DnsSettings

FORGOTTEN_S: Final = 24 * 3600  # a node that left so long ago no longer counts among those known
YIELD_S: Final = 300  # a node whose records others took out leaves it at that, where it cannot see why


@dataclass(frozen=True, slots=True)
class Seen:
    """What stands in the zone. `ttl_s`: of the addresses, the longest; 0: there are none. `notes`: by their text."""

    addresses: frozenset[str] = frozenset()
    ttl_s: int = 0
    notes: Mapping[str, Note] = field(default_factory=dict)

    def notes_of(self, node: str) -> list[Note]:
        """Return the notes of a node: one, unless somebody else has written there."""
        return [note for note in self.notes.values() if note.node == node]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted. `is_in`: of this node's addresses. `dead`: nodes whose addresses are to go.

    `fleet`: of this node; None: not known. `is_member`: it lives in a fleet that it can see.
    """

    is_in: bool
    sets_ttl: bool = False  # even where that is all there is to do
    dead: frozenset[str] = frozenset()
    fleet: str | None = None
    is_member: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What to write. `removed`: address to the node that it is of. `kept`: what the floor keeps of those that should go.

    `shared`: own addresses that another node has, too. `is_yielding`: own addresses stay out because others took them out.
    """

    added: tuple[str, ...] = ()
    removed: Mapping[str, str] = field(default_factory=dict)
    notes_added: tuple[str, ...] = ()
    notes_removed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    is_yielding: bool = False
    is_in: bool = False  # whether any of the node's own is there afterwards

    @property
    def is_change(self) -> bool:
        """Say whether there is anything to write."""
        return bool(self.added or self.removed or self.notes_added or self.notes_removed)


def decide(settings: DnsSettings, seen: Seen, wish: Wish, now_s: float) -> Decision:
    """Decide what to write."""
    own = frozenset(settings.addresses)
    noted = own.union(*(note.addresses for note in seen.notes_of(settings.node)))
    others = [note for note in seen.notes.values() if note.node != settings.node and note.left_s is None]
    claimed = frozenset[str]().union(*(note.addresses for note in others if note.node not in wish.dead))
    is_yielding = _is_yielding(settings, seen, wish, now_s)
    is_in = wish.is_in and not is_yielding
    added = _added(settings, seen, wish) if is_in else frozenset[str]()
    leaving = {address: note.node for note in others if note.node in wish.dead for address in note.addresses}
    leaving |= dict.fromkeys(noted - own if is_in else noted, settings.node)
    staying = claimed | own if is_in else claimed
    wanted = {address: node for address, node in leaving.items() if address in seen.addresses - staying}
    known = seen.addresses.union(own, *(note.addresses for note in seen.notes.values())) - (noted - own - claimed)
    removed = _above_floor(settings, known, seen.addresses | added, wanted)
    after = (seen.addresses | added) - removed.keys()
    desired = _Notes(settings, wish, now_s, after).desired(seen, is_in=is_in)
    return Decision(
        added=tuple(sorted(added)),
        removed=removed,
        notes_added=tuple(sorted(desired - seen.notes.keys())),
        notes_removed=tuple(sorted(seen.notes.keys() - desired)),
        kept=tuple(sorted(wanted.keys() - removed.keys())),
        shared=tuple(sorted(own & claimed)),
        is_yielding=is_yielding,
        is_in=is_in or bool(noted & (after - claimed)),
    )


def _added(settings: DnsSettings, seen: Seen, wish: Wish) -> frozenset[str]:
    own = frozenset(settings.addresses)
    return own if wish.sets_ttl and seen.ttl_s not in (0, settings.ttl_s) else own - seen.addresses


def _is_yielding(settings: DnsSettings, seen: Seen, wish: Wish, now_s: float) -> bool:
    """Say whether others have taken the node's addresses out, for a reason that it may not see."""
    if not wish.is_in or not wish.fleet or wish.is_member:
        return False
    if any(
        seen.addresses.intersection((*settings.addresses, *note.addresses)) for note in seen.notes_of(settings.node)
    ):
        return False
    left = [
        note.left_s for note in seen.notes_of(settings.node) if note.left_s is not None and note.by != settings.node
    ]
    return bool(left) and now_s - max(left) < YIELD_S


def floor_of(settings: DnsSettings, known: int) -> int:
    """Return how many addresses of a family have to be left, of so many that are known."""
    return settings.records_min or max(1, (known + 1) // 2)


def is_ipv6(address: str) -> bool:
    """Say of which family an address is."""
    return ":" in address


def _above_floor(
    settings: DnsSettings, known: Collection[str], present: Collection[str], wanted: Mapping[str, str]
) -> dict[str, str]:
    """Return which of the addresses `wanted` out may go: those of the dead first, then the node's own."""
    allowed = {}
    for family in (False, True):
        left = sum(is_ipv6(each) is family for each in present)
        floor = floor_of(settings, sum(is_ipv6(each) is family for each in known))
        mine_last = sorted(wanted.items(), key=lambda each: (each[1] == settings.node, each))
        for address, node in mine_last:
            if is_ipv6(address) is family and left > floor:
                allowed[address] = node
                left -= 1
    return allowed


@dataclass(frozen=True, slots=True)
class _Notes:
    """The notes as they are to be. `after`: the addresses that are there then."""

    settings: DnsSettings
    wish: Wish
    now_s: float
    after: frozenset[str]

    def desired(self, seen: Seen, *, is_in: bool) -> set[str]:
        """Return the texts of all notes that are to stand there."""
        others = [self._of_other(note) for note in seen.notes.values() if note.node != self.settings.node]
        own = self._own(seen.notes_of(self.settings.node), is_in=is_in)
        return {note.text() for note in (*others, own) if note is not None}

    def _of_other(self, note: Note) -> Note | None:
        is_there = any(address in self.after for address in note.addresses)
        if note.left_s is None and note.node in self.wish.dead and not is_there:
            return self._left(note)
        return None if self._is_forgotten(note) and not is_there else note

    def _own(self, notes: list[Note], *, is_in: bool) -> Note | None:
        settings = self.settings
        noted = frozenset(settings.addresses).union(*(note.addresses for note in notes))
        fleet = self.wish.fleet if self.wish.fleet is not None else next((note.fleet for note in notes), "")
        if is_in or (notes and noted & self.after):  # some are there still, for the floor's sake
            return Note(settings.node, tuple(sorted(settings.addresses)), fleet)
        if not notes:
            return None
        left = [note for note in notes if note.left_s is not None]
        if not left:
            return self._left(notes[0])
        latest = max(left, key=lambda note: note.left_s or 0)  # as it may say that others took the addresses out
        return None if self._is_forgotten(latest) else latest

    def _left(self, note: Note) -> Note:
        return Note(note.node, note.addresses, note.fleet, int(self.now_s), self.settings.node)

    def _is_forgotten(self, note: Note) -> bool:
        return note.left_s is not None and self.now_s - note.left_s > FORGOTTEN_S
