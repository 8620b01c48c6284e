"""`python -m tests.bench hands`: whatever hands do at the console changes what was meant, and nothing else.

Responsible for how often each is done, and for the table. Knows nothing of how it is done: `tests/system/hands.py` does it in a
terminal over a real engine, `tests/tui/hands.py` before an engine that changes under the console. Invariant: what went wrong is
printed whole, and makes the exit status 1.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from textual.pilot import Pilot

from lbapp.control.client import ControlClient
from lbapp.tui.app import LbappConsole
from tests.bench import keys
from tests.bench.cpu import cpu_between, read_cpu
from tests.bench.table import format_table, machine_facts, show_facts, write_json
from tests.bench.tui_console import command
from tests.system.hands import draft_of, take_back, type_bursts, write_keys
from tests.system.harness import Engine, listener_toml, pool_toml, running_engine, servers
from tests.system.terminal import Terminal
from tests.tui import hands
from tests.tui.engine_double import EngineDouble, answering, server

KEY_MS_MAX: Final = 50.0
_LINES: Final = (1_000, 10_000)  # of a configuration: the most that is highlighted, and many more
_SETTLE_S: Final = 0.1
_ABOVE, _BELOW = 2, 3  # lines of a screen around what is edited
_PARTS: Final = ("bursts", "dialogs", "undo", "target", "editor")


@dataclass(slots=True)
class Result:
    """What one goal came to. `tried`: how often; `figure`: what was measured, empty where only wrong ones count."""

    goal: str
    what: str
    tried: int
    figure: str = ""
    wrong: list[str] = field(default_factory=list)


def main(argv: Sequence[str]) -> int:
    """Do everything as often as is asked, print the table; return the exit status: 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench hands", description=__doc__.partition("\n")[0])
    parser.add_argument("--bursts", type=int, default=1_000, help="typed behind / w : (default 1000)")
    parser.add_argument("--dialogs", type=int, default=20, help="times every dialog gets Enter at once (default 20)")
    parser.add_argument("--undos", type=int, default=120, help="changes that are taken back (default 120)")
    parser.add_argument(
        "--changes", type=int, default=10_000, help="of the list while something is asked (default 10000)"
    )
    parser.add_argument("--keys", type=int, default=200, help="written into each draft (default 200)")
    parser.add_argument("--seed", type=int, default=1, help="of everything (default 1)")
    parser.add_argument("--only", choices=_PARTS, action="append", help="may be repeated; none: all")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="also write the figures here")
    options = parser.parse_args(argv)
    facts, wanted = machine_facts({}), options.only or _PARTS
    found = [result for part in wanted for result in _MADE[part](options)]
    print(show_facts(facts) + "\n")
    rows = [(each.goal, each.what, str(each.tried), each.figure, str(len(each.wrong))) for each in found]
    print(format_table(("goal", "what", "tried", "measured", "wrong"), rows))
    wrong = [f"{each.goal} {what}" for each in found for what in each.wrong]
    for what in wrong:
        print(f"! {what}", file=sys.stderr)
    write_json(options.json, "hands", facts, [asdict(each) for each in found])
    return 1 if wrong else 0


@contextmanager
def _at_an_engine(term: str = "xterm-256color") -> Iterator[tuple[Engine, ControlClient, Terminal]]:
    """Run an engine of three servers with a console before it."""
    size = (80, 24) if term == "linux" else (120, 40)
    with tempfile.TemporaryDirectory(prefix="lbb-") as name, servers() as ports:
        env = {"XDG_STATE_HOME": f"{name}/state"}
        with (
            running_engine(Path(name), listener_toml("app") + pool_toml("app", ports), workers=1) as engine,
            engine.client() as client,
            Terminal(command(engine.control), size=size, term=term, env=env) as terminal,
        ):
            terminal.wait_for("LIVE", timeout_s=30)
            yield engine, client, terminal


