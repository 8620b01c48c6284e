"""A node as what an action is about: as it was when its key was pressed.

Responsible for telling whether a node still is the one that was seen. Knows nothing of dialogs or of how an order is sent.
Invariant: a node is meant by its name and its start, so what runs there later under the same name is another one.
"""

from __future__ import annotations

from dataclasses import dataclass

from lbapp.control.fleet import FleetStatus, MemberStatus


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """A node as it was when its key was pressed. `is_self`: the one that this console is connected to."""

    name: str
    started_at: float
    is_self: bool
    is_draining: bool

    def why_other(self, fleet: FleetStatus) -> str:
        """Return why a node is not the one that was seen, in a sentence; empty: it is."""
        found = next((member for member in fleet["members"] if member["name"] == self.name), None)
        if found is None or not found["is_alive"]:
            return f"{self.name} is not there any more"
        if found["started_at"] != self.started_at:
            return f"{self.name} was started again meanwhile"
        if seen_node(found).is_draining != self.is_draining:
            return (
                f"{self.name} {'drains' if not self.is_draining else 'does not drain any more'}: somebody else did that"
            )
        return ""


def seen_node(member: MemberStatus) -> NodeSeen:
    """Return a node as it is now."""
    state = member["state"]
    return NodeSeen(
        member["name"], member["started_at"], member["is_self"], state is not None and state["drain"] is not None
    )
