"""The figures of lbapp's console: started, watched, typed into and slowed down, as an operator's terminal does.

Responsible for the order of what is done with one console, and for finding its screens, its cursor and its clock in what it
paints. Knows nothing of goals or tables. It reads only what any operator reads: names of servers, words, the highlighted row.

Invariant: a figure is of one console of one size over one engine; what could not be read is a BenchError, never a figure.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Final

from tests.bench import keys
from tests.bench.cpu import read_memory
from tests.bench.process import BenchError
from tests.bench.tui_engine import LookedAt
from tests.system.terminal import Terminal

SCREENS: Final = "1234567"
_START_TIMEOUT_S: Final = 30.0
_SERVER: Final = re.compile(r"\bs\d{5}\b")
_POOL: Final = re.compile(r"\bp\d\d\b")
_CLOCK: Final = re.compile(r"\b(\d\d):(\d\d):(\d\d)\b")
_ROWS_MIN: Final = 5  # so many names of servers make a list of them
_HEAD: Final = "wgt"  # of a column that only the list of servers has
_DAY_S: Final = 86_400
_SLICE_S: Final = 0.05  # a slow link gives so much at a time

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class View:
    """How a console is looked at. `size`: columns and rows."""

    name: str
    servers: int
    size: tuple[int, int]
    term: str


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done: starts, seconds of watching, cursor keys, dialogs, seconds on a slow link."""

    starts: int = 5
    seconds: float = 20.0
    cursor_keys: int = 120
    dialogs: int = 25
    slow_s: float = 25.0


