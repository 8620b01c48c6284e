"""What is said of one pool above its servers.

Responsible for the line that leads there, and for the lines beside the graphs. Knows nothing of widgets. Invariant: what is not
known is `-`; of the line that leads there, what matters more stands further left.
"""

from __future__ import annotations

from collections.abc import Sequence

from lbapp.tui.attention import tally
from lbapp.tui.format import brief_duration, count
from lbapp.tui.glyphs import Glyphs
from lbapp.tui.scene import PoolRow


def crumb(name: str, pool: PoolRow | None, glyphs: Glyphs, *, has_panel: bool) -> str:
    """Return the way to a pool, and how it is. With a panel below, that says the figures, and here stands the rule."""
    way = f" Pools > {name}"
    if pool is None:
        return f"{way}  is not there any more"
    if not has_panel:
        numbers = " ".join(f"{symbol}{number:,}" for symbol, _, number in states(pool, glyphs))
        words = [way, pool.algorithm, numbers, f"{rotation(pool)} in rotation"]
        words += [] if pool.queued is None else [f"Q {count(pool.queued)}"]
        return "  ".join([*words, f"{count(pool.requests_per_s)} req/s"])
    parts = [way.removeprefix(" "), pool.algorithm]
    parts += [f"persistence {pool.persistence}"] if pool.persistence else []
    parts += [f"failover {pool.failover}"] if pool.failover else []
    parts += [f"found as {pool.discovered_as}"] if pool.discovered_as else []
    parts += [] if pool.is_published else ["unpublished"]
    return " " + "   ".join(parts)


def states(pool: PoolRow, glyphs: Glyphs) -> list[tuple[str, str, int]]:
    """Return symbol, word and number of the servers in each state; UNKNOWN only where there are any."""
    found = tally(pool.servers)
    numbers = [
        (glyphs.up, "UP", found.up),
        (glyphs.down, "DOWN", found.down),
        (glyphs.drain, "DRAIN", found.drain),
        (glyphs.maint, "MAINT", found.maint),
    ]
    return [*numbers, (glyphs.unknown, "UNKNOWN", found.unknown)] if found.unknown else numbers


def rotation(pool: PoolRow) -> str:
    """Return how much of the weight of all its servers may get new clients."""
    whole = sum(each.weight for each in pool.servers)
    return f"{sum(each.weight for each in pool.servers if each.is_eligible) * 100 / whole:.0f}%" if whole else "-"


def pool_facts(pool: PoolRow, glyphs: Glyphs, now: float, width: int) -> Sequence[str]:
    """Return the five lines beside the graphs, the first one a rule of `width` cells."""
    waits = "" if pool.waiting_since is None else f", the first for {brief_duration(now - pool.waiting_since)}"
    room = "" if not pool.queue_max else f" of {count(pool.queue_max)}"
    queue = "no queue" if pool.queued is None else f"queue {count(pool.queued)}{room}{waits}"
    limit = f" of {count(pool.connections_max)}" if pool.connections_max else ""
    served = "" if pool.served_by in (None, pool.name) else f"   served by {pool.served_by or 'nobody: 503'}"
    title = f"{glyphs.rule} Pool {pool.name} "
    return (
        title + glyphs.rule * max(0, width - len(title)),
        "  " + "   ".join(f"{symbol} {word} {number:,}" for symbol, word, number in states(pool, glyphs)),
        f"  in rotation {pool.eligible:,} of {pool.total:,} = {rotation(pool)} of weight{served}",
        f"  {queue}   retries {count(pool.retries_total)}",
        f"  conns {count(pool.connections)}   in flight {count(pool.in_flight)}{limit}   req/s {count(pool.requests_per_s)}",
    )
