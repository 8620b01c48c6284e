"""Giving a node what its fleet wants of it, as soon as that is known.

Responsible for what a node is given and when: who lives, intents that are newer than what it made. Knows nothing of HTTP or of
how a node makes anything.

Invariants: a node is given each writing of an intent once, in the order of the store; it is told of members by what the store
says, never because the store is silent.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lbapp.cluster.picture import Picture
from lbapp.model.fleet import FleetIntent, IntentKey, Node


@dataclass(slots=True)
class Handing:
    """What one node is given."""

    picture: Picture
    node: Node
    _handed: dict[IntentKey, int] = field(default_factory=dict, init=False)
    _losses: int = field(default=0, init=False)

    async def members(self) -> None:
        """Tell the node who lives, whenever that changes."""
        turns, told = self.picture.turns, None
        while True:
            names = self._alive()
            if names != told:
                self.node.take_members(names)
                told = names
            turns = await self.picture.wait(turns)

    async def intents(self) -> None:
        """Give the node what is newer than what it made, whenever there is such."""
        turns, was = self.picture.turns, None
        while True:
            intents = self.picture.view.intents
            if intents is not was:
                waiting = self._waiting()
                if waiting:
                    await self.node.take_intents(waiting)
                    self._handed |= {intent.key: intent.revision for intent in waiting}
                was = intents
            turns = await self.picture.wait(turns)

    def _alive(self) -> list[str]:
        return sorted({self.node.name, *(member.name for member in self.picture.view.alive)})

    def _waiting(self) -> list[FleetIntent]:
        if self._losses != self.picture.losses:
            self._losses = self.picture.losses
            self._handed = {}  # at revisions that say nothing now
        newer = self.picture.since.newer(self.picture.view.intents, self.node.applied(self.picture.view.began))
        return [intent for intent in newer if self._handed.get(intent.key) != intent.revision]
