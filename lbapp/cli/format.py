"""Figures and tables as the command line prints them.

Responsible for latencies as they stand in its tables, for what is said of a server, and for aligned lines; counts, shares
and times are those of `control.figures`. Knows nothing of where figures come from. Invariant: what is unknown is printed as
`-`, never as 0; what the operator wants and what checks found stay two words.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from lbapp.control.figures import count as count
from lbapp.control.figures import duration as duration
from lbapp.control.figures import share as share
from lbapp.control.messages import AgentStatus, ServerStatus


def milliseconds(value: float | None) -> str:
    """Return a latency, given in milliseconds, with its unit."""
    if value is None:
        return "-"
    if value < 10:
        return f"{value:.1f}ms"
    return f"{value:.0f}ms" if value < 10_000 else f"{value / 1000:.0f}s"


def admin(server: ServerStatus) -> str:
    """Return what the operator wants of a server, with how far its drain is."""
    drain = server["drain"]
    if server["admin"] != "drain" or drain is None:
        return server["admin"].upper()
    if drain["phase"] == "draining":
        return f"DRAIN {duration(drain['remaining_s'])}"
    return drain["phase"].upper()


def note(server: ServerStatus) -> str:
    """Return what a server is beside up with the weight of its file; empty when it is that."""
    parts = []
    if server["health"] == "down":
        parts.append(server["health_reason"] or "down")
    if server["is_leaving"]:
        parts.append("not found any more, finishes")
    if server["ejected"]:
        parts.append(f"ejected: {server['ejected']}")
    if server["no_new_clients"]:
        parts.append(server["no_new_clients"])
    if server["share_percent"] < 100:
        parts.append(f"slow start, {server['share_percent']:.0f}% of its weight")
    parts += _by_agent(server["agent"])
    if server["is_backup"]:
        parts.append("backup")
    if server["connections_max"]:
        parts.append(f"at most {server['connections_max']}")
    if server["ramp"] is not None:
        until = time.strftime("%H:%M:%S", time.localtime(server["ramp"]["until"]))
        parts.append(f"goes to weight {server['ramp']['after']} until {until}")
    if server["weight"] != server["configured_weight"]:
        parts.append(f"weight {server['configured_weight']} in file")
    return "; ".join(parts)


def _by_agent(agent: AgentStatus | None) -> list[str]:
    """Return the share of its weight and the limit that a server's agent asks for, where it does."""
    if agent is None:
        return []
    parts = [f"{agent['percent']}% of its weight by its agent"] if agent["percent"] != 100 else []
    return [*parts, f"at most {agent['connections_max']} by its agent"] if agent["connections_max"] else parts


def table(header: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[int]) -> str:
    """Return aligned lines; the columns in `right` are flush right."""
    every = [header, *rows]
    widths = [max(len(row[column]) for row in every) for column in range(len(header))]
    lines = []
    for row in every:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(" ".join(cells).rstrip())
    return "\n".join(lines)
