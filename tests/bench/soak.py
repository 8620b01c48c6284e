"""`python -m tests.bench soak`: any keys at any time, for as long as is asked for.

Responsible for a whole engine over servers that come and go, with a little traffic, for a console in a terminal of its own, and
for what became of it: crashes, changes at the wrong server, memory of the console and of the engine. Knows nothing of what a key
may do (`operator.py`). Invariant: the same seed chooses the same keys as long as the screens are the same.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from lbapp.control.client import ControlClient
from tests.bench.cpu import read_memory
from tests.bench.operator import Operator
from tests.bench.process import Program, free_port
from tests.bench.table import format_table, machine_facts, show_facts, write_json
from tests.bench.tui_console import command
from tests.engine.worker.harness import TcpServer, answering
from tests.system.harness import request
from tests.system.terminal import Terminal

SERVERS: Final = 12
GROWTH_MAX_MB: Final = 5.0
_KEYS_PER_S: Final = 10
_FLAP_S: Final = 1.5
_REQUESTS_PER_S: Final = 20
_WARM_PART: Final = 0.1  # of the time, behind which memory is taken for the first time
_JUDGED_S: Final = 600  # before that memory grows by what is made when it is first looked at
_ACTIONS: Final = 20
_PAUSE_S_MAX: Final = 0.5
_ESCAPE_S: Final = 0.15  # what follows Esc sooner would be one key with it


@dataclass(slots=True)
class Resident:
    """The resident memory of one process, in MB: as soon as it was warm, minute by minute, and at the end."""

    pid: int
    warm_mb: float = 0.0
    minutes_mb: list[float] = field(default_factory=list)
    end_mb: float = 0.0

    @property
    def growth_mb(self) -> float:
        """What it has grown since it was warm."""
        return self.end_mb - self.warm_mb

    def read_mb(self) -> float:
        """Return what it is now."""
        return round(read_memory(self.pid).resident_bytes / 1e6, 1)


@dataclass(slots=True)
class Found:
    """What became of the console. `memory`: of it and of each process of the engine, by name; `problems`: a sentence each."""

    seconds: float
    keys: int
    actions: int
    judged: int
    memory: dict[str, Resident]
    output_bytes: int
    problems: list[str]


@dataclass(frozen=True, slots=True)
class _World:
    """The port of the listener, the control socket, and the engine behind them."""

    port: int
    control: Path
    engine: Program


def main(argv: Sequence[str]) -> int:
    """Press keys, print what came of it; return the exit status: 1 if there is a problem."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default 30)")
    parser.add_argument("--seed", type=int, default=1, help="of the keys (default 1)")
    parser.add_argument("--linux", action="store_true", help="80x24 with TERM=linux, not 120x40")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="also write the figures here")
    options = parser.parse_args(argv)
    facts = machine_facts({})
    size, term = ((80, 24), "linux") if options.linux else ((120, 40), "xterm-256color")
    with (
        tempfile.TemporaryDirectory(prefix="lbb-") as name,
        _world(Path(name), options.seed) as world,
        Terminal(command(world.control), size=size, term=term) as terminal,
    ):
        found = _soak(terminal, world, options.minutes * 60, random.Random(options.seed))
    print(show_facts(facts) + "\n")
    columns = ("seconds", "keys", "actions", "of them judged", "output KiB/s", "problems")
    output = f"{found.output_bytes / 1024 / found.seconds:.1f}"
    cells = (f"{found.seconds:.0f}", str(found.keys), str(found.actions), str(found.judged), output)
    print(format_table(columns, [(*cells, str(len(found.problems)))]) + "\n")
    heads = ("RSS MB", "warm", "at the end", "growth", "minute by minute")
    rows = [
        (name, f"{one.warm_mb:.1f}", f"{one.end_mb:.1f}", f"{one.growth_mb:+.1f}", " ".join(map(str, one.minutes_mb)))
        for name, one in found.memory.items()
    ]
    print(format_table(heads, rows))
    for problem in found.problems:
        print(f"! {problem.partition(chr(10))[0]}", file=sys.stderr)
    write_json(options.json, "soak", facts, asdict(found))
    return 1 if found.problems else 0


