"""Actions of the fleet: asked of the store first, then made by every node, this one as well.

Responsible for asking, for what comes of intents here, and for where this node is other than the fleet. Knows nothing of the
store itself or of what an operator may ask for.

Invariants: what the store has not taken changes nothing; an intent is in the journal before it is made, and is taken in once;
what cannot be made is an event, and never an error.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from lbapp.control.fleet import Applied, FleetDifference
from lbapp.control.messages import Actor, Event
from lbapp.engine.policy.fleet_intent import (
    Asked,
    Batch,
    Here,
    PassedOver,
    fleet_key,
    intent_of,
    is_of_another_node,
    made_of,
    own_name,
    sort_out,
    undone_here,
)
from lbapp.engine.policy.intent import Intent
from lbapp.engine.supervisor.events import Events
from lbapp.engine.supervisor.fleet_link import FleetLink
from lbapp.engine.supervisor.intents import DRAIN, READY, Key, Why
from lbapp.engine.supervisor.quorum_check import check_changes
from lbapp.model.errors import RequestRefused
from lbapp.model.fleet import FleetIntent, StoreState
from lbapp.model.journal import NODE_PREFIX, Action, Change, Setting, Value, shown

if TYPE_CHECKING:
    from lbapp.engine.supervisor.generation import Generation

_SAID_MAX: Final = 10_000
_FRESH_S: Final = 10.0  # since the node was in sync last


class FleetChanges:
    """Actions of the fleet, of one engine. `generation`: returns the one that serves."""

    def __init__(self, link: FleetLink, events: Events, generation: Callable[[], Generation]) -> None:
        self._link = link
        self._events = events
        self._generation = generation
        self._taken: dict[Key, Action] = {}  # what was taken in last, of each setting
        self._heard = "", 0  # the name of the store's data, and up to which revision its intents were heard
        # When the node was in sync last (monotonic), and with which revision.
        self._synced_s, self._synced_with = -math.inf, 0
        self._said: set[tuple[Key, int]] = set()  # what is about nothing here, and was said to be

    @property
    def node(self) -> str:
        """The name of this node."""
        return self._link.name

    def know(self, actions: Sequence[Action]) -> None:
        """Take over what the journal says was taken in."""
        node = self._link.name
        self._taken = {fleet_key(key, node): action for key, action in made_of(actions).items()}
        self._heard = next(((action.store, action.fleet) for action in reversed(actions) if action.fleet), ("", 0))

    def applied(self, began: str) -> Mapping[Key, int]:
        """Return the last revision that was taken in, of each setting, as far as it is one of the data of that name."""
        return {key: action.fleet for key, action in self._taken.items() if action.is_of(began)}

    @property
    def revision(self) -> int:
        """The revision up to which intents were taken in; 0: there are none, or they were of another store than that of now."""
        store, revision = self._heard
        return revision if store in ("", self._link.view.began) else 0

    def store_revision(self) -> tuple[str, int]:
        """Return the name of the store's data and the revision that this node knows it to have; 0: it is not in sync."""
        view = self._link.view
        return view.began, view.revision if view.state is StoreState.SYNCED else 0

    def check_quorum(self, changes: Sequence[Change], *, is_self_ready: bool) -> None:
        """Refuse changes that drain this node where too few members would be ready. Raises RequestRefused 409 quorum."""
        check_changes(self._link, changes, is_self_ready=is_self_ready)

    def note_sync(self) -> None:
        """Note whether this node is in sync: what is written after that is new to it, and not what it has missed."""
        view = self._link.view
        if view.state is StoreState.SYNCED:
            if view.revision < self._synced_with:  # the store was put back
                self._heard = view.began, 0
            self._synced_s, self._synced_with = time.monotonic(), view.revision

    # -- asking ------------------------------------------------------------------------------------------------------

    async def ask(
        self, changes: Sequence[Change], actor: Actor, why: Why, *, is_forced: bool, undoes: tuple[int, ...] = ()
    ) -> tuple[Applied, list[Event]]:
        """Have every node make changes; return who has by now, and what happened here. `undoes`: revisions.

        Raises RequestRefused 409 no_fleet, changed, 503 fleet_unreachable; nothing is changed then.
        """
        fleet, node = self._link.joined(), self._link.name
        asked = Asked(actor["user"], node, time.time(), why.reason, is_forced, undoes)
        intents = [intent_of(replace(each, on=fleet_key(each.key, node)[0]), asked) for each in changes]
        written = await fleet.propose(intents, {each.key: self._seen(each.key) for each in intents})
        last_seq = self._events.last_seq
        await self.take(written)
        await self._note_asked(changes, written)
        others = [member.name for member in self._link.view.alive if member.name != node]
        made = self.applied(self._link.view.began)
        is_here = any(made.get(each.key) == each.revision or self._is_superseded(each) for each in written)
        applied: Applied = {
            "revision": max((each.revision for each in written), default=0),
            "actor": {**actor, "user": f"{actor['user']}@{node}"},
            "done": [node] if is_here else [],
            "waiting": others,
        }
        return applied, self._events.after(last_seq)

    def _seen(self, key: Key) -> int:
        """Return the revision of a setting in the store, as far as this node knows; 0: it is not there.

        What this node has written itself it knows before the watch has said it, or an operator who asks twice would be told
        that somebody has changed it meanwhile.
        """
        view, taken = self._link.view, self._taken.get(key)
        if taken is not None and taken.is_of(view.began) and taken.fleet > view.revision:
            return taken.fleet
        return view.intents[key].revision if key in view.intents else 0

    async def _note_asked(self, changes: Sequence[Change], written: Sequence[FleetIntent]) -> None:
        """Write down what was asked of other nodes, so that it can be taken back here."""
        node, began = self._link.name, self._link.view.began
        pairs = [each for each in zip(changes, written, strict=True) if is_of_another_node(each[1].on, node)]
        if not pairs:
            return
        intents = [intent for _, intent in pairs]
        first = intents[0]
        actor: Actor = {"uid": None, "user": f"{first.by}@{first.node}", "pid": None}

        async def note(generation: Generation) -> None:
            undoes = undone_here(intents, generation.intents.actions)
            batch = Batch(first.revision, intents, undoes=undoes, store=began)
            action = await generation.intents.record_of_fleet(batch, [change for change, _ in pairs], actor, first.at)
            self._taken |= dict.fromkeys(action.keys, action)

        await self._one_at_a_time(note)

    def nodes(self) -> dict[Key, Value]:
        """Return whether each other node drains, under the names of intents: as it was asked last, until it has heard of that."""
        view, found = self._link.view, dict[Key, Value]()
        for name, member in view.members.items():
            if name == self._link.name:
                continue
            key = NODE_PREFIX + name, Setting.STATE
            intent, noted = view.intents.get(key), self._taken.get(key)
            asked = (0, "") if intent is None else (intent.revision, intent.value)
            if noted is not None and noted.is_of(view.began) and noted.fleet > view.revision:
                asked = max(asked, *((noted.fleet, each.after) for each in noted.changes if each.key == key))
            heard = member.state.get("fleet_revision", 0) if member.is_alive else 0
            is_draining = member.state.get("drain") is not None
            found[key] = asked[1] if asked[0] > heard else DRAIN if is_draining else READY
        return found

    # -- being asked -------------------------------------------------------------------------------------------------

    async def take(self, intents: Sequence[FleetIntent], *, is_new: bool = True) -> None:
        """Make intents that are newer than what was taken in here. It waits while something else is being changed.

        `is_new`: they were not known before. Where the node was in sync before they were written, their times are counted from
        now: ramps must not end at once because two machines' clocks differ. A drain's time is always counted from now: those who
        are connected here have not been asked to leave before.
        """
        is_new = is_new and time.monotonic() - self._synced_s < _FRESH_S
        synced_with, began = self._synced_with, self._link.view.began

        async def make(generation: Generation) -> None:
            latest = [each for each in intents if not self._is_superseded(each)]
            for batch in sort_out(latest, self._here(generation, began)):
                is_fresh = is_new and batch.revision > synced_with
                at = time.time() if is_fresh else batch.intents[0].at
                await self._take_batch(batch, generation, at)
            self._hear(began, intents)

        await self._one_at_a_time(make)

    def _hear(self, began: str, intents: Sequence[FleetIntent]) -> None:
        """Know up to which revision intents were taken in: also those of which nothing is made here."""
        known = self._heard[1] if self._heard[0] in ("", began) else 0
        self._heard = began, max((known, *(each.revision for each in intents)))

    async def _one_at_a_time(self, make: Callable[[Generation], Awaitable[None]]) -> None:
        """Do something with other changes kept waiting, on the generation that serves when its turn comes."""
        while True:
            generation = self._generation()
            try:
                async with generation.intents.one_at_a_time():
                    await make(generation)
                return
            except RequestRefused:
                if generation is self._generation():
                    return  # another engine has taken over: it is asked as well

    def _is_superseded(self, intent: FleetIntent) -> bool:
        """Say whether the view has a later intent of the same setting.

        The answer to who asked may come behind what the watch has said since, and must not be made over it.
        """
        known = self._link.view.intents.get(intent.key)
        return known is not None and known.revision > intent.revision

    async def take_in_what_waited(self) -> None:
        """Make intents that are of servers that this node had none of until now, or had none of when it was asked."""
        known, made = self._link.view.intents.items(), self.applied(self._link.view.began)
        waiting = [each for key, each in known if key not in made or (key, each.revision) in self._said]
        await self.take(waiting, is_new=False)

    def _here(self, generation: Generation, began: str) -> Here:
        node, intents = self._link.name, generation.intents
        in_file = {fleet_key(key, node): value for key, value in intents.in_file().items()}
        return Here(node, in_file, self.now(), intents.discovered, self.applied(began), intents.actions, began)

    def now(self) -> dict[Key, Value]:
        """Return every setting of this node as it is now, under the names of intents."""
        node = self._link.name
        return {fleet_key(key, node): value for key, value in self._generation().intents.now().items()}

    async def _take_batch(self, batch: Batch, generation: Generation, at: float) -> None:
        """Write down and make what a writing to the store comes to; `at`: when that was, on this node's clock."""
        first, node = batch.intents[0], self._link.name
        actor: Actor = {"uid": None, "user": f"{first.by}@{first.node}", "pid": None}
        for passed in batch.passed_over:
            self._say_passed_over(passed, actor)
        for intent in batch.unknown:
            self._say_unknown(intent, actor)
        is_since_start = at >= generation.running.started_at
        make = [self._from_here(own_name(change, node), generation) for change in batch.make]
        # What this engine was to stop for was another engine's: it has been started anew since.
        make = [replace(each, then_stop=each.then_stop and is_since_start) for each in make]
        if not make and not batch.later and not batch.passed_over:
            return
        make, later = ([_from_now(change, at, first.at) for change in each] for each in (make, batch.later))
        action = await generation.intents.record_of_fleet(batch, [*make, *later], actor, at)
        self._taken |= {fleet_key(key, node): action for key in action.keys}
        # One that was discovered may have gone meanwhile; another of its name is given what the journal has.
        there = generation.states.by_id
        gone = [each for each in make if each.setting in (Setting.STATE, Setting.WEIGHT) and "/" in each.on]
        gone = [each for each in gone if each.on not in there]
        generation.intents.wait_for([Intent(change, action) for change in [*later, *gone]])
        here = tuple(each for each in make if each not in gone)
        generation.making.make(replace(action, changes=here), actor, first.reason)

    def _from_here(self, change: Change, generation: Generation) -> Change:
        state = generation.states.by_id.get(change.on)
        if change.setting is not Setting.WEIGHT or state is None:
            return change
        return replace(change, ramp_left=generation.drains.ramps.left(state))

    def _say_passed_over(self, passed: PassedOver, actor: Actor) -> None:
        intent = passed.intent
        kind = "change_overruled" if passed.is_file else "intent_passed_over"
        message = f"{_told(intent)} is not made here: {passed.why}"
        self._events.add(kind, intent.on, message, actor=actor)

    def _say_unknown(self, intent: FleetIntent, actor: Actor) -> None:
        said = intent.key, intent.revision
        if said in self._said:
            return
        if len(self._said) >= _SAID_MAX:
            self._said.clear()
        self._said.add(said)
        message = f"{_told(intent)} waits: this node has no {intent.on}"
        self._events.add("intent_unknown", intent.on, message, actor=actor)

    # -- being other -------------------------------------------------------------------------------------------------

    def differing(self) -> list[FleetIntent]:
        """Return the intents that this node, which has such settings, is other than."""
        intents = self._link.view.intents
        here = self.now() if intents else {}  # with many servers it is the most of a look
        return [each for key, each in sorted(intents.items()) if key in here and here[key] != each.value]

    def differences(self) -> list[FleetDifference]:
        """Return where this node is other than the fleet, and why."""
        here = self._here(self._generation(), self._link.view.began)
        return [self._difference(intent, here) for intent in self.differing()]

    def _difference(self, intent: FleetIntent, here: Here) -> FleetDifference:
        file = here.in_file[intent.key]
        if here.made.get(intent.key) != intent.revision:
            why = "it was not taken in yet"
        elif file != intent.in_file:
            why = f"the file has {shown(file)} here, and had {shown(intent.in_file)} where it was asked for"
        else:
            why = "it was changed on this node alone"
        return {
            "on": intent.on,
            "setting": intent.setting.value,
            "fleet": intent.value,
            "now": here.now[intent.key],
            "by": intent.by,
            "node": intent.node,
            "at": intent.at,
            "why": why,
        }


def _from_now(change: Change, at: float, asked_at: float) -> Change:
    """Return a change that was asked for at `asked_at`, by the asker's clock, with the end that it has here: `at` by this clock.

    A drain that comes late has its whole time all the same, or it would close everything by force at once.
    """
    if change.until is None:
        return change
    began = time.time() if change.setting is Setting.STATE else at
    return replace(change, until=change.until + began - asked_at)


def _told(intent: FleetIntent) -> str:
    return f"{intent.setting.value} {shown(intent.value)} of {intent.on}, as {intent.by}@{intent.node} wants it of the fleet,"
