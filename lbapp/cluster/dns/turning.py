"""Whether `lbapp dns` still turns, and its end where it does not.

Responsible for when each of its loops is to be heard of again, for telling the service manager that all of them are, and for the
alarm of the kernel that ends this process where nobody has put it off. Knows nothing of what the loops do.

Invariants: one loop that stands still is enough for both to hear nothing more; who is asleep for as long as it said is not late;
an end by the alarm needs nothing of this process, which may hang wherever it likes.
"""

from __future__ import annotations

import logging
import signal
import time
from typing import Final

import anyio
import anyio.to_thread

from lbapp.control.notify import notify, watchdog_s

_LOG: Final = logging.getLogger(__name__)
PATIENCE_S: Final = 30.0  # where no service manager says how long one may be silent
SLACK_S: Final = 10.0  # on a machine that is busy, everything takes longer than it should
_PART: Final = 0.75  # of what a service manager waits: who is stopped (SIGSTOP) is left to that
_TIMES: Final = 3  # so many times as often as has to be, the alarm is put off


class Turns:
    """When loops are to be heard of again."""

    def __init__(self) -> None:
        self._due_s: dict[str, float] = {}

    def expect(self, loop: str, within_s: float) -> None:
        """Note that a loop turns, and turns again within so many seconds."""
        self._due_s[loop] = time.monotonic() + within_s + SLACK_S

    def expect_only(self, loop: str, within_s: float) -> None:
        """Note the same where all others have been ended."""
        self._due_s.clear()
        self.expect(loop, within_s)

    @property
    def overdue(self) -> str:
        """The loop that is late; empty: none is."""
        now_s = time.monotonic()
        return next((loop for loop, due_s in self._due_s.items() if due_s < now_s), "")


async def keep_watch(turns: Turns) -> None:
    """Put the alarm off, and tell the service manager, as long as everything turns, until cancelled."""
    given_s = watchdog_s()
    patience_s = PATIENCE_S if given_s is None else _PART * given_s
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # whoever has started this process may have had it ignored
    said = ""
    try:
        while True:
            late = turns.overdue
            if not late:
                signal.setitimer(signal.ITIMER_REAL, patience_s)
                if given_s is not None:
                    await anyio.to_thread.run_sync(notify, "WATCHDOG=1")
            elif late != said:
                _LOG.error("%s hangs: this process ends within %g s, to be started again", late, patience_s)
            said = late
            await anyio.sleep(patience_s / _TIMES)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
