"""How long a terminal program takes to answer keys, and what it costs while nobody presses any.

Responsible for pressing one key at a time and for the moments of the first byte behind it and of the chunk with which its effect
was painted; for CPU, bytes and memory over a time. Knows nothing of any one program: what counts as the effect is a reading of
the screen that the caller gives.

Invariants: moments are those of reads, before the emulator works; a key without an effect has none of them.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from tests.bench.cpu import cpu_between, read_cpu
from tests.system.terminal import Terminal

_TIMEOUT_S: Final = 3.0
_GATHER_S: Final = 0.003
_POLL_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Answer:
    """What one key came to, in milliseconds; None: never."""

    first_byte_ms: float | None
    painted_ms: float | None


@dataclass(frozen=True, slots=True)
class Cost:
    """What a time without keys cost: percent of one core, and bytes a second to the terminal."""

    cpu_percent: float
    bytes_per_s: float


def press(terminal: Terminal, key: str, reading: Callable[[], object], settle_s: float = 0.05) -> Answer:
    """Press a key; the effect is painted when the reading is what it still is `settle_s` later."""
    terminal.pump(0.0)
    before = last = reading()
    sent_at = time.monotonic()
    terminal.press(key)
    first_at = painted_at = None
    deadline = sent_at + _TIMEOUT_S
    while (left := deadline - time.monotonic()) > 0:
        wait_s = min(left, _POLL_S)
        while terminal.read(wait_s):
            wait_s = _GATHER_S
        if terminal.chunks and first_at is None:
            first_at = terminal.chunks[0][0]
        while (at := terminal.paint()) is not None:
            now = reading()
            if now != last:
                last, painted_at = now, at
                deadline = min(deadline, time.monotonic() + settle_s)
    return Answer(_ms(sent_at, first_at), _ms(sent_at, painted_at) if last != before else None)


def _ms(since: float, at: float | None) -> float | None:
    return None if at is None else (at - since) * 1e3


def press_all(terminal: Terminal, keys: Iterable[str], reading: Callable[[], object]) -> list[Answer]:
    """Press keys one after the other at changing distances, so that they meet every phase of a live screen."""
    source = random.Random(7)
    found = []
    for key in keys:
        found.append(press(terminal, key, reading))
        terminal.pump_for(source.uniform(0.01, 0.09))
    return found


def painted(answers: Iterable[Answer]) -> list[float]:
    """Return when each was painted, ascending; a key that never had an effect took for ever."""
    return sorted(math.inf if answer.painted_ms is None else answer.painted_ms for answer in answers)


def first_bytes(answers: Iterable[Answer]) -> list[float]:
    """Return when the first byte behind each key came, ascending."""
    return sorted(answer.first_byte_ms for answer in answers if answer.first_byte_ms is not None)


def at(times: list[float], part: float) -> float:
    """Return the value below which this part of ascending values lies."""
    return times[min(len(times) - 1, int(len(times) * part))]


def cost(terminal: Terminal, pids: list[int], seconds: float) -> Cost:
    """Watch for some seconds without pressing a key; what was written is painted behind that."""
    terminal.pump(0.0)
    bytes_before, cpu_before, began_at = len(terminal.raw), read_cpu(pids), time.monotonic()
    while (left := began_at + seconds - time.monotonic()) > 0:
        terminal.read(min(left, 0.1))
    took_s = time.monotonic() - began_at
    cpu_percent = cpu_between(cpu_before, read_cpu(pids)) / 1e9 / took_s * 100
    written = len(terminal.raw) - bytes_before
    terminal.pump(0.0)
    return Cost(cpu_percent, written / took_s)
