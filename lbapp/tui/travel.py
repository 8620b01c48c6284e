"""Going back and forth in time.

Responsible for which moment a step or a named time leads to, for asking for it, and for what is said about it. Knows nothing of
keys or of what is drawn. Invariants: where nothing is recorded, what is looked at stays as it is; however fast steps come,
one moment is asked for at a time and no step is lost; an answer that comes after another moment was wanted leads nowhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lbapp.control import calls
from lbapp.control.past import PastRates
from lbapp.model.errors import LbappError, RequestRefused
from lbapp.tui.changes import Outcome
from lbapp.tui.format import clean, duration
from lbapp.tui.past import PastSource, moment
from lbapp.tui.switch import Switch
from lbapp.tui.trends import TREND_S

_BLINK_S: Final = 0.001  # a query is not to cut its own end off
SECOND: Final = 1.0
MINUTE: Final = 60.0
_JUST_NOW_S: Final = 60.0  # so far back steps are seconds: what has just happened is looked at closely
_SECONDS_MAX: Final = 2.0  # what was counted for longer is a minute


@dataclass(frozen=True, slots=True)
class Start:
    """A moment that is asked for by its time (Unix seconds). `is_exact`: to the second."""

    at: float
    is_exact: bool = False


class Travel:
    """Where in time the operator is. `turned` is called when that is elsewhere."""

    def __init__(self, switch: Switch, told: Callable[[Outcome], None], turned: Callable[[], None]) -> None:
        self._switch = switch
        self._told = told
        self._turned = turned
        self._steps = 0
        self._is_walking = False
        self._is_exact = False
        self._going = 0  # to so many moments that were asked for by their time
        self._elsewhere = 0  # how often another moment was wanted than the one that steps lead to

    @property
    def is_away(self) -> bool:
        """Say whether it is another moment than the newest, or is about to be: a slow link takes its time."""
        return self._switch.is_away or self._is_walking or self._steps != 0 or self._going > 0

    def now(self) -> float:
        """Return the newest time that there is (Unix seconds)."""
        return self._switch.home.now()

    def come_home(self) -> None:
        """Look at the newest again."""
        self._steps, self._is_exact = 0, False
        self._elsewhere += 1
        if self._switch.is_away:
            self._switch.turn(self._switch.home)
            self._turned()
            self._told(Outcome(""))

    def step(self, steps: int) -> None:
        """Have `walk` go so many steps: back where it is below 0."""
        self._steps += steps

    async def walk(self) -> None:
        """Go as many steps as are wanted. A walk under way goes on with those that come."""
        if self._is_walking:
            return
        self._is_walking = True
        try:
            while self._steps:
                steps, self._steps = self._steps, 0
                await self._step(steps)
        finally:
            self._is_walking = False

    async def go(self, start: Start) -> None:
        """Go to a time; where nothing is recorded of it, stay."""
        if start.at > self.now():
            self._told(Outcome(f"{moment(start.at, self.now())} is still to come", is_refused=True))
            return
        self._elsewhere += 1
        before, self._is_exact = self._is_exact, start.is_exact
        self._going += 1
        try:
            if not await self._show(start.at):
                self._is_exact = before
        finally:
            self._going -= 1

    async def _step(self, steps: int) -> None:
        here = self._switch.seen
        if not isinstance(here, PastSource):
            if steps > 0:
                self._told(Outcome("this is the newest there is: [ goes back"))
            else:
                await self._show(self.now() + steps * SECOND)
            return
        step_s = self._step_s(here)
        # Of a minute its middle counts: its end is the beginning of the next.
        at = here.at - (here.seconds / 2 if here.seconds > _SECONDS_MAX else 0.0) + steps * step_s
        if at > self.now() - SECOND:
            self.come_home()
        else:
            await self._show(at, here, is_back=steps < 0)

    def _step_s(self, here: PastSource) -> float:
        is_close = self._is_exact or self.now() - here.at < _JUST_NOW_S
        return SECOND if is_close and here.seconds <= _SECONDS_MAX else MINUTE

    async def _rates(self, until: float) -> PastRates | None:
        """Return what led to a moment; None where that is not recorded, or not known by an engine of another version."""
        try:
            return await self._switch.home.ask(calls.rates(TREND_S, until + _BLINK_S))
        except LbappError:
            return None

    async def _show(self, at: float, here: PastSource | None = None, *, is_back: bool = True) -> bool:
        """Look at the moment at a time; say whether that worked. `here`: it has to be before or behind this one."""
        elsewhere = self._elsewhere
        try:
            status = await self._switch.home.ask(calls.status_at(at))
            found = PastSource(self._switch.home, status, await self._rates(status["at"]))
        except LbappError as error:
            is_unknown = isinstance(error, RequestRefused) and error.code == "not_recorded"
            what = f"nothing is recorded of {moment(at, self.now())}" if is_unknown else clean(str(error))
            self._told(Outcome(what, is_refused=True))
            return False
        except (KeyError, TypeError, ValueError):
            self._told(Outcome("what answered is no history of this version", is_refused=True))
            return False
        if self._elsewhere != elsewhere:  # came too late: the operator is on the way to another moment, or home
            return False
        if here is not None and (found.at >= here.at if is_back else found.at <= here.at):
            side = "before" if is_back else "behind"
            self._told(Outcome(f"nothing is recorded {side} {moment(here.at, self.now())}", is_refused=True))
            return False
        self._switch.turn(found)
        self._turned()
        move = "1s" if self._step_s(found) == SECOND else "1m"
        self._told(Outcome(f"counted over {duration(found.seconds + 0.5)}; [ and ] move by {move}"))
        return True
