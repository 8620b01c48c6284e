"""`python -m tests.bench tui`: what an operator's terminal sees of the console, beside other programs that fill one.

Responsible for the command line, for the goals and for the table. Knows nothing of how a figure is taken. Invariant: one program
is measured at a time.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench import tui_console, tui_peers
from tests.bench.process import BenchError
from tests.bench.table import format_table, machine_facts, show_facts, write_json
from tests.bench.tui_console import Effort, Figures, View
from tests.bench.tui_engine import LookedAt
from tests.system.terminal import NotShown

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
    Goal("T19", "engine killed to STALE, s", "stale_s", 2, 2, 2, digits=2),
    Goal("T19", "engine back to LIVE, s", "live_again_s", 1, 1, 1, digits=2),
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
        return Effort(1, self.seconds, 6, 2, 0.0) if self.brief else Effort(seconds=self.seconds)


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
        for number, view in enumerate(views):
            print(f"  {view.name}", file=sys.stderr)
            try:
                home = Path(name) / str(number)
                home.mkdir()
                with LookedAt(view.servers, home, is_real=options.real) as looked_at:
                    figures[view.name] = tui_console.measure(view, looked_at, options.effort())
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
