"""What the publisher makes of what it hears: whether its own node is ready, and which others are dead.

Responsible for both judgements, of answers that come one after the other. Knows nothing of how anybody is asked. Time comes in,
in seconds of any steady clock.

Invariants: one answer that is other than those before decides nothing, unless rise or fall is 1; a view of the fleet that is not
synced, or in which this node itself does not live, makes nobody dead, and time that it lasts does not count; nor is anybody dead
whom another store knew, and this one does not.
"""

from __future__ import annotations

from lbapp.control.fleet import FleetStatus


class Standing:
    """Whether this node is ready, by so many answers in a row. None: it has not been decided yet."""

    def __init__(self, rise: int, fall: int) -> None:
        self.is_ready: bool | None = None
        self._needed = {True: rise, False: fall}
        self._last: bool | None = None
        self._row = 0

    @property
    def is_wavering(self) -> bool:
        """Say whether the last answer was other than what has been decided."""
        return self._last is not self.is_ready

    def hear(self, is_ready: bool) -> bool:
        """Take an answer, or silence as False. Say whether it has changed anything."""
        self._row = self._row + 1 if is_ready is self._last else 1
        self._last = is_ready
        if self._row < self._needed[is_ready] or self.is_ready is is_ready:
            return False
        self.is_ready = is_ready
        return True


class Fellows:
    """Who of the fleet is dead. `node`: this one. `noted`: the nodes of the fleet that have records, to be set by who looks."""

    def __init__(self, node: str, grace_s: float) -> None:
        self.fleet: str | None = None  # its name; empty: there is none; None: nobody has said yet
        self.is_member = False  # this node lives, as a synced view has it
        self.noted: frozenset[str] = frozenset()
        self.dead: frozenset[str] = frozenset()  # of those noted: without a lease for longer than the grace
        self._node = node
        self._grace_s = grace_s
        self._gone_since_s: dict[str, float] = {}

    def hear(self, status: FleetStatus | None, now_s: float) -> str:
        """Take what the engine says of the fleet; None: it says nothing. Return what is wrong with it, or nothing."""
        alive = unsure = frozenset[str]()
        wrong = ""
        if status is not None and status["fleet"] and status["node"] != self._node:
            self.fleet = ""
            wrong = (
                f'the engine calls this node {status["node"]}, the file {self._node}: write node = "{status["node"]}"'
            )
        elif status is not None:
            self.fleet = status["fleet"]
            if self.fleet and status["state"] == "synced":
                alive = frozenset(each["name"] for each in status["members"] if each["is_alive"])
                unsure = frozenset(each["name"] for each in status["members"] if each.get("is_unsure"))
        self.is_member = self._node in alive
        gone = self.noted - alive - unsure - {self._node} if self.is_member else ()
        self._gone_since_s = {name: self._gone_since_s.get(name, now_s) for name in gone}
        self.dead = frozenset(name for name, since_s in self._gone_since_s.items() if now_s - since_s >= self._grace_s)
        return wrong
