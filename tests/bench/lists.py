"""`python -m tests.bench lists`: what a tick of the console's list of servers costs, and how that grows with the list.

Responsible for timing filter, order and drawing at 120x40, with every figure changing from tick to tick. Knows nothing of
engines or terminals. Invariant: what makes the figures change is not timed.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from statistics import median
from time import process_time_ns

from textual.app import App, ComposeResult
from textual.geometry import Region

from lbapp.tui.glyphs import FULL
from lbapp.tui.listing import View
from lbapp.tui.scene import ServerRow, Target
from lbapp.tui.server_columns import Context, server_kind
from lbapp.tui.widgets.table import LineTable

_SIZES = (1_000, 10_000)
_TICKS = 15
_NOW = 1_700_000_000.0
_SORT = "req/s"
_FILTERS = ("", "p99>20ms", "pool:pool-1 or state:down", "/s-[0-9]*7 /")


class _OneTable(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.table: LineTable[ServerRow] = LineTable(
            server_kind(Context(FULL, lambda _: (1.0, 2.0, 3.0), lambda: _NOW)), id="table"
        )

    def compose(self) -> ComposeResult:
        yield self.table


def _rows(number: int, source: random.Random) -> list[ServerRow]:
    rows = []
    for at in range(number):
        pool, name = f"pool-{at // 40}", f"s-{at:05}"
        rows.append(ServerRow(id=f"{pool}/{name}", target=Target(pool, name), pool=pool, name=name))
        rows[-1].address, rows[-1].weight, rows[-1].connections_max = f"10.0.{at // 250}.{at % 250}:8080", 100, 650
        is_up = source.random() > 0.02
        rows[-1].health, rows[-1].is_eligible = ("up", True) if is_up else ("down", False)
        rows[-1].health_since = _NOW - 1_000.0
    return rows


def _change(rows: Sequence[ServerRow], source: random.Random) -> None:
    for row in rows:
        row.connections, row.in_flight = source.randrange(650), source.randrange(650)
        row.requests_per_s, row.error_rate = source.random() * 400, source.random() / 40
        row.p50, row.p99 = source.random() * 20, source.random() * 200


async def _tick_ms(number: int, sort: str, text: str) -> float:
    source, app = random.Random(number), _OneTable()
    async with app.run_test(size=(120, 40)):
        table, rows = app.table, _rows(number, source)
        titles = [column.title for column in table.kind.columns]
        table.look(View(sort=titles.index(sort) if sort else None, is_reversed=bool(sort), text=text))
        costs = []
        for _ in range(_TICKS):
            _change(rows, source)
            started = process_time_ns()
            table.show(rows)
            table.render_lines(Region(0, 0, 120, 40))
            costs.append((process_time_ns() - started) / 1e6)
    return median(costs)


def main(argv: Sequence[str]) -> int:
    """Print the table; `argv` is not used."""
    del argv
    print(f"\nCPU ms of one tick of the list of servers at 120x40, median of {_TICKS}")
    print(f"{'sorted by':12}{'filter':28}" + "".join(f"{size:>9,}" for size in _SIZES))
    for sort in ("", _SORT):
        for text in _FILTERS:
            costs = [asyncio.run(_tick_ms(size, sort, text)) for size in _SIZES]
            print(f"{sort or 'status':12}{text or '-':28}" + "".join(f"{cost:9.1f}" for cost in costs))
    return 0
