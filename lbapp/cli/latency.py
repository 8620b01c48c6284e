"""The verb `latency`: percentiles over a window.

Responsible for what it prints: plain tables that fit 80 columns and are the same in a pipe. Knows nothing of how figures are
made. Invariant: it changes nothing.
"""

from __future__ import annotations

from typing import Final, cast

import click

from lbapp.cli.complete import complete_pools
from lbapp.cli.context import Settings, engine, json_option, say, say_json, socket_option
from lbapp.cli.format import count, duration, milliseconds, share, table
from lbapp.control.latency import LatencyOf, LatencyReport, PhaseLatency

_WINDOWS: Final = {"10s": 10.0, "1m": 60.0, "5m": 300.0}
_PHASES: Final = ("queue", "connect", "first_byte", "total")
_COLUMNS: Final = ("WHAT", "COUNT", "P50", "P90", "P99", "P99.9")
_RIGHT: Final = frozenset(range(2, 7))


@click.command()
@click.argument("pool", required=False, shell_complete=complete_pools)
@click.option(
    "--window", type=click.Choice(list(_WINDOWS)), default="1m", show_default=True, help="How far it goes back."
)
@json_option
@socket_option
@click.pass_obj
def latency(settings: Settings, pool: str | None, window: str) -> None:
    """Show where the time goes: percentiles of queue, connect, first byte and total."""
    with engine(settings) as client:
        found = client.latency(_WINDOWS[window], pool)
    if settings.as_json:
        say_json(found)
    else:
        say(_report(found))


def _report(found: LatencyReport) -> str:
    parts = [f"the last {duration(found['window_s'])}"]
    if found["listeners"]:
        rows = [row for each in found["listeners"] for row in _rows(each, each["name"])]
        parts.append(table(("LISTENER", *_COLUMNS), rows, _RIGHT))
    for pool in found["pools"]:
        rate = f"{count(pool['requests_per_s'])} requests/s, {share(pool['error_rate'])} errors"
        rows = [*_rows(pool, "all"), *(row for server in pool["servers"] for row in _rows(server, server["name"]))]
        parts.append(f"pool {pool['name']}: {rate}\n" + table(("SERVER", *_COLUMNS), rows, _RIGHT))
    return "\n\n".join(parts)


def _rows(one: LatencyOf, name: str) -> list[tuple[str, ...]]:
    """Return a row for each phase that something was measured of, at least that of the whole."""
    rows: list[tuple[str, ...]] = []
    for phase in _PHASES:
        measured = cast(dict[str, PhaseLatency], one)[phase]
        if measured["count"] or phase == "total":
            figures = (measured["p50"], measured["p90"], measured["p99"], measured["p999"])
            rows.append(
                ("" if rows else name, phase.replace("_", " "), count(measured["count"]), *map(milliseconds, figures))
            )
    return rows
