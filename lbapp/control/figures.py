"""Figures as people read them, the same on the command line and in the console: counts, shares, times.

Responsible for the width, unit and absence of a figure. Knows nothing of where figures come from. Invariant: what is unknown is
`-`, never 0; a count or a share has at most five characters.
"""

from __future__ import annotations


def count(value: float | None) -> str:
    """Return a count or rate in at most five characters."""
    if value is None:
        return "-"
    if value >= 9_999_500:
        return f"{value / 1_000_000:.0f}M"
    if value >= 99_999.5:
        return f"{value / 1000:.0f}K"
    return f"{value:.0f}" if value >= 9.95 or value == int(value) else f"{value:.1f}"


def share(value: float | None) -> str:
    """Return a share of 1 as per cent, in at most five characters."""
    if value is None:
        return "-"
    return f"{value * 100:.0f}%" if value in (0.0, 1.0) else f"{value * 100:.1f}%"


def duration(seconds: float) -> str:
    """Return a duration in its two largest units; 0s where it is negative."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"
