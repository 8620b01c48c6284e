"""What is probed: one target for all servers that would be asked the same thing at the same address.

Responsible for finding the servers that can share a probe, and for what is remembered of each of them. Knows nothing of how a
probe is made, nor when. Invariants: every server with a check is a member of exactly one target; servers of one target
differ in nothing that a probe could notice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import anyio

from lbapp.engine.policy.health import HealthRecord
from lbapp.engine.supervisor.events import Signal
from lbapp.engine.supervisor.server_state import ServerState
from lbapp.model.entities import CheckType, HealthCheck
from lbapp.model.errors import RequestRefused
from lbapp.model.states import AdminState


@dataclass(slots=True, eq=False)
class Member:
    """One server of one pool, as the probes of its target see it."""

    state: ServerState
    record: HealthRecord = field(default_factory=HealthRecord)

    @property
    def check(self) -> HealthCheck:
        """The health check of the server's pool."""
        return self.state.pool.health_check

    @property
    def is_probed(self) -> bool:
        """Say whether results count for it: in maintenance they do not."""
        return self.state.admin is not AdminState.MAINT


@dataclass(slots=True, eq=False)
class Extra:
    """A probe beside the schedule that somebody waits for. `refusal`: why it has not been made; None once it has."""

    refusal: RequestRefused | None
    is_over: anyio.Event = field(default_factory=anyio.Event)


@dataclass(slots=True, eq=False)
class Target:
    """Servers that share a probe. `fast_left`: probes to make in quick succession, because traffic has cast doubt on it.

    Times are those of the event loop's clock. `extra`: a probe that is to be made, or is being made, beside the schedule.
    """

    members: list[Member] = field(default_factory=list)
    wake: Signal = field(default_factory=Signal)
    is_wanted: bool = False
    is_running: bool = False
    last_start_s: float = float("-inf")
    probes: int = 0
    fast_left: int = 0
    extra: Extra | None = None
    key: object = None
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    @property
    def asked(self) -> ServerState:
        """The server whose pool's settings a probe is made with; the others have equal ones."""
        return self.members[0].state

    @property
    def is_probed(self) -> bool:
        """Say whether any member is to be probed."""
        return any(member.is_probed for member in self.members)

    def end_extra(self) -> None:
        """Let who waits for a probe beside the schedule go on, whether or not it was made."""
        if self.extra is not None:
            self.extra.is_over.set()
            self.extra = None


class Targets:
    """All targets, and which of them a server is a member of."""

    def __init__(self) -> None:
        self._by_key: dict[object, Target] = {}
        self._of: dict[int, tuple[Target, Member]] = {}  # by row

    def __iter__(self) -> Iterator[Target]:
        return iter(list(self._by_key.values()))

    def of(self, state: ServerState) -> tuple[Target, Member] | None:
        """Return what probes a server, and the server as its member; None: it has no check."""
        return self._of.get(state.row)

    def add(self, state: ServerState) -> Target | None:
        """Take in a server, whose target is woken by the operator's changes; return the target if that is a new one."""
        if state.pool.health_check.type is CheckType.NONE:
            return None
        key = _key_of(state)
        target = self._by_key.get(key)
        is_new = target is None
        if target is None:
            target = self._by_key[key] = Target(key=key)
        member = Member(state)
        target.members.append(member)
        self._of[state.row] = target, member
        state.admin_watchers.append(target.wake)
        return target if is_new else None

    def remove(self, state: ServerState) -> None:
        """Forget a server, and its target if that has no other; a probe under way is cancelled then."""
        found = self._of.pop(state.row, None)
        if found is None:
            return
        target, member = found
        target.members.remove(member)
        if not target.members:
            del self._by_key[target.key]
            target.scope.cancel()


def _key_of(state: ServerState) -> object:
    server, pool = state.server, state.pool
    transport = pool.transport
    return (
        server.host,
        server.port,
        transport.proxy_protocol,
        transport.source,
        pool.tls,
        pool.health_check.question,
    )
