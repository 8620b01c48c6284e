"""Every action that there is: its key, its class, what it is about, and whether it is possible now.

Responsible for this one list, which keys, menu, command line and palette all read. Knows nothing of widgets or of how an
action is carried out.

Invariants: an id is that of one action and of its binding; what is not possible has a reason in one sentence; a letter of an
action that destroys never stands beside a harmless one that one types without looking.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from lbapp.tui.actions.node_seen import NodeSeen
from lbapp.tui.scene import PoolRow, Scene, ServerRow

Grade = Literal["A", "B", "C"]
About = Literal["servers", "pool", "node", "configuration", "history"]
GRADES: Final[dict[Grade, str]] = {
    "A": "at once, z undoes",
    "B": "one dialog, Cancel in focus",
    "C": "type the name",
}
NO_SERVER: Final = "select a server first: 3 shows all, Enter on a pool its own"
NO_NODE: Final = "select a node first: 7 shows all"
GONE: Final = "what was under the cursor has left the list, and another stands there: look, then press again"
NO_POOL: Final = "select a pool first: 2 shows all"


@dataclass(frozen=True, slots=True)
class Subject:
    """What an action would be about: the servers that are selected, and the pool that they or the cursor are of.

    `node`: the one under the cursor of a list of nodes; None: this one, but not while `is_of_nodes`.
    """

    scene: Scene | None
    servers: Sequence[ServerRow] = ()
    pool: PoolRow | None = None
    node: NodeSeen | None = None
    is_of_nodes: bool = False
    is_fleet: bool = False  # it would be for all nodes: that it is so here already does not say that it is there

    @property
    def does_node_drain(self) -> bool:
        """Say whether the node that an action would be about drains."""
        engine = self.scene.engine if self.scene else None
        return self.node.is_draining if self.node else bool(engine and engine["drain"] is not None)


@dataclass(frozen=True, slots=True)
class Action:
    """One action. `key`: as bindings name it, empty for none; `grade`: the least that it asks.

    `why_not`: why it is not possible now, in a sentence; empty: it is.
    """

    id: str
    key: str
    title: str
    does: str
    grade: Grade
    about: About
    why_not: Callable[[Subject], str]


def _is_free(_subject: Subject) -> str:
    return ""


def _any_server(subject: Subject) -> str:
    return "" if subject.servers else NO_SERVER


def _not_all(is_so: Callable[[ServerRow], bool], why: str) -> Callable[[Subject], str]:
    def why_not(subject: Subject) -> str:
        if not subject.servers:
            return NO_SERVER
        return why if not subject.is_fleet and all(is_so(server) for server in subject.servers) else ""

    return why_not


def _one_server(subject: Subject) -> str:
    if len(subject.servers) > 1:
        return "one server at a time: unmark the others with Esc"
    return _any_server(subject) or _listed(subject)


def _listed(subject: Subject) -> str:
    if subject.pool is None:
        return NO_POOL
    found_as = subject.pool.discovered_as
    return (
        f"the servers of {subject.pool.name} are those that {found_as} stands for: change them in DNS"
        if found_as
        else ""
    )


def _published(subject: Subject) -> str:
    if subject.pool is None:
        return NO_POOL
    return "" if subject.is_fleet or subject.pool.is_published else f"{subject.pool.name} is unpublished already"


def _unpublished(subject: Subject) -> str:
    if subject.pool is None:
        return NO_POOL
    return f"{subject.pool.name} is published already" if subject.pool.is_published and not subject.is_fleet else ""


def _node_drains(subject: Subject) -> str:
    if subject.is_of_nodes and subject.node is None:
        return NO_NODE
    return "" if subject.does_node_drain else f"{subject.node.name if subject.node else 'the node'} does not drain"


def _node_serves(subject: Subject) -> str:
    if subject.is_of_nodes and subject.node is None:
        return NO_NODE
    return f"{subject.node.name if subject.node else 'the node'} drains already" if subject.does_node_drain else ""


def _waits(subject: Subject) -> str:
    engine = subject.scene.engine if subject.scene else None
    return "" if engine and engine["confirm_by"] is not None else "no configuration waits to be confirmed"


CATALOG: Final = (
    Action(
        "server.ready", "e", "ready", "let them have new clients again", "A", "servers",
        _any_server,
    ),
    Action("server.drain", "d", "drain", "no new clients; what is in flight finishes", "B", "servers", _any_server),
    Action(
        "server.maint", "m", "maint", "no clients, no health checks", "B", "servers",
        _not_all(lambda s: s.admin == "maint", "in MAINT already"),
    ),
    Action("server.weight", "w", "weight", "N, +N, -N, N%, 50 over 5m", "A", "servers", _any_server),
    Action("server.heavier", "plus", "weight + 10", "at most 256", "A", "servers", _any_server),
    Action("server.lighter", "minus", "weight - 10", "at least 1", "A", "servers", _any_server),
    Action("server.kill", "K", "kill connections", "end what is in flight now, by force", "C", "servers", _any_server),
    Action("server.check", "c", "check now", "run their health checks at once", "A", "servers", _any_server),
    Action("server.add", "A", "add a server", "to this pool, while it serves", "B", "pool", _listed),
    Action("server.remove", "delete", "remove the server", "it finishes what it has", "C", "servers", _one_server),
    Action("pool.publish", "P", "publish the pool", "routes lead to it again", "A", "pool", _unpublished),
    Action("pool.unpublish", "U", "unpublish the pool", "routes pass it over", "B", "pool", _published),
    Action("node.drain", "N", "drain the node", "ask all clients to leave", "B", "node", _node_serves),
    Action("node.ready", "E", "end the node's drain", "nobody is asked to leave any more", "A", "node", _node_drains),
    Action("configuration.confirm", "S", "confirm", "keep the configuration that waits", "B", "configuration", _waits),
    Action("configuration.rollback", "B", "rollback", "back to the configuration before", "B", "configuration", _is_free),
    Action("undo", "z", "undo", "take back your newest action of 30 minutes", "A", "history", _is_free),
    Action("redo", "Z", "redo", "do again what you took back", "A", "history", _is_free),
)  # fmt: skip
ACTIONS: Final = {action.id: action for action in CATALOG}
