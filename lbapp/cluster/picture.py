"""What a node knows of its fleet at the moment, and how sure it is of it.

Responsible for the one view that everybody reads: what the store said last, who is still counted as a member after the store has
lost its data, and the age. Knows nothing of HTTP or of what a node does about a change.

Invariants: silence and errors change how sure the node is, and nothing of what it knows; ages are measured by a clock that is
never set; who waits for a change misses none; a configuration that is gone though the data is not is said for as long as there is
no other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import anyio

from lbapp.cluster import values
from lbapp.cluster.gateway import Found, Message
from lbapp.cluster.kept import Kept
from lbapp.cluster.keys import Keys
from lbapp.cluster.view import Fold, Remark, with_gone
from lbapp.model.fleet import FleetConfiguration, FleetIntent, FleetView, IntentKey, Member, StoreState
from lbapp.model.limits import STORE_RETRY_MAX_S

Tell = Callable[[str, str], None]
Applied = Callable[[str], Mapping[IntentKey, int]]
_CONFIGURATION: Final = "the configuration of the fleet"


@dataclass(frozen=True, slots=True)
class Since:
    """How to compare revisions with those of a node's own past, after the store has lost what it knew and counts anew.

    `floor`: what was written up to this revision is old. `former`: what the node had made before, at revisions that say nothing
    now.
    """

    floor: int = 0
    former: Mapping[IntentKey, int] = field(default_factory=dict)

    def newer(self, intents: Mapping[IntentKey, FleetIntent], applied: Mapping[IntentKey, int]) -> list[FleetIntent]:
        """Return the intents that are newer than what was made, in the order in which they were written."""
        found = []
        for key, intent in intents.items():
            made = applied.get(key, 0)
            if made and made == self.former.get(key):
                made = 0
            if intent.revision > max(made, self.floor):
                found.append(intent)
        return sorted(found, key=lambda intent: intent.revision)


class Picture:
    """The view of one node. `since`: how revisions are compared; `losses`: how often the store has lost its data.

    `came_from`: the endpoints of another store than the one that is asked, which has said what is known, until this one has
    answered; empty: it was this one.
    """

    def __init__(self, keys: Keys, lease_s: float, endpoints: tuple[str, ...] = ()) -> None:
        self._keys: Final = keys
        self._endpoints: Final = endpoints
        self.came_from: tuple[str, ...] = ()
        self._elsewhere: set[str] = set()  # who was a member there, and has not come here
        self._fold = Fold(keys)
        self._grace_s: Final = lease_s + 2 * STORE_RETRY_MAX_S
        self._carried: dict[str, Member] = {}  # who was a member when the store lost its data, and may come again
        self._carried_until = 0.0
        self._confirmed: float | None = None  # monotonic
        self._changed = anyio.Event()
        self._view = FleetView(StoreState.STARTING, "the store has not answered yet")
        self._complaints: dict[str, str] = {}
        self._has_answered = False
        self._began = ""
        self.turns = 0  # grows with every change of what is known
        self.since = Since()
        self.losses = 0
        self.number_max = 0  # of the configurations that were ever seen: numbers count up over losses, too

    # -- reading -----------------------------------------------------------------------------------------------------

    @property
    def view(self) -> FleetView:
        """What is known."""
        return self._view

    @property
    def began(self) -> str:
        """The name of the store's data, as it is there; empty: it has none."""
        return self._fold.began

    @property
    def age_s(self) -> float | None:
        """How old the view is; None: there never was one."""
        return None if self._confirmed is None else max(0.0, time.monotonic() - self._confirmed)

    def lease_of(self, name: str) -> int | None:
        """Return the lease by which a node is a member; 0: it has none, None: it is no member."""
        return self._fold.leases.get(name)

    async def wait(self, turns: int) -> int:
        """Return when there is something that was not there at `turns`, with what to wait for next."""
        while self.turns == turns:
            await self._changed.wait()
        return self.turns

    def touch(self) -> None:
        """Let everybody who waits for a change look again."""
        self.turns += 1
        self._changed.set()
        self._changed = anyio.Event()

    # -- what the store says -----------------------------------------------------------------------------------------

    def recall(self, kept: Kept) -> None:
        """Begin with what was known when the node ran last."""
        self._fold.recall(kept.view, kept.began)
        self.since = Since(kept.floor, kept.former)
        self.came_from = () if set(kept.endpoints) <= set(self._endpoints) else kept.endpoints
        now = time.time()
        self._confirmed = time.monotonic() - max(0.0, now - kept.view.confirmed_at) if kept.view.confirmed_at else None
        self._view = replace(kept.view, state=self._view.state, problem=self._view.problem, began=kept.began)
        self._count()
        self.touch()

    def has_lost(self, found: Found) -> bool:
        """Say whether the store has less than it had, or other data. `found`: what it has under the name of its data."""
        try:
            began = "".join(values.read_began(pair.value) for pair in found.pairs)
        except ValueError:
            return True  # what there is is to be read
        return found.revision < self._view.revision or began != self._fold.began

    def take_whole(self, found: Found, applied: Applied, tell: Tell) -> None:
        """Take a whole read in. `applied`: what the node has made of data by its name, as the store may have lost some."""
        before, began, now = self._view, self._fold.began, time.time()
        remarks = self._fold.read(found.pairs, now)
        is_other = bool(began) and self._fold.began != began
        made = applied(self._fold.began)
        # What was made of this very data may be later than all that is known of it, where no view was kept.
        known = before.revision or max(made.values(), default=0)
        is_lost = is_other or found.revision < known
        if is_lost:
            self._lose(applied(began) if is_other else made, 0 if is_other else found.revision)
            gone = len(before.intents.keys() - self._fold.intents.keys())
            if is_other and self.came_from:
                self._elsewhere = set(before.members)
                tell("fleet_store_changed", self._moved(gone))
            else:
                tell("fleet_store_lost", _lost(known, found, gone))
        self._miss(FleetConfiguration() if is_lost else before.configuration, tell)
        self._began, self.came_from = self._fold.began, ()
        self._carried = {name: each for name, each in self._carried.items() if name not in self._fold.leases}
        self._confirm(found.revision, tell)
        self._say(remarks, tell)

    def take(self, message: Message, tell: Tell) -> None:
        """Take in what a watch says. A part of a revision is not yet that revision: if it breaks off, all comes again."""
        remarks, before = self._fold.apply(message.events, time.time()), self._view.configuration
        self._miss(before, tell)
        # While a watch goes on it is the same data, whatever has become of its name.
        self._began = self._fold.began or self._began
        for name in self._carried.keys() & self._fold.leases.keys():
            del self._carried[name]
        revision = self._view.revision
        if not message.is_part:
            # Not that of the message: it is the store's, whose events may still be on their way.
            revision = max(revision, *(event.revision for event in message.events), 0)
        self._confirm(revision, tell, is_new=bool(message.events))
        self._say(remarks, tell)

    def confirm(self, tell: Tell) -> None:
        """Note that the store has nothing new."""
        self._confirm(self._view.revision, tell, is_new=False)

    def doubt(self, problem: str, tell: Tell) -> None:
        """Note that the store does not answer."""
        was = self._view.state
        state = StoreState.STALE if was in (StoreState.SYNCED, StoreState.STALE) else was
        self._view = replace(self._view, state=state, problem=problem)
        if state is not was or not self._has_answered:
            self._has_answered = True  # that it has not at the start is said once, too
            tell("fleet_stale", f"{problem}; what was known last holds")
            self.touch()

    def complain(self, about: str, problem: str, tell: Tell) -> None:
        """Note something that is wrong although the store answers; empty: it is not any more."""
        if self._complaints.get(about, "") == problem:
            return
        self._complaints.pop(about, None)
        if problem:
            self._complaints[about] = problem
            tell("fleet_problem", problem)
        if self._view.state is StoreState.SYNCED:
            self._view = replace(self._view, problem=self._problem())

    def expire(self) -> None:
        """Count nobody as a member any more who had time enough to come again."""
        if self._carried and time.monotonic() > self._carried_until:
            self._carried = {}
            self._rebuild()
            self.touch()

    # -- within ------------------------------------------------------------------------------------------------------

    def _lose(self, applied: Mapping[IntentKey, int], floor: int) -> None:
        """Let nothing follow from what the store has lost: members have time to come again, what was made stays made."""
        self.losses += 1
        self.since = Since(floor, dict(applied))
        self._carried = {member.name: member for member in self._view.alive}
        self._carried_until = time.monotonic() + self._grace_s

    def _confirm(self, revision: int, tell: Tell, *, is_new: bool = True) -> None:
        was = self._view.state
        self._confirmed, self._has_answered = time.monotonic(), True
        self._view = replace(
            self._view,
            state=StoreState.SYNCED,
            problem=self._problem(),
            confirmed_at=time.time(),
            revision=revision,
            began=self._began,
        )
        if is_new:
            self._rebuild()
        if is_new or was is not StoreState.SYNCED:
            self.touch()
        if was is StoreState.STALE:
            tell("fleet_synced", "the store answers again")

    def _rebuild(self) -> None:
        fold, alive = self._fold, {**self._carried, **self._fold.members()}
        self._elsewhere -= self._fold.leases.keys()
        members = with_gone(self._view.members, alive, time.time())
        unsure = {name: replace(members[name], is_unsure=True) for name in self._elsewhere & members.keys()}
        self._view = replace(
            self._view,
            members={**members, **unsure},
            intents=dict(fold.intents),
            configuration=fold.configuration,
            results=dict(fold.results),
        )
        self._count()

    def _count(self) -> None:
        numbers = (result.number for result in self._view.results.values())
        self.number_max = max(self.number_max, self._view.configuration.number, *numbers)

    def _problem(self) -> str:
        return next(iter(self._complaints.values()), "")

    def _miss(self, before: FleetConfiguration, tell: Tell) -> None:
        """Say that the configuration of the fleet is gone, until there is another."""
        if self._fold.configuration.number:
            self.complain(_CONFIGURATION, "", tell)
        elif before.number:
            key = self._keys.shown(self._keys.current)
            who = f"configuration {before.number} of the fleet, which {before.by} at {before.node} has published,"
            what = f"{who} was deleted from the store ({key}), and not by lbapp: every node serves on as it does"
            self.complain(_CONFIGURATION, f"{what}; have all serve by one again with lbapp reload --fleet", tell)

    def _moved(self, gone: int) -> str:
        now, before = ", ".join(self._endpoints), ", ".join(self.came_from)
        return (
            f"the store at {now} is another one than that at {before}: {len(self._fold.intents)} intents of the fleet are in it, "
            f"and {gone} of the other's are not; this node keeps what it made of those, and nobody is taken for dead who was a "
            f"member there"
        )

    def _say(self, remarks: Sequence[Remark], tell: Tell) -> None:
        for remark in remarks:
            tell("fleet_nonsense" if remark.is_nonsense else "fleet_not_understood", remark.sentence)


def _lost(known: int, found: Found, gone: int) -> str:
    what = f"{gone} intents of the fleet are gone from it" if gone else "none of the fleet's intents is gone from it"
    return (
        f"the store has lost its data or was put back: it is at revision {found.revision} and was at {known}; {what}, "
        f"this node keeps what it made of them"
    )
