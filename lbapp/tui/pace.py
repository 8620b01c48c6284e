"""How often the console paints what comes in, for a terminal that may be slow.

Responsible for skipping frames that the terminal would show late, for the pause between two, and for how soon keys are painted.
Knows nothing of what is painted.

Invariants: nothing new is painted while the terminal has not taken what is under way; after two skipped frames in a row the
rate is halved, and it doubles again once the terminal has kept up for a while; what a key asks for is not held back.
"""

from __future__ import annotations

import os
import select
from contextlib import suppress
from typing import Any, Final

FRAME_S: Final = 0.5  # at best: the engine sends two a second
FRAME_S_MAX: Final = 8.0
KEY_FRAMES_PER_S: Final = 120
_SKIPPED: Final = 2  # in a row: the terminal is too slow for this rate
_KEPT_UP: Final = 10  # frames in a row: it may be fast enough for more
_EARLY: Final = 0.1  # of a pause: a frame that comes a little early counts as on time


class Pace:
    """Decides about each frame; times are monotonic seconds. `pause_s`: between two frames."""

    def __init__(self) -> None:
        self.pause_s = FRAME_S
        self._painted_at = float("-inf")
        self._skipped = 0
        self._kept_up = 0

    @property
    def is_slow(self) -> bool:
        """Say whether frames come more seldom than figures do."""
        return self.pause_s > FRAME_S

    def may_paint(self, now: float, *, is_behind: bool) -> bool:
        """Say whether to paint now. `is_behind`: the terminal has not taken the last frame yet."""
        if self.is_slow and now - self._painted_at < self.pause_s * (1 - _EARLY):
            return False
        if is_behind:
            self._skipped, self._kept_up = self._skipped + 1, 0
            if self._skipped == _SKIPPED:
                self.pause_s, self._skipped = min(self.pause_s * 2, FRAME_S_MAX), 0
                self._painted_at = now  # look again after the longer pause
            return False
        self._painted_at, self._skipped = now, 0
        self._kept_up += 1
        if self._kept_up == _KEPT_UP:
            self.pause_s, self._kept_up = max(self.pause_s / 2, FRAME_S), 0
        return True


def hurry() -> None:
    """Have Textual, which is not imported yet, paint KEY_FRAMES_PER_S times a second at most; what the environment says is kept.

    A key that has two things painted, such as its letter and then the list that it filters, has the second wait for one frame or
    two: up to 33 ms at Textual's own 60.
    """
    os.environ.setdefault("TEXTUAL_FPS", str(KEY_FRAMES_PER_S))


def is_terminal_behind(driver: Any) -> bool:
    """Say whether the terminal has not taken all that was written: a frame waits for it, or it takes no more just now.

    Textual has no word for this (8.2): its writer and the file under it are looked at; where there are none nothing is behind.
    """
    writer = getattr(driver, "_writer_thread", None)
    queue = getattr(writer, "_queue", None)
    if queue is not None and queue.qsize() > 0:
        return True
    if writer is not None:
        with suppress(OSError, ValueError):
            return not select.select([], [writer.fileno()], [], 0)[1]
    return False
