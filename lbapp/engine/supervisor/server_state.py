"""One server as it stands now: what the operator wants of it, what checks found, what its agent says, and its weight.

Responsible for what follows from these together, for one server. Knows nothing of the scoreboard or of who changes what.
Invariant: an agent's word is kept beside the operator's wish and the checks' findings, and changes neither.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from lbapp.control.messages import Actor, ProbeStatus
from lbapp.engine.policy import slow_start
from lbapp.engine.policy.agent import NO_WISH, Wish, weight_of
from lbapp.engine.policy.eligibility import Candidate
from lbapp.engine.policy.ramp import Ramp
from lbapp.engine.supervisor.events import Signal
from lbapp.engine.supervisor.probe_history import ProbeHistory
from lbapp.model.entities import CheckType, Pool, Server
from lbapp.model.health import StartPolicy
from lbapp.model.states import WEIGHT_MAX, AdminState, HealthState

HARD_DRAIN: Final = "hard_drain"


def admin_of(word: str) -> tuple[AdminState, bool]:
    """Return the state that `ServerState.word` stands for, and whether it is hard."""
    return (AdminState.DRAIN, True) if word == HARD_DRAIN else (AdminState[word.upper()], False)


@dataclass(frozen=True, slots=True)
class AgentSaid:
    """What came of asking a server's agent last. `at` in Unix seconds; None: it was not asked yet."""

    at: float | None = None
    line: str = ""
    error: str = ""


