"""The table of pools: its columns, what a filter may name, and which pools stand first.

Responsible for the state of a pool in a symbol and in a note that says why. Knows nothing of drawing or sorting.
Invariant: a pool that is not as it should be has a note, and what is worst in it stands first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from lbapp.tui.attention import pool_health
from lbapp.tui.columns import error_tone, figure_fields, has_many_errors, is_standby
from lbapp.tui.filtering import Field, Number, Words
from lbapp.tui.format import brief_duration, count, milliseconds, share
from lbapp.tui.glyphs import Glyphs, Tone, sparkline, state_of
from lbapp.tui.listing import Column, Kind
from lbapp.tui.scene import PoolRow, ServerRow
from lbapp.tui.server_columns import Context
from lbapp.tui.trends import condensed

_WIDE: Final = 100
_RANKS: Final[dict[Tone, int]] = {"bad": 0, "warn": 1, "calm": 2}
_FINE: Final = 3


def pool_kind(context: Context) -> Kind[PoolRow]:
    """Return what the table of pools shows."""
    return Kind(
        _columns(context),
        lambda p: p.name,
        is_pool_problem,
        lambda p: f"{p.name} {p.algorithm}",
        rank=lambda p: _rank(p, context.glyphs),
        fields=_fields(context),
    )


def is_pool_problem(pool: PoolRow) -> bool:
    """Say whether a pool is not whole, or fails many requests."""
    return pool_health(pool) != "good" or has_many_errors(pool)


def pool_state(pool: PoolRow, glyphs: Glyphs) -> tuple[str, Tone]:
    """Return the symbol of a pool's state, and its tone; its word is the note's first."""
    if pool.is_in_panic or pool.served_by == "" or (pool.total and not pool.eligible):
        return glyphs.down, "bad"
    if not is_pool_problem(pool):
        return glyphs.up, "good"
    admins = {each.admin for each in pool.servers if not each.is_eligible and not is_standby(each)}
    is_served = pool.served_by in (None, pool.name) and not pool.is_on_backups and pool.waiting_since is None
    if is_served and not has_many_errors(pool) and admins and "ready" not in admins:
        return (glyphs.drain, "warn") if "drain" in admins else (glyphs.maint, "calm")
    return glyphs.over, "warn"


def pool_note(pool: PoolRow, context: Context) -> str:
    """Return why a pool is as it is, the worst first; empty where all is well."""
    return ", ".join(_notes(pool, context))


def _notes(pool: PoolRow, context: Context) -> Iterator[str]:
    if pool.served_by == "":
        yield "503 for all"
    elif pool.served_by not in (None, pool.name):
        yield f">{pool.served_by}"
    if pool.is_in_panic:
        yield "PANIC"
    if pool.is_on_backups:
        yield "on backups"
    if pool.waiting_since is not None:
        yield f"waits {brief_duration(context.now() - pool.waiting_since)}"
    out = [each for each in pool.servers if not each.is_eligible and not is_standby(each)]
    words = Counter(_word(each, context) for each in out)
    for word in sorted(words, key=lambda word: (word in ("DRAIN", "MAINT"), word)):
        yield f"{words[word]} {word}{_by(out, word)}"
    if has_many_errors(pool):
        yield "errors"
    if not pool.is_published:
        yield "unpublished"


def _word(server: ServerRow, context: Context) -> str:
    """Return the first word of a server's state."""
    if server.weight == 0 and server.admin == "ready" and server.health != "down":
        return "WEIGHT 0"
    return (
        server.admin.upper()
        if server.admin != "ready"
        else state_of(server, context.glyphs, context.now())[0].split()[1]
    )


def _by(out: list[ServerRow], word: str) -> str:
    """Return who wanted that of these servers, where it was one."""
    people = {each.changed_by for each in out if each.admin.upper() == word}
    return f" by {next(iter(people))}" if len(people) == 1 and "" not in people else ""


def _rank(pool: PoolRow, glyphs: Glyphs) -> int:
    return _RANKS.get(pool_state(pool, glyphs)[1], _FINE)


def _columns(context: Context) -> list[Column[PoolRow]]:
    glyphs = context.glyphs

    def tone(pool: PoolRow) -> Tone:
        return pool_state(pool, glyphs)[1]

    def trend(pool: PoolRow) -> str:
        return sparkline(condensed(context.past(pool.name), 10, 6), 10, glyphs)

    return [
        Column("st", 2, lambda p: pool_state(p, glyphs)[0], lambda p: _rank(p, glyphs), is_right=False, tone=tone),
        Column("pool", 0, lambda p: p.name, lambda p: p.name, is_right=False),
        Column("up/all", 7, lambda p: f"{p.eligible}/{p.total}", lambda p: p.eligible, tone=tone),
        Column("algorithm", 20, lambda p: p.algorithm, lambda p: p.algorithm, is_right=False, screen_width_min=_WIDE),
        Column("conn", 5, lambda p: count(p.connections), lambda p: p.connections),
        Column("req/s", 5, lambda p: count(p.requests_per_s), lambda p: p.requests_per_s),
        Column("q", 4, lambda p: count(p.queued), lambda p: p.queued, tone=lambda p: "warn" if p.queued else "plain"),
        Column("p50", 5, lambda p: milliseconds(p.p50), lambda p: p.p50),
        Column("p99", 5, lambda p: milliseconds(p.p99), lambda p: p.p99),
        Column("err%", 5, lambda p: share(p.error_rate), lambda p: p.error_rate, tone=error_tone),
        Column("last 30s", 10, trend, lambda p: p.requests_per_s, is_right=False, screen_width_min=_WIDE),
        Column(
            "note",
            0,
            lambda p: pool_note(p, context),
            lambda p: pool_note(p, context) or None,
            is_right=False,
            tone=tone,
        ),
    ]


def _fields(context: Context) -> dict[str, Field[PoolRow]]:
    return {
        "pool": Words(lambda p: p.name),
        "algorithm": Words(lambda p: p.algorithm),
        "note": Words(lambda p: pool_note(p, context)),
        "up": Number(lambda p: p.eligible),
        "all": Number(lambda p: p.total),
        "q": Number(lambda p: p.queued),
        **figure_fields(),
    }
