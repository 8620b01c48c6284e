"""Keys, taken from the terminal when they come.

Responsible for when the terminal is read. Knows nothing of what a key means. Textual (8.2) looks ten times a second whether
there are keys and whether an Esc was one by itself: a fifth of the CPU time of a console at which nothing happens, and up to
100 ms more that an Esc has to wait. Here nobody looks before something is there or an Esc has waited long enough.

Invariants: the codes of a key are understood as Textual understands them, and what is pasted is text (`pasting`); input that is
switched off is so at once.
"""

from __future__ import annotations

import os
from codecs import getincrementaldecoder
from select import select
from threading import Event
from typing import Any, Final
from weakref import finalize

from textual._time import get_time
from textual.drivers.linux_driver import LinuxDriver

from lbapp.tui.pasting import PasteParser

_READ_MAX: Final = 4_096  # bytes


class WaitingDriver(LinuxDriver):
    """The terminal of a console."""

    exit_event: Bell

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.exit_event = Bell()

    def run_input_thread(self) -> None:
        """Hand on what is typed until `exit_event` is set, with all that was typed by then, or the terminal has ended."""
        parser = PasteParser(self._debug)
        decode = getincrementaldecoder("utf-8")().decode
        is_last = False
        while not is_last:
            is_last = self.exit_event.is_set()
            ready, _, _ = select([self.fileno, self.exit_event], [], [], _left_s(parser))
            if self.fileno in ready:
                if not (data := os.read(self.fileno, _READ_MAX)):
                    break
                if text := decode(data):  # else it is the first part of a letter
                    for event in parser.feed(text):
                        self.process_message(event)
            for event in parser.tick():
                self.process_message(event)


def _left_s(parser: PasteParser) -> float | None:
    """Return how long the parser waits for the rest of a key; None: it has begun none."""
    until = parser._timeout_time
    return None if until is None else max(0.0, until - get_time())


class Bell(Event):
    """An event that can be waited for together with files."""

    def __init__(self) -> None:
        super().__init__()
        self._file = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        finalize(self, os.close, self._file)

    def fileno(self) -> int:
        """Return the file that is readable as long as the event is set."""
        return self._file

    def set(self) -> None:
        """Wake whoever waits."""
        os.eventfd_write(self._file, 1)
        super().set()

    def clear(self) -> None:
        """Have nobody woken any more."""
        super().clear()
        try:
            os.eventfd_read(self._file)
        except BlockingIOError:
            pass  # it was not set