def _soak(terminal: Terminal, world: _World, seconds: float, source: random.Random) -> Found:
    """Press keys for so many seconds; the memory of the console and what the engine recorded are read meanwhile."""
    terminal.wait_for("LIVE", timeout_s=30)
    operator, problems = Operator(terminal, source), list[str]()
    supervisor, *workers = world.engine.pids()
    memory = {"console": Resident(terminal.process.pid), "supervisor": Resident(supervisor)}
    memory |= {f"worker {place}": Resident(pid) for place, pid in enumerate(workers)}
    began_s, number, stop = time.monotonic(), 0, threading.Event()
    threading.Thread(target=_ask, args=(world.port, stop), daemon=True).start()
    with ControlClient(world.control) as client:
        while (passed_s := time.monotonic() - began_s) < seconds and terminal.process.poll() is None:
            key = operator.press_any()
            pause_s = min(source.expovariate(_KEYS_PER_S), _PAUSE_S_MAX)
            terminal.pump_for(max(pause_s, _ESCAPE_S) if key == "escape" else pause_s)
            actions = [each for each in client.changes(_ACTIONS)["actions"] if each["number"] > number]
            number = max((each["number"] for each in actions), default=number)
            told = len(operator.verdict.wrong)
            operator.judge(actions)
            for wrong in operator.verdict.wrong[told:]:
                print(f"! {wrong}", file=sys.stderr, flush=True)
            _read(memory, passed_s, seconds)
    stop.set()
    if terminal.process.poll() is not None:
        problems.append(f"the console ended with status {terminal.process.returncode}:\n{terminal.text}")
    if b"Traceback" in terminal.raw:
        problems.append("a traceback was written:\n" + terminal.raw[-4000:].decode(errors="replace"))
    for one in memory.values():
        one.end_mb = one.warm_mb if problems else one.read_mb()
    verdict = operator.verdict
    problems += verdict.wrong
    growth_mb = memory["console"].growth_mb
    if passed_s >= _JUDGED_S and growth_mb > GROWTH_MAX_MB:
        problems.append(f"memory of the console grew by {growth_mb:.1f} MB, more than {GROWTH_MAX_MB:.0f}")
    return Found(passed_s, operator.pressed, verdict.actions, verdict.judged, memory, len(terminal.raw), problems)


def _read(memory: Mapping[str, Resident], passed_s: float, seconds: float) -> None:
    """Read the memory of every process when it is time to, so many seconds of all of them behind the start."""
    for one in memory.values():
        if passed_s >= 60 * (len(one.minutes_mb) + 1):
            one.minutes_mb.append(one.read_mb())
        if not one.warm_mb and passed_s > seconds * _WARM_PART:
            one.warm_mb = one.read_mb()


def _ask(port: int, stop: threading.Event) -> None:
    """Send a few requests a second, whatever becomes of them."""
    while not stop.wait(1 / _REQUESTS_PER_S):
        with suppress(OSError):
            request(port)


@contextmanager
def _world(folder: Path, seed: int) -> Iterator[_World]:
    """Run an engine over servers some of which come and go."""
    port, control = free_port(), folder / "c.sock"
    ports = {f"s{number + 1}": free_port() for number in range(SERVERS)}
    lines = ["[engine]", "workers = 1", f'state_dir = "{folder}"', "[[listener]]", 'name = "web"']
    lines += [f'bind = "127.0.0.1:{port}"', 'pool = "app"', "[[pool]]", 'name = "app"']
    lines += ["[pool.health_check]", 'type = "tcp"', 'interval = "500ms"']
    for name, at in ports.items():
        lines += ["[[pool.server]]", f'name = "{name}"', f'address = "127.0.0.1:{at}"']
    configuration = folder / "lbapp.toml"
    configuration.write_text("\n".join(lines) + "\n")
    stop = threading.Event()
    flapping = threading.Thread(target=_flap, args=(ports, random.Random(seed), stop), daemon=True)
    flapping.start()
    arguments = [sys.executable, "-m", "lbapp", "run", "-c", str(configuration), "--socket", str(control)]
    try:
        with Program("lbapp", arguments, folder) as engine:
            engine.wait_for_port(port)
            yield _World(port, control, engine)
    finally:
        stop.set()
        flapping.join(10)


def _flap(ports: dict[str, int], source: random.Random, stop: threading.Event) -> None:
    """Serve at every port, and every now and then let one server go or come back."""
    up = {name: TcpServer(answering(name.encode()), port=port) for name, port in ports.items()}
    try:
        while not stop.wait(source.uniform(0.2, _FLAP_S)):
            name = source.choice(list(ports))
            if name in up:
                up.pop(name).close()
            else:
                with suppress(OSError):  # the port is still closing
                    up[name] = TcpServer(answering(name.encode()), port=ports[name])
    finally:
        for server in up.values():
            server.close()
