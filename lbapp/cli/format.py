"""Figures and tables as the command line prints them.

Responsible for the width, unit and absence of a figure. Knows nothing of where figures come from. Invariant: what is
unknown is printed as `-`, never as 0; what the operator wants and what checks found stay two words.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from lbapp.control.messages import AgentStatus, ServerStatus


def milliseconds(value: float | None) -> str:
    """Return a latency, given in milliseconds, with its unit."""
    if value is None:
        return "-"
    if value < 10:
        return f"{value:.1f}ms"
    return f"{value:.0f}ms" if value < 10_000 else f"{value / 1000:.0f}s"


def count(value: float) -> str:
    """Return a count or rate in at most five characters."""
    if value >= 9_999_500:
        return f"{value / 1_000_000:.0f}M"
    if value >= 99_999.5:
        return f"{value / 1000:.0f}K"
    return f"{value:.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


def share(value: float | None) -> str:
    """Return a share of 1 as per cent."""
    if value is None:
        return "-"
    return f"{value * 100:.0f}%" if value in (0.0, 1.0) else f"{value * 100:.1f}%"


def duration(seconds: float) -> str:
    """Return a duration in its two largest units."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"


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