class Console:
    """One console in one terminal."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.pid = terminal.process.pid

    def rows(self) -> list[str]:
        """The names of servers that are painted, from the top."""
        return [found[0] for line in self.terminal.lines if (found := _SERVER.search(line))]

    def under_cursor(self) -> str:
        """The server whose row is highlighted, empty without one."""
        lines = self.terminal.lines
        found = [match[0] for row in self.terminal.highlighted() if (match := _SERVER.search(lines[row]))]
        return found[0] if len(found) == 1 else ""

    def has_live_row(self) -> bool:
        """Say whether there is a row of a pool or a server, and the word for figures of now."""
        text = self.terminal.text
        return "LIVE" in text and bool(_POOL.search(text) or _SERVER.search(text))

    def clock_age_s(self) -> float | None:
        """How old the painted clock is, to a second; None without one."""
        found = _CLOCK.search(self.terminal.lines[0])
        if found is None:
            return None
        hours, minutes, seconds = map(int, found.groups())
        now = datetime.now()
        now_s = now.hour * 3600 + now.minute * 60 + now.second + now.microsecond / 1e6
        age_s = (now_s - (hours * 3600 + minutes * 60 + seconds)) % _DAY_S
        return age_s if age_s < _DAY_S / 2 else age_s - _DAY_S

    def go_to_servers(self) -> None:
        """Go to the screen that lists servers. Raises BenchError."""
        for key in ("3", "2", "1", *SCREENS):
            self.terminal.press(key)
            end = time.monotonic() + 1.0
            while time.monotonic() < end:
                self.terminal.pump()
                if _HEAD in self.terminal.text.lower() and len(self.rows()) > _ROWS_MIN and self.under_cursor():
                    return
        raise BenchError(f"no screen lists servers with a cursor:\n{self.terminal.text}")


def command(socket: Path) -> list[str]:
    """The command line of a console on this socket."""
    return [sys.executable, "-m", "lbapp", "--socket", str(socket), "tui"]


@contextmanager
def console(view: View, socket: Path) -> Iterator[Console]:
    """Run a console until the block ends; it shows a live row when the block begins."""
    with Terminal(command(socket), size=view.size, term=view.term) as terminal:
        found = Console(terminal)
        terminal.until(found.has_live_row, _START_TIMEOUT_S)
        yield found


def measure(view: View, engine: LookedAt, effort: Effort) -> Figures:
    """Return the figures of one view. Raises BenchError, NotShown."""
    socket = engine.control
    _start_ms(view, socket)  # the first one warms the file cache
    found = {"start_ms": median(_start_ms(view, socket) for _ in range(effort.starts))}
    with console(view, socket) as one:
        one.go_to_servers()
        one.terminal.pump_for(1.0)
        watched = keys.cost(one.terminal, [one.pid], effort.seconds)
        found |= {"cpu_percent": watched.cpu_percent, "bytes_per_s": watched.bytes_per_s}
        answers = _cursor(one, effort.cursor_keys, found)
        answers += _dialogs(one, effort.dialogs, found)
        answers += _filters(one, effort.dialogs, found)
        answers += _screens(one, found)
        found["silence_max_ms"] = keys.first_bytes(answers)[-1]
        found["keys"] = len(answers)
        one.go_to_servers()
        _pause(one, effort.seconds / 2, found)
        found["rss_bytes"] = read_memory(one.pid).resident_bytes
    for rate in (8_000, 4_000):
        if effort.slow_s:
            found[f"age_s_at_{rate}"] = _slow(view, socket, rate, effort.slow_s)
    _restart(view, engine, found)
    return found


def _start_ms(view: View, socket: Path) -> float:
    with Terminal(command(socket), size=view.size, term=view.term) as terminal:
        one = Console(terminal)
        end = terminal.started_at + _START_TIMEOUT_S
        while time.monotonic() < end:
            terminal.read(0.01)
            at = terminal.paint()
            if at is not None and one.has_live_row():
                return (at - terminal.started_at) * 1e3
    raise BenchError(f"the console shows no live row after {_START_TIMEOUT_S:.0f} s")


def _cursor(one: Console, count: int, found: Figures) -> list[keys.Answer]:
    answers = keys.press_all(one.terminal, ["down"] * count, one.under_cursor)
    times, first = keys.painted(answers), keys.first_bytes(answers)
    for name, part in (("p50", 0.5), ("p95", 0.95), ("max", 1.0)):
        found[f"cursor_painted_{name}_ms"] = keys.at(times, part)
        found[f"cursor_first_{name}_ms"] = keys.at(first, part)
    return answers


def _dialogs(one: Console, count: int, found: Figures) -> list[keys.Answer]:
    def is_open() -> bool:
        return "Cancel" in one.terminal.text

    answers = []
    for _ in range(count):
        answers.append(keys.press(one.terminal, "d", is_open))
        _leave(one, lambda: not is_open())
    found["dialog_p95_ms"] = keys.at(keys.painted(answers), 0.95)
    return answers


def _filters(one: Console, count: int, found: Figures) -> list[keys.Answer]:
    opened, filtered = [], []
    one.terminal.press("home")
    one.terminal.pump_for(0.2)
    for number in range(count):
        opened.append(keys.press(one.terminal, "/", one.terminal.words))
        filtered.append(keys.press(one.terminal, "789"[number % 3], one.rows))
        _leave(one, lambda: one.under_cursor() != "")
        one.terminal.press("home")  # the cursor went to the first that was left
        one.terminal.pump_for(0.1)
    found["filter_p95_ms"] = keys.at(keys.painted(opened), 0.95)
    found["filter_key_p95_ms"] = keys.at(keys.painted(filtered), 0.95)
    return [*opened, *filtered]


def _leave(one: Console, is_left: Callable[[], bool]) -> None:
    """Press Esc until what was open is closed: the filter may ask for one to clear and one to close."""
    for _ in range(3):
        one.terminal.press("escape")
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            one.terminal.pump()
            if is_left():
                return
    raise BenchError(f"Esc does not lead back:\n{one.terminal.text}")


def _screens(one: Console, found: Figures) -> list[keys.Answer]:
    """Go round the screens; a number whose screen does not exist has no effect and is left out."""
    there = [key for key in SCREENS if keys.press(one.terminal, key, one.terminal.words, 0.3).painted_ms is not None]
    answers = [keys.press(one.terminal, key, one.terminal.words, 0.3) for _ in range(4) for key in there]
    found["switch_p95_ms"] = keys.at(keys.painted(answers), 0.95)
    found["screens"] = len(there)
    return answers


def _pause(one: Console, seconds: float, found: Figures) -> None:
    one.terminal.press("p")
    one.terminal.wait_for("PAUSED")
    one.terminal.pump_for(1.0)
    found["paused_cpu_percent"] = keys.cost(one.terminal, [one.pid], seconds).cpu_percent
    one.terminal.press("p")
    one.terminal.wait_for("LIVE")


def _restart(view: View, engine: LookedAt, found: Figures) -> None:
    """Kill the engine and start it again: how long it takes until each is painted, in seconds."""
    with console(view, engine.control) as one:
        engine.kill()
        gone_at = time.monotonic()
        one.terminal.wait_for("STALE", timeout_s=_START_TIMEOUT_S)
        found["stale_s"] = time.monotonic() - gone_at
        engine.begin()
        one.terminal.until(engine.accepts, _START_TIMEOUT_S)
        back_at = time.monotonic()
        one.terminal.until(lambda: "LIVE" in one.terminal.lines[0], _START_TIMEOUT_S)
        found["live_again_s"] = time.monotonic() - back_at


def _slow(view: View, socket: Path, bytes_per_s: int, seconds: float) -> float:
    """Return how old the painted clock was at worst, in seconds, on a link that takes so many bytes a second."""
    with console(view, socket) as one:
        one.go_to_servers()
        ages = []
        began_at, number = time.monotonic(), 0
        while (now := time.monotonic()) < began_at + seconds:
            due_at = began_at + number * _SLICE_S
            if now < due_at:
                time.sleep(due_at - now)
            number += 1
            one.terminal.read(0.0, int(bytes_per_s * _SLICE_S))
            if one.terminal.paint() is not None and (age_s := one.clock_age_s()) is not None:
                ages.append(age_s)
        if not ages:
            raise BenchError("no clock stands on the first line of the console")
        return max(ages)
