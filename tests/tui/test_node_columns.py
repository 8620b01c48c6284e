from __future__ import annotations

from typing import Any

import pytest

from lbapp.tui.glyphs import FULL
from lbapp.tui.listing import View, shown_columns
from lbapp.tui.node_columns import is_problem, node_kind, node_rows, node_symbol
from tests.tui.fleet_double import dns_report, fleet_of, member, member_state, roll, routes_report, three_nodes

NOW = 1_795_860_000.0
DOWN = routes_report()
DOWN["sessions"][0]["is_up"] = False


def test_this_node_stands_first_and_the_others_by_their_names() -> None:
    fleet = fleet_of(member("lb3"), member("node-a"), member("lb2"))
    assert [row.name for row in node_rows(fleet, NOW)] == ["node-a", "lb2", "lb3"]


@pytest.mark.parametrize(
    ("more", "symbol", "tone"),
    [
        ({}, "▲", "good"),
        ({"is_alive": False}, "▼", "bad"),
        ({"state": None}, "·", "plain"),
        ({"state": member_state(ready=False)}, "!", "bad"),
        ({"state": member_state(ready=False, phase="starting")}, "·", "warn"),
    ],
)
def test_state_of_a_node_is_a_symbol_and_a_tone(more: dict[str, Any], symbol: str, tone: str) -> None:
    (row,) = node_rows(fleet_of(member("lb2", **more)), NOW)
    assert node_symbol(row, FULL) == (symbol, tone)


@pytest.mark.parametrize(
    ("more", "configuration"),
    [
        ({"is_alive": False}, roll()),
        ({"state": member_state(ready=False)}, roll()),
        ({"state": member_state(differs=1)}, roll()),
        ({"state": member_state(announce=DOWN)}, roll()),
        ({"state": member_state(dns=dns_report(problem="no"))}, roll()),
        ({}, roll(results={"lb2": "line 4"})),
    ],
)
def test_whatever_is_wrong_with_a_node_is_a_problem(more: dict[str, Any], configuration: Any) -> None:
    well, wrong = (
        node_rows(fleet_of(member("lb2"), configuration=roll()), NOW),
        node_rows(fleet_of(member("lb2", **more), configuration=configuration), NOW),
    )
    assert not is_problem(well[0])
    assert is_problem(wrong[0])


@pytest.mark.parametrize("width", [80, 120, 200])
def test_columns_fit_the_screen_and_leave_the_name_room(width: int) -> None:
    kind = node_kind(FULL)
    columns = shown_columns(kind, View(), width)
    assert sum(cells for _, cells in columns) + len(columns) - 1 <= width
    assert next(cells for index, cells in columns if kind.columns[index].title == "node") >= 14


def test_every_cell_of_every_column_is_text_also_where_a_node_has_said_nothing() -> None:
    kind = node_kind(FULL)
    rows = node_rows(fleet_of(*three_nodes()["members"], member("lb4", state=None, seen_at=0.0, share=None)), NOW)
    for row in rows:
        assert all(isinstance(column.text(row), str) for column in kind.columns)
        assert all(column.tone(row) for column in kind.columns)
    silent = dict(
        zip([column.title for column in kind.columns], [column.text(rows[-1]) for column in kind.columns], strict=True)
    )
    assert {silent[title] for title in ("state", "config", "conn", "req/s", "share", "routes", "dns", "seen")} == {"-"}
