"""Other programs that fill a terminal with live figures, measured as lbapp's console is.

Responsible for starting each: hatop on a HAProxy with as many servers, btop and htop on this machine. Knows nothing of goals.
Invariant: they are started, watched and typed into by the same code as the console; what a program does not have is left out.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from tests.bench import keys
from tests.bench.cpu import read_memory
from tests.bench.process import HOST, BenchError, Program, free_port
from tests.bench.stand_in import POOLS, pool_name, server_name
from tests.bench.tui_console import Effort, Figures
from tests.system.terminal import Terminal

_SIZE: Final = (120, 40)
_START_TIMEOUT_S: Final = 15.0
_ROWS: Final = 12  # the cursor goes so far down and back up: on every one of these screens


@dataclass(frozen=True, slots=True)
class Peer:
    """A program. `row`: what a live row of it looks like; `first_keys`: what leads to its list."""

    name: str
    advice: str
    command: Callable[[str, Path, int, ExitStack], Sequence[str]]
    row: re.Pattern[str]
    first_keys: tuple[str, ...] = ()

    @property
    def missing(self) -> str | None:
        """Say why it cannot be measured, or nothing."""
        return None if shutil.which(self.name) else f"{self.name} is not installed: {self.advice}"


def _hatop(program: str, folder: Path, servers: int, stack: ExitStack) -> Sequence[str]:
    """Start a HAProxy with as many servers in 24 backends, without traffic or checks; hatop asks it every second."""
    if shutil.which("haproxy") is None:
        raise BenchError("hatop needs a HAProxy to look at: apt-get install haproxy")
    socket, port = folder / "haproxy.sock", free_port()
    lines = ["global", "    maxconn 100", "    nbthread 1", f"    stats socket {socket} level admin", "defaults"]
    lines += ["    mode http", *(f"    timeout {what} 5s" for what in ("connect", "client", "server"))]
    lines += ["frontend web", f"    bind {HOST}:{port}", f"    default_backend {pool_name(0)}"]
    for pool in range(POOLS):
        lines.append(f"backend {pool_name(pool)}")
        lines += [f"    server {server_name(number)} 10.0.0.1:5000" for number in range(pool, servers, POOLS)]
    path = folder / "haproxy.cfg"
    path.write_text("\n".join(lines) + "\n")
    started = stack.enter_context(Program("haproxy", ["haproxy", "-db", "-f", str(path)], folder))
    started.wait_for_port(port)
    return [program, "-s", str(socket), "-i", "1"]


PEERS: Final = (
    Peer("hatop", "apt-get install hatop", _hatop, re.compile(r"\bs\d{5}\b")),
    Peer("btop", "apt-get install btop", lambda program, *_: [program], re.compile(r"^.*\bPid\b.*\n.*\d", re.M)),
    Peer("htop", "apt-get install htop", lambda program, *_: [program], re.compile(r"^\s*\d+ \w+ ", re.M)),
)


def measure(peer: Peer, folder: Path, servers: int, effort: Effort) -> Figures:
    """Return what of the console's figures this program has too. Raises BenchError."""
    home = folder / peer.name
    home.mkdir()
    with ExitStack() as stack:
        program = shutil.which(peer.name)
        assert program is not None
        line = peer.command(program, home, servers, stack)
        found = {"start_ms": median(_start_ms(peer, line, home) for _ in range(effort.starts))}
        with Terminal(line, size=_SIZE, env={"HOME": str(home)}) as terminal:
            terminal.until(lambda: peer.row.search(terminal.text), _START_TIMEOUT_S)
            terminal.pump_for(1.0)
            pid = terminal.process.pid
            watched = keys.cost(terminal, [pid], effort.seconds)
            found |= {"cpu_percent": watched.cpu_percent, "bytes_per_s": watched.bytes_per_s}
            _cursor(terminal, effort.cursor_keys, found)
            found["rss_bytes"] = read_memory(pid).resident_bytes
        return found


def _start_ms(peer: Peer, line: Sequence[str], home: Path) -> float:
    with Terminal(line, size=_SIZE, env={"HOME": str(home)}) as terminal:
        end = terminal.started_at + _START_TIMEOUT_S
        while time.monotonic() < end:
            terminal.read(0.01)
            at = terminal.paint()
            if at is not None and peer.row.search(terminal.text):
                return (at - terminal.started_at) * 1e3
        raise BenchError(f"{peer.name} shows no row after {_START_TIMEOUT_S:.0f} s:\n{terminal.text}")


def _cursor(terminal: Terminal, count: int, found: Figures) -> None:
    terminal.press("down", "down")
    terminal.pump_for(0.5)
    moves = (["down"] * _ROWS + ["up"] * _ROWS) * (count // (2 * _ROWS) + 1)
    answers = keys.press_all(terminal, moves[:count], terminal.highlighted)
    times, first = keys.painted(answers), keys.first_bytes(answers)
    for name, part in (("p50", 0.5), ("p95", 0.95), ("max", 1.0)):
        found[f"cursor_painted_{name}_ms"] = keys.at(times, part)
        found[f"cursor_first_{name}_ms"] = keys.at(first, part)
    found["silence_max_ms"] = first[-1]
