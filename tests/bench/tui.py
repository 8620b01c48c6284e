"""`python -m tests.bench tui`: what an operator's terminal sees of the console, beside other programs that fill one.

Responsible for the engine that is looked at (messages made ahead of time; with `--real` a whole engine without traffic), for the
goals, and for the table. Knows nothing of how a figure is taken. Invariant: one program is measured at a time.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lbapp.control.client import ControlClient
from lbapp.model.errors import LbappError
from tests.bench import tui_console, tui_peers
from tests.bench.process import HOST, BenchError, Program
from tests.bench.stand_in import many_servers
from tests.bench.table import format_table, machine_facts, show_facts, write_json
from tests.bench.tui_console import Effort, Figures, View
from tests.system.terminal import NotShown

_READY_TIMEOUT_S: Final = 60.0
_SMALL: Final = 1_000  # servers up to which the goals of a small node hold


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure that is wanted: at most `small` up to 1,000 servers, `large` above, `narrow` at 80 columns; None: no goal."""

    name: str
    what: str
    figure: str
    small: float | None
    large: float | None = None
    narrow: float | None = None
    per: float = 1.0
    digits: int = 1

    def limit(self, view: View) -> float | None:
        """The goal for one view."""
        if view.servers > _SMALL:
            return self.large
        return self.narrow if view.size[0] <= 80 else self.small


GOALS: Final = (
    Goal("T1", "start to first live row, p50 ms", "start_ms", 450, 650, 450, digits=0),
    Goal("T2 T3", "CPU while live, % of a core", "cpu_percent", 4, 10, 4, digits=2),
    Goal("T7", "output, KiB/s", "bytes_per_s", 20, 20, 8, per=1024),
    Goal("T9", "resident memory, MB", "rss_bytes", 60, 90, 60, per=1e6),
    Goal("", "cursor key to first byte, p50 ms", "cursor_first_p50_ms", None),
    Goal("", "cursor key to first byte, p95 ms", "cursor_first_p95_ms", None),
    Goal("T4", "cursor key to painted, p50 ms", "cursor_painted_p50_ms", 8, None, 8),
    Goal("T4", "cursor key to painted, p95 ms", "cursor_painted_p95_ms", 25, None, 25),
    Goal("T4", "cursor key to painted, max ms", "cursor_painted_max_ms", 60, None, 60),
    Goal("T5", "d to dialog painted, p95 ms", "dialog_p95_ms", 80, None, 80),
    Goal("T5", "/ to filter painted, p95 ms", "filter_p95_ms", 60, None, 60),
    Goal("T5", "key in filter to list painted, p95 ms", "filter_key_p95_ms", 40, None, 40),
    Goal("T6", "screen to screen painted, p95 ms", "switch_p95_ms", 120, None, 120),
    Goal("T20", "longest silence behind a key, ms", "silence_max_ms", 50, 100, 50),
    Goal("T8", "oldest clock at 8 kB/s, s", "age_s_at_8000", 3, 3, 3),
    Goal("T8", "oldest clock at 4 kB/s, s", "age_s_at_4000", 6, 6, 6),
    Goal("T10", "CPU paused, % of a core", "paused_cpu_percent", 0.5, 0.5, 0.5, digits=2),
)


@dataclass(frozen=True, slots=True)
class Options:
    """One run. `servers`: of each node that is looked at; `only`: views and peers, none named: all."""

    servers: tuple[int, ...]
    seconds: int
    only: tuple[str, ...]
    real: bool
    brief: bool
    json: Path | None

    def views(self) -> list[View]:
        """What is measured of the console."""
        found = []
        for servers in self.servers:
            found.append(View(f"lbapp {servers:,}", servers, (120, 40), "xterm-256color"))
            if servers <= _SMALL:
                found.append(View(f"lbapp {servers:,} 80x24", servers, (80, 24), "linux"))
        return [view for view in found if self.is_wanted(view.name)]

    def is_wanted(self, name: str) -> bool:
        """Say whether a view or a peer was asked for: by its name, or by its first word."""
        return not self.only or name in self.only or name.split()[0] in self.only

    def effort(self) -> Effort:
        """How much is done for each figure."""
        return Effort(self.seconds, 6, 2, 0.0) if self.brief else Effort(self.seconds)


