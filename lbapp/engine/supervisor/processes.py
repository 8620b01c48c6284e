"""What the engine's processes cost: CPU and memory, from /proc.

Responsible for the two figures over supervisor and workers together. Knows nothing of what the processes do.
Invariants: a process that is gone counts as nothing; CPU is known from the second look on; memory is the sum
of resident sets, so pages that processes share (the scoreboard, the interpreter) count once in each.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_LOOK_INTERVAL_S: Final = 1.0


class ProcessFigures:
    """CPU and memory of some processes, looked up at most once a second."""

    def __init__(self) -> None:
        self.cpu_percent: float | None = None  # of one core
        self.memory_bytes: int | None = None
        self._looked_s = 0.0
        self._ticks: dict[int, int] = {}

    def look(self, pids: Sequence[int]) -> None:
        """Bring the figures up to date for these processes."""
        now_s = time.monotonic()
        if now_s - self._looked_s < _LOOK_INTERVAL_S:
            return
        found = {pid: cost for pid in pids if (cost := _cost(pid)) is not None}
        ticks = {pid: cost[0] for pid, cost in found.items()}
        if self._ticks:
            used = sum(count - self._ticks.get(pid, count) for pid, count in ticks.items())
            self.cpu_percent = round(100 * used / _TICKS_PER_S / (now_s - self._looked_s), 1)
        self.memory_bytes = sum(cost[1] for cost in found.values())
        self._ticks, self._looked_s = ticks, now_s


def _cost(pid: int) -> tuple[int, int] | None:
    """Return CPU ticks and resident bytes of a process; None when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[11]) + int(fields[12]), int(fields[21]) * _PAGE_BYTES
