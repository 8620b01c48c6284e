"""How late a machine is that many share, so that what is promised "within a second" can be held to a second on it.

A thread sleeps again and again for a moment and notes how much later it is woken. A promise is then of so many seconds and of
what the machine has added: on one that is idle that is nothing, and nowhere is it more than what was measured. Where one process
has to work for it, the kernel says exactly for how long that was ready to run and did not.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_NAP_S: Final = 0.01
_COUNTS_S: Final = 0.002  # what any machine adds to a nap


def waited_s(pid: int) -> float:
    """Return for how many seconds a process was ready to run and did not, since it began (/proc/PID/schedstat)."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except OSError:  # a kernel that does not count it
        return 0.0


class Lateness:
    """What a machine has added since the block began."""

    def __init__(self) -> None:
        self._noted: list[tuple[float, float]] = []

    def note(self, at: float, late_s: float) -> None:
        """Note that a nap which ended at `at` (Unix seconds) was so much too long."""
        if late_s > _COUNTS_S:
            self._noted.append((at, late_s))

    def since(self, at: float) -> float:
        """Return by how many seconds naps since `at` (Unix seconds) were too long, all together."""
        return sum(late_s for ended_at, late_s in self._noted if ended_at >= at)


@contextmanager
def lateness() -> Iterator[Lateness]:
    """Measure until the block ends."""
    found, over = Lateness(), threading.Event()

    def nap() -> None:
        while not over.is_set():
            began_s = time.monotonic()
            time.sleep(_NAP_S)
            found.note(time.time(), time.monotonic() - began_s - _NAP_S)

    thread = threading.Thread(target=nap, name="lateness", daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()
