"""Whether routers are to send clients to this node.

Responsible for what the engine's answers come to: rise and fall, holding down an address that flaps, a drain. Knows nothing of
how the engine is asked, of daemons or of clocks: the time comes in.

Invariants: it starts withdrawn; one answer alone, or silence shorter than `fall` answers, changes nothing, but for an operator's
drain, which counts at once; what was withdrawn because the engine was not ready stays so for `hold_down_s` at the least.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from lbapp.model.announce import AnnounceSettings, RouteDrain


class Sight(str, Enum):
    """What one question to the engine came to."""

    READY = "ready"
    NOT_READY = "not_ready"
    LEAVING = "leaving"  # it drains, and its routes are to stay as they are for now
    DRAINING = "draining"  # it drains, and its routes are to be worse than others', or to go


@dataclass(frozen=True, slots=True)
class Look:
    """One answer, or silence, which is not ready. `why`: as a clause, such as `the engine does not answer`."""

    sight: Sight
    why: str = ""


class RouteState(str, Enum):
    """What routers are told."""

    WITHDRAWN = "withdrawn"
    ANNOUNCED = "announced"
    DRAINED = "drained"  # announced, but worse than any other node's


class Decision:
    """The one state machine. `state`: what holds now."""

    def __init__(self, settings: AnnounceSettings) -> None:
        self._settings = settings
        self._good = self._bad = 0
        self._held_until_s = float("-inf")
        self.state = RouteState.WITHDRAWN

    def take(self, look: Look, now_s: float) -> str:
        """Count a look; return why the state has changed, as a clause, or nothing. `now_s`: of a clock that never goes back."""
        if look.sight is Sight.NOT_READY:
            return self._count_bad(look, now_s)
        self._bad, self._good = 0, self._good + 1
        wanted = self._wanted(look.sight)
        if wanted is self.state:
            return ""
        if self.state is RouteState.WITHDRAWN and (self._good < self._settings.rise or self.held_s(now_s)):
            return ""
        self.state = wanted
        return look.why

    def _count_bad(self, look: Look, now_s: float) -> str:
        self._good, self._bad = 0, self._bad + 1
        if self.state is RouteState.WITHDRAWN or self._bad < self._settings.fall:
            return ""
        self.state = RouteState.WITHDRAWN
        self._held_until_s = now_s + self._settings.hold_down_s
        return look.why

    def _wanted(self, sight: Sight) -> RouteState:
        if sight is Sight.READY:
            return RouteState.ANNOUNCED
        if sight is Sight.LEAVING:
            return self.state  # who leaves is not brought in, and not taken out before its time
        return RouteState.DRAINED if self._settings.drain is RouteDrain.MED else RouteState.WITHDRAWN

    def held_s(self, now_s: float) -> float:
        """Return for how long addresses stay withdrawn whatever the engine says; 0: they do not."""
        return max(0.0, self._held_until_s - now_s) if self.state is RouteState.WITHDRAWN else 0.0

    @property
    def is_in_the_air(self) -> bool:
        """Whether the last looks speak for a change that too few have spoken for yet."""
        if self.state is RouteState.WITHDRAWN:
            return 0 < self._good < self._settings.rise
        return self._bad > 0