def parse(argv: Sequence[str]) -> Options:
    """Read the command line. Exits with status 2 and a sentence when it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench tui", description=__doc__.partition("\n")[0])
    parser.add_argument("--servers", type=_numbers, default=(1_000, 10_000), help="default 1000,10000")
    parser.add_argument("--seconds", type=int, default=20, help="watched without a key (default 20)")
    parser.add_argument("--only", type=_names, default=(), help="lbapp, 'lbapp 1,000 80x24'; hatop; btop; parted by ;")
    parser.add_argument("--real", action="store_true", help="look at a whole engine, without traffic or checks")
    parser.add_argument("--brief", action="store_true", help="a few keys only, and no slow link: to see that it works")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="also write the figures here")
    return Options(**vars(parser.parse_args(argv)))


def _numbers(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.isdigit() and 24 <= int(part) <= 46_655 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} are not numbers of servers from 24 to 46655, parted by commas")
    return tuple(map(int, parts))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(";") if name.strip())


def main(argv: Sequence[str]) -> int:
    """Measure, print the table; return the exit status: 1 if something could not be measured, not if a goal is missed."""
    options = parse(argv)
    views, problems, failures = options.views(), list[str](), list[str]()
    facts = machine_facts({})
    figures: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory(prefix="lbb-") as name:
        for view in views:
            print(f"  {view.name}", file=sys.stderr)
            try:
                with engine(view.servers, Path(name), is_real=options.real) as socket:
                    figures[view.name] = tui_console.measure(view, socket, options.effort())
            except (BenchError, NotShown) as error:
                failures.append(f"{view.name}: {error}")
        for peer in tui_peers.PEERS:
            if not options.is_wanted(peer.name):
                continue
            if peer.missing:
                problems.append(peer.missing)
                continue
            print(f"  {peer.name}", file=sys.stderr)
            servers = min(options.servers[0], _SMALL)
            try:
                figures[peer.name] = tui_peers.measure(peer, Path(name), servers, options.effort())
            except (BenchError, NotShown) as error:
                failures.append(f"{peer.name}: {error}")
    print(f"\n120x40 if not said otherwise; {'a whole engine' if options.real else 'every counter changes at 2 Hz'}")
    print(show_facts(facts) + "\n")
    print(_table([view for view in views if view.name in figures], figures))
    for problem in problems + failures:
        print(f"! {problem}", file=sys.stderr)
    write_json(options.json, "tui", facts, figures)
    return 1 if failures or not figures else 0


def _table(views: Sequence[View], figures: dict[str, Figures]) -> str:
    columns = ["figure", "goal"]
    peers = [name for name in figures if name not in {view.name for view in views}]
    for view in views:
        columns += [view.name, "wanted", "is"]
    rows = []
    for goal in GOALS:
        row = [goal.what, goal.name]
        for view in views:
            row += _cells(goal, goal.limit(view), figures[view.name])
        row += [_cells(goal, None, figures[peer])[0] for peer in peers]
        rows.append(row)
    return format_table([*columns, *peers], rows)


def _cells(goal: Goal, limit: float | None, found: Figures) -> tuple[str, str, str]:
    """Return a figure, what was wanted, and whether it is so."""
    if goal.figure not in found:
        return "-", "-", "-"
    value = found[goal.figure] / goal.per
    text = "never" if math.isinf(value) else f"{value:.{goal.digits}f}"
    return (text, "-", "-") if limit is None else (text, f"{limit:g}", "ok" if value <= limit else "SHORT")


@contextmanager
def engine(servers: int, folder: Path, *, is_real: bool) -> Iterator[Path]:
    """Run what the console looks at until the block ends; yield its control socket. Raises BenchError."""
    with tempfile.TemporaryDirectory(dir=folder) as name, ExitStack() as stack:
        home, socket = Path(name), Path(name) / "c.sock"
        if is_real:
            arguments = ["-m", "lbapp", "run", "-c", str(_configuration(servers, home)), "--socket", str(socket)]
        else:
            arguments = ["-m", "tests.bench.stand_in", str(socket), str(servers)]
        stack.enter_context(Program("engine", [sys.executable, *arguments], home))
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while not _answers(socket):
            if time.monotonic() > deadline:
                raise BenchError(f"no engine answers on {socket} after {_READY_TIMEOUT_S:.0f} s; see its output.log")
            time.sleep(0.1)
        yield socket


def _answers(socket: Path) -> bool:
    try:
        with ControlClient(socket) as client:
            return client.status()["engine"]["phase"] == "serving"
    except LbappError:
        return False


def _configuration(servers: int, folder: Path) -> Path:
    pools: dict[str, list[str]] = {}
    for one in many_servers(servers):
        pools.setdefault(one["pool"], []).append(
            f'[[pool.server]]\nname = "{one["name"]}"\naddress = "{one["address"]}"\n'
        )
    text = (
        f'[engine]\nworkers = 1\nstate_dir = "{folder}"\n[[listener]]\nname = "web"\nbind = "{HOST}:0"\npool = "p01"\n'
    )
    for pool, listed in pools.items():
        text += f'[[pool]]\nname = "{pool}"\n[pool.health_check]\ntype = "none"\n{"".join(listed)}'
    path = folder / "lbapp.toml"
    path.write_text(text)
    return path
