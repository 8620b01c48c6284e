from __future__ import annotations

from dataclasses import replace

import pytest

from lbapp.tui.glyphs import FULL
from lbapp.tui.listing import View, arrange, filter_of, shown_columns
from lbapp.tui.pool_columns import is_pool_problem, pool_kind, pool_note, pool_state
from lbapp.tui.scene import PoolRow, ServerRow
from lbapp.tui.server_columns import Context
from lbapp.tui.staging import scene_of
from tests.tui.engine_double import server, status

NOW = 1_700_000_100.0
CONTEXT = Context(FULL, lambda _id: (1.0,), lambda: NOW)
KIND = pool_kind(CONTEXT)


def pool(*changes: dict[str, object], **more: object) -> PoolRow:
    """Return a pool of three servers, the first ones changed."""
    found = scene_of(status([server("app", f"s{number}") for number in (1, 2, 3)])).pools[0]
    servers: list[ServerRow] = list(found.servers)
    for place, change in enumerate(changes):
        servers[place] = replace(servers[place], **change)  # type: ignore[arg-type]  # names of its fields
    left = sum(each.is_eligible for each in servers)
    return replace(found, **{"servers": servers, "eligible": left, **more})  # type: ignore[arg-type]  # as above


DOWN = {"health": "down", "is_eligible": False}
DRAIN = {"admin": "drain", "is_eligible": False, "changed_by": "bob"}
MAINT = {"admin": "maint", "is_eligible": False, "changed_by": "bob"}


@pytest.mark.parametrize(
    ("one", "symbol", "note"),
    [
        (pool(), "▲", ""),
        (pool(DOWN, DOWN), "!", "2 DOWN"),
        (pool(DOWN, DRAIN), "!", "1 DOWN, 1 DRAIN by bob"),
        (pool(DRAIN, DRAIN), "▶", "2 DRAIN by bob"),
        (pool(DRAIN, DRAIN | {"changed_by": "eve"}), "▶", "2 DRAIN"),
        (pool(MAINT), "■", "1 MAINT by bob"),
        (pool(MAINT, DRAIN), "▶", "1 DRAIN by bob, 1 MAINT by bob"),
        (pool(DOWN, DOWN, DOWN, served_by=""), "▼", "503 for all, 3 DOWN"),
        (pool(DOWN, DOWN, DOWN, served_by="spare"), "▼", ">spare, 3 DOWN"),
        (pool(DOWN, DOWN, is_in_panic=True), "▼", "PANIC, 2 DOWN"),
        (pool(is_on_backups=True), "!", "on backups"),
        (pool(waiting_since=NOW - 12), "!", "waits 12s"),
        (pool({"weight": 0, "is_eligible": False}), "!", "1 WEIGHT 0"),
        (pool({"ejected": "5 of 5 failed", "is_eligible": False}), "!", "1 EJECTED"),
        (pool(error_rate=0.3), "!", "errors"),
        (pool(is_published=False), "▲", "unpublished"),
    ],
)
def test_state_of_a_pool_has_a_symbol_and_a_note_that_says_why(one: PoolRow, symbol: str, note: str) -> None:
    assert (pool_state(one, FULL)[0], pool_note(one, CONTEXT)) == (symbol, note)
    assert is_pool_problem(one) is (symbol != "▲")


def test_backup_that_is_not_needed_leaves_a_pool_whole() -> None:
    assert not is_pool_problem(pool({"is_backup": True, "is_eligible": False}))
    assert is_pool_problem(pool({"is_backup": True, "is_eligible": False, "health": "down"}))


def test_pools_with_problems_stand_first_and_all_else_as_configured() -> None:
    pools = [
        pool(name="fine", served_by=None),
        pool(MAINT, name="maint", served_by=None),
        pool(DOWN, name="degraded", served_by=None),
        pool(DOWN, DOWN, DOWN, name="dead", served_by=""),
        pool(name="also-fine", served_by=None),
    ]
    shown = [each.name for each in arrange(pools, KIND, View(), filter_of("", KIND))]
    assert shown == ["dead", "degraded", "maint", "fine", "also-fine"]


@pytest.mark.parametrize("width", [80, 120])
def test_all_columns_fit(width: int) -> None:
    shown = shown_columns(KIND, View(), width)
    assert sum(cells for _, cells in shown) + len(shown) - 1 == width
    titles = [KIND.columns[index].title for index, _ in shown]
    narrow = ["st", "pool", "up/all", "conn", "req/s", "q", "p50", "p99", "err%", "note"]
    assert [title for title in titles if title in narrow] == narrow
    assert (set(titles) - set(narrow)) == (set() if width == 80 else {"algorithm", "last 30s"})


def test_every_column_has_a_text_and_what_is_not_known_is_a_dash() -> None:
    unknown = PoolRow(name="app")
    assert [column.text(unknown) for column in KIND.columns][1:8] == ["app", "0/0", "", "-", "-", "-", "-"]
    for column in KIND.columns:
        column.order(unknown)
        assert column.text(pool(DOWN, queued=3))


def test_filter_can_name_what_is_shown() -> None:
    wanted = filter_of("pool:app algorithm:round note:down up=2 all=3 q>1 conn>1 err<2", KIND)
    assert (wanted.problem, wanted.matches(pool(DOWN, queued=2))) == ("", True)
    assert not filter_of("note:down", KIND).matches(pool())
