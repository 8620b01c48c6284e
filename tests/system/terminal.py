"""A terminal that a real program runs in: a pty, the screen it paints, and every byte it wrote.

Responsible for starting a program with a terminal of its own, for pressing keys, resizing and reading, and for the screen as
text, as words and as highlighted rows. Knows nothing of lbapp. Reading happens while somebody waits or calls `read`: nothing is
painted behind a test's back, and a terminal that nobody reads is a slow one.

Invariants: `raw` has every byte in the order it came; each chunk carries the time of its read, taken before the emulator
works on it; the program has ended when the `with` block is left.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import pyte
from pyte.screens import Char

_Value = TypeVar("_Value")

DEADLINE_S: Final = 25.0  # a wait costs nothing when what is waited for is there
_CHUNK_BYTES: Final = 65_536
_CALM_TIMES: Final = 3  # looks in a row
_STOP_TIMEOUT_S: Final = 5.0
_INHERITED: Final = ("PATH", "HOME", "PYTHONPATH", "TMPDIR", "VIRTUAL_ENV", "USER", "SYSTEMD_IGNORE_CHROOT")
KEYS: Final = {
    "enter": "\r", "escape": "\x1b", "tab": "\t", "backspace": "\x7f", "space": " ", "ctrl+c": "\x03",
    "up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C", "left": "\x1b[D",
    "pageup": "\x1b[5~", "pagedown": "\x1b[6~", "home": "\x1b[1~", "end": "\x1b[4~",
}  # fmt: skip
_ARROWS: Final = tuple(KEYS[name] for name in ("up", "down", "right", "left"))
_APPLICATION_KEYS: Final = 1 << 5  # DECCKM, as the emulator keeps private modes
# Questions to the terminal that the emulator would print as text: Kitty's keyboard, modes by DECRQM, secondary attributes.
_QUESTION: Final = re.compile(rb"\x1b\[[<>=][\d;]*[a-zA-Z]|\x1b\[\?[\d;]*\$p")
_WHOLE: Final = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]P^_X].*?(?:\x07|\x1b\\)|[ -/]*[0-Z\\^-~])", re.DOTALL)
_WORD: Final = re.compile(r"[A-Za-z]{3,}")


class NotShown(AssertionError):
    """What was waited for never came; the message has the screen."""


class Terminal:
    """One program in one terminal. `env` is added to the few variables that a login has."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        size: tuple[int, int] = (120, 40),
        term: str = "xterm-256color",
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.screen = pyte.Screen(*size)
        self.raw = bytearray()
        self.chunks: list[tuple[float, bytes]] = []  # read and not yet painted
        self._stream = pyte.ByteStream(self.screen)
        self._held = b""
        self._lines: list[str] | None = None  # what is painted; None: not read since something was
        self._command = list(command)
        login = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        self._env = {**login, "LANG": "C.UTF-8", "TERM": term, **(env or {})}

    def __enter__(self) -> Self:
        self.master, self._slave = pty.openpty()
        os.set_blocking(self.master, False)
        self._set_size()
        self.modes_before = termios.tcgetattr(self._slave)
        self.started_at = time.monotonic()
        # setsid makes the pty the program's controlling terminal, so that hanging up and Ctrl-C work as they do for a login.
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *self._command],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env=self._env,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        while self.process.poll() is None and time.monotonic() < deadline:
            self.read(0.02)  # a program that restores its terminal must be able to write
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self._slave)

    # ---- reading

    def read(self, wait_s: float, limit: int = _CHUNK_BYTES) -> int:
        """Take at most `limit` bytes that come within `wait_s` seconds, without painting them; return how many came."""
        if not select.select([self.master], [], [], max(0.0, wait_s))[0]:
            return 0
        try:
            data = os.read(self.master, limit)
        except OSError:
            data = b""  # hung up
        if data:
            self.chunks.append((time.monotonic(), data))
            self.raw += data
        return len(data)

    def paint(self) -> float | None:
        """Paint the oldest chunk that was read; return when it was read, or None if there is none."""
        if not self.chunks:
            return None
        at, data = self.chunks.pop(0)
        data = self._held + data
        whole = self._end_of_whole_sequences(data)
        self._held = data[whole:]
        self._lines = None
        self._stream.feed(_QUESTION.sub(b"", data[:whole]))
        return at

    @staticmethod
    def _end_of_whole_sequences(data: bytes) -> int:
        """Return where the last sequence begins that is not whole yet, or the length."""
        last = data.rfind(b"\x1b")
        if last > 0 and data[last : last + 2] == b"\x1b\\":
            last = data.rfind(b"\x1b", 0, last)
        return len(data) if last < 0 or _WHOLE.match(data, last) else last

    def pump(self, wait_s: float = 0.02, quiet_s: float = 0.003) -> None:
        """Read until nothing has come for `quiet_s`, then paint all of it."""
        while self.read(wait_s):
            wait_s = quiet_s
        while self.paint() is not None:
            pass

    def pump_for(self, seconds: float) -> None:
        """Read and paint all this time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.pump(min(left, 0.05))

    # ---- waiting

    def until(self, condition: Callable[[], _Value], timeout_s: float = DEADLINE_S) -> _Value:
        """Read until the condition holds and return its value. Raises NotShown."""
        deadline = time.monotonic() + timeout_s
        while not (value := condition()):
            if time.monotonic() > deadline:
                raise NotShown(f"not within {timeout_s} s:\n{self.text}")
            self.pump()
        return value

    def wait_for(self, *texts: str, timeout_s: float = DEADLINE_S) -> None:
        """Wait until all of these stand on the screen at once."""
        self.until(lambda: all(text in self.text for text in texts), timeout_s)

    def wait_until_gone(self, text: str, timeout_s: float = DEADLINE_S) -> None:
        """Wait until this stands on the screen no more."""
        self.until(lambda: text not in self.text, timeout_s)

    def wait_until_idle(self, timeout_s: float = DEADLINE_S) -> None:
        """Wait until the program has read every key, sleeps, and has painted what came of it. Raises NotShown."""
        deadline, calm = time.monotonic() + timeout_s, 0
        while calm < _CALM_TIMES:
            if time.monotonic() > deadline:
                raise NotShown(f"not idle within {timeout_s} s:\n{self.text}")
            before = len(self.raw)
            self.pump()
            calm = calm + 1 if len(self.raw) == before and self._sleeps() else 0

    def _sleeps(self) -> bool:
        (unread,) = struct.unpack("i", fcntl.ioctl(self._slave, termios.FIONREAD, b"\0" * 4))
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/stat")
        # Behind the name in brackets, which may hold anything, stands the state: S, sleeping.
        return not unread and all(task.read_text().rpartition(")")[2].split()[0] == "S" for task in tasks)

    def wait_for_end(self, timeout_s: float = DEADLINE_S) -> int:
        """Wait until the program has ended; return its exit status, negative for a signal."""
        self.until(lambda: self.process.poll() is not None, timeout_s)
        self.pump()
        return self.process.returncode

    # ---- doing

    def press(self, *keys: str) -> None:
        """Press keys by their names in KEYS; anything else is typed as it is, all of it at once."""
        typed = [KEYS.get(key, key) for key in keys]
        if _APPLICATION_KEYS in self.screen.mode:
            typed = [key.replace("[", "O") if key in _ARROWS else key for key in typed]
        self.send("".join(typed).encode())

    def send(self, data: bytes) -> None:
        """Type these bytes."""
        while data:
            with suppress(BlockingIOError):
                data = data[os.write(self.master, data) :]
            if data:
                self.read(0.01)

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size, as dragging its window does."""
        self.screen.resize(rows, columns)
        self._lines = None
        self._set_size()

    def hang_up(self) -> None:
        """Close the line, as a lost connection does; nothing can be read any more."""
        os.close(self._slave)
        os.close(self.master)
        self.master, self._slave = os.open(os.devnull, os.O_RDWR), os.open(os.devnull, os.O_RDWR)

    def _set_size(self) -> None:
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", self.screen.lines, self.screen.columns, 0, 0))

    # ---- what is seen

    @property
    def modes(self) -> list[object]:
        """The modes of the line, as termios has them."""
        return termios.tcgetattr(self._slave)

    @property
    def lines(self) -> list[str]:
        """What is painted, one text a row."""
        if self._lines is None:  # whoever waits asks again and again, and the emulator makes it letter by letter
            self._lines = self.screen.display
        return self._lines

    @property
    def text(self) -> str:
        """What is painted, rows parted by newlines."""
        return "\n".join(self.lines)

    def words(self) -> Counter[str]:
        """Words of three letters and more with how often each is painted: what is left when figures change."""
        return Counter(_WORD.findall(self.text))

    def highlighted(self) -> list[int]:
        """Rows of which more than a third is painted in reverse, or on another background than most of the screen; from 0."""
        grounds = [[(cell.bg, cell.reverse) for cell in self._cells(row)] for row in range(self.screen.lines)]
        (common, _), *_ = Counter(ground for row in grounds for ground in row).most_common(1)
        least = self.screen.columns // 3
        return [number for number, row in enumerate(grounds) if len(row) - row.count(common) > least]

    def _cells(self, row: int) -> list[Char]:
        cells = self.screen.buffer[row]
        return [cells[column] for column in range(self.screen.columns)]