def _bursts(options: argparse.Namespace) -> list[Result]:
    found = Result("T15", "50 random keys behind / w :", 0)
    with _at_an_engine() as (_, client, terminal):
        for burst in type_bursts(terminal, random.Random(options.seed), options.bursts):
            found.tried += 1
            if done := client.changes(1)["actions"]:
                found.wrong.append(f"{burst!r}: {done[-1]}")
                break
    return [found]


def _undos(options: argparse.Namespace) -> list[Result]:
    with _at_an_engine() as (_, client, terminal):
        done = list(take_back(terminal, client, random.Random(options.seed), options.undos))
    return [Result("T17", "changes taken back by z", len(done), wrong=[each for each in done if each.startswith("!")])]


def _editor(options: argparse.Namespace) -> list[Result]:
    found = []
    for lines in _LINES:
        with _at_an_engine() as (engine, _, terminal):
            path = Path(engine.status()["engine"]["configuration_path"])
            with draft_of(terminal, path, lines):
                answers, pids = [], [terminal.process.pid]
                before = read_cpu(pids)
                for key in write_keys(random.Random(options.seed), options.keys):
                    answers.append(keys.press(terminal, key, lambda: _of_text(terminal)))
                    terminal.pump_for(_SETTLE_S)
                cpu_ms = cpu_between(before, read_cpu(pids)) / 1e6 / options.keys
        times = [each for each in (answer.painted_ms for answer in answers) if each is not None]
        times.sort()
        p50, p95, most = (keys.at(times, part) for part in (0.5, 0.95, 1.0))
        wrong = [f"95 % of {lines} lines: {p95:.0f} ms"] if p95 > KEY_MS_MAX else []
        # Its own time, in which the screen goes on, is what stays the same on a busy machine.
        figure = f"p50 {p50:.0f}, p95 {p95:.0f}, max {most:.0f} ms; CPU {cpu_ms:.0f} ms a key"
        found.append(Result("T21", f"keys in a draft of {lines:,} lines", len(times), figure, wrong))
    return found


def _of_text(terminal: Terminal) -> object:
    """Return what a key in the draft changes: the text, and where its cursor is; not the clock above, which goes on meanwhile."""
    rows = range(_ABOVE, len(terminal.lines) - _BELOW)
    cursor = (terminal.screen.cursor.x, terminal.screen.cursor.y)
    return [terminal.lines[row] for row in rows], cursor, [row for row in terminal.highlighted() if row in rows]


def _dialogs(options: argparse.Namespace) -> list[Result]:
    found = _before_a_double(lambda pilot, double: hands.enter_at_once(pilot, double, options.dialogs))
    return [Result("T16", "dialogs with Enter at once", found.tried, wrong=found.wrong)]


def _target(options: argparse.Namespace) -> list[Result]:
    chance = random.Random(options.seed)
    found = _before_a_double(lambda pilot, double: hands.change_while_asking(pilot, double, chance, options.changes))
    what = "lists changed while something is asked"
    return [Result("T18", what, found.tried, f"{found.done} changes by the console", found.wrong)]


def _before_a_double(do: Callable[[Pilot[None], EngineDouble], Awaitable[hands.Found]]) -> hands.Found:
    async def run(folder: Path) -> hands.Found:
        double = EngineDouble([server("app", f"s{number}", 10.0 * number) for number in range(1, 6)])
        with answering(double, folder / "c.sock"):
            async with LbappConsole(folder / "c.sock").run_test(size=(80, 24)) as pilot:
                return await do(pilot, double)

    with tempfile.TemporaryDirectory(prefix="lbb-") as name:
        return asyncio.run(run(Path(name)))


_MADE: Final[dict[str, Callable[[argparse.Namespace], list[Result]]]] = {
    "bursts": _bursts, "dialogs": _dialogs, "undo": _undos, "target": _target, "editor": _editor,
}  # fmt: skip