@dataclass(slots=True)
class ServerState:
    """One server as it stands now.

    Times are Unix seconds; `revision` is that of its last change of state or weight. `health` is what clients feel: what
    checks found, or DOWN while the agent says so. `because` is all that is known of what changed it last.
    """

    server: Server
    pool: Pool
    row: int
    pool_row: int
    weight: int
    admin: AdminState = AdminState.READY
    ramp: Ramp | None = None  # while its weight changes over time; monotonic seconds
    is_hard: bool = False  # while it drains: not even remembered clients get it
    health: HealthState = HealthState.UNKNOWN
    health_reason: str = "not checked yet"
    health_since: float = field(default_factory=time.time)
    changed_at: float | None = None
    changed_by: Actor | None = None
    revision: int = 0
    admin_watchers: list[Signal] = field(default_factory=list)  # fired when the operator wants something else of it
    maintenances: int = 0  # how often it has gone into maintenance
    checked: HealthState = HealthState.UNKNOWN
    checked_reason: str = "not checked yet"
    because: str = ""
    probe: ProbeStatus | None = None
    probes: ProbeHistory = field(default_factory=ProbeHistory)
    wish: Wish = NO_WISH
    agent: AgentSaid = field(default_factory=AgentSaid)
    is_not_found: bool = False  # its check says by a 404 that it wants no new clients
    ejected: str = ""  # why traffic has it ejected; empty: it has not
    ejected_until: float = 0.0
    warming_since: float | None = None  # monotonic seconds: when its slow start began
    share_permille: int = slow_start.WHOLE
    was_out: bool = False  # at the last write
    fleet_part: int = 0  # what this node has of a limit of the fleet; 0: there is none
    is_leaving: bool = False  # no longer among what its pool's name stands for

    def take_over(self, before: ServerState) -> None:
        """Go on from what was known of the server before. The operator's weight stays while the file says what it said."""
        if before.weight != before.server.weight and before.server.weight == self.server.weight:
            self.weight = before.weight
        self.admin, self.is_hard, self.revision = before.admin, before.is_hard, before.revision
        self.changed_at, self.changed_by = before.changed_at, before.changed_by
        self.maintenances = before.maintenances
        self.is_leaving, self.was_out, self.warming_since = before.is_leaving, before.was_out, before.warming_since
        if (before.server.host, before.server.port) != (self.server.host, self.server.port):
            return
        self.ejected, self.ejected_until = before.ejected, before.ejected_until
        self.probes = before.probes
        if self.pool.health_check.agent is not None:
            self.wish, self.agent = before.wish, before.agent
        if (before.pool.health_check.type is CheckType.NONE) is not (self.pool.health_check.type is CheckType.NONE):
            return
        self.health, self.health_reason, self.health_since = before.health, before.health_reason, before.health_since
        self.checked, self.checked_reason, self.because = before.checked, before.checked_reason, before.because
        self.probe, self.is_not_found = before.probe, before.is_not_found

    @property
    def word(self) -> str:
        """What the operator wants, in one word: `ready`, `drain`, `hard_drain` or `maint`."""
        return HARD_DRAIN if self.is_hard else self.admin.name.lower()

    @property
    def intended_weight(self) -> int:
        """The weight that the operator wants, also while it is on the way there."""
        return self.weight if self.ramp is None else self.ramp.after

    @property
    def is_eligible(self) -> bool:
        """Say whether the server may get new clients, as far as that depends on it alone."""
        return self.is_wanted and self.is_healthy

    @property
    def is_wanted(self) -> bool:
        """Say whether the operator, the weight and the server itself have nothing against new clients."""
        is_ready = self.admin is AdminState.READY and not self.is_leaving
        return is_ready and self.weight_for_workers > 0 and not self.no_new_clients

    @property
    def is_healthy(self) -> bool:
        """Say whether neither checks nor traffic have anything against new clients."""
        return self.health_for_workers is not HealthState.DOWN and not self.ejected

    @property
    def candidate(self) -> Candidate:
        """The server among those of its pool: together with them it is said who may get new clients."""
        return Candidate(self.is_wanted, self.is_healthy, self.server.is_backup)

    @property
    def admin_for_workers(self) -> AdminState:
        """What workers are to do: of a server that leaves, drains hard, or whose agent says maint, nobody gets anything new."""
        is_for_nobody = self.is_leaving or self.is_hard or self.is_for_nobody
        return AdminState.MAINT if is_for_nobody else self.admin

    @property
    def no_new_clients(self) -> str:
        """Why the server itself asks for no new clients; empty while it takes them."""
        if self.wish.no_new_clients:
            return f"its agent says {self.wish.no_new_clients}"
        return "its health check says 404" if self.is_not_found else ""

    @property
    def is_for_nobody(self) -> bool:
        """Say whether the server itself asks for nobody at all, not even for who had it."""
        return self.wish.is_for_nobody

    @property
    def weight_for_workers(self) -> int:
        """The weight, or the share of it that the agent wants."""
        return weight_of(self.weight, self.wish.percent, WEIGHT_MAX)

    @property
    def connections_max(self) -> int:
        """How much the server may have in flight: what the file, the fleet or the agent says, the least of them; 0: no limit.

        During a slow start only its share of that, or who waits would fill the server at once.
        """
        limits = (self.server.connections_max, self.fleet_part, self.wish.connections_max)
        whole = min(filter(None, limits), default=0)
        return -(-whole * self.share_permille // slow_start.WHOLE)

    @property
    def health_for_workers(self) -> HealthState:
        """The health, where UNKNOWN is as good as DOWN while nothing has been found in a pool that wants checked servers."""
        is_to_be_checked = self.pool.health_check.start is StartPolicy.CHECKED
        return HealthState.DOWN if is_to_be_checked and self.health is HealthState.UNKNOWN else self.health


_KNOWN: Final = ("checked_reason", "health_since", "because", "probe", "is_not_found")


def known_of(state: ServerState) -> dict[str, Any]:
    """Return what checks have found of a server, what its agent says, and its slow start, for the engine after this one."""
    found: dict[str, Any] = {name: getattr(state, name) for name in _KNOWN}
    return {
        **found,
        "address": state.server.address,
        "probes": state.probes.known(),
        "checked": state.checked.name,
        "wish": asdict(state.wish),
        "agent": asdict(state.agent),
        "warming_since": state.warming_since,  # on the monotonic clock, which is the same for all processes
    }


def know(state: ServerState, known: Mapping[str, Any]) -> bool:
    """Take over what an engine before, maybe of another version, has found of a server, if it is in the same place.

    Say whether what its checks have found was taken over.
    """
    if known.get("address") != state.server.address:
        return False
    if state.pool.health_check.agent is not None:
        with contextlib.suppress(TypeError, KeyError):  # of a version that has other words
            state.wish, state.agent = Wish(**known["wish"]), AgentSaid(**known["agent"])
    state.probes.know(known.get("probes"))
    warming_since = known.get("warming_since")
    if state.pool.passive.slow_start is not None and isinstance(warming_since, float):
        state.warming_since = warming_since
    is_checked = state.pool.health_check.type is not CheckType.NONE and known.get("checked") in HealthState.__members__
    if is_checked:
        state.checked = HealthState[known["checked"]]
        for name in _KNOWN:
            if name in known:
                setattr(state, name, known[name])
    state.health, state.health_reason = state.checked, state.checked_reason
    if state.wish.down:
        state.health, state.health_reason = HealthState.DOWN, said_by_agent(state.wish)
        state.health_since = known.get("health_since", state.health_since)
    return is_checked


def said_by_agent(wish: Wish) -> str:
    """Return why a server is down whose agent says so."""
    return f"its agent says {wish.down}"
