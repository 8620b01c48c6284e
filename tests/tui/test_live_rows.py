"""Figures that are taken apart when somebody looks."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.control.live import packed
from lbapp.tui.live_rows import COLUMNS_READ, Columns, LiveServer
from lbapp.tui.scene import ServerRow, Target

ROWS = 5
NAMES = ("a", "b")
figure = st.one_of(st.none(), st.integers(0, 10**12), st.floats(0, 1e6))
some_rows = st.lists(st.tuples(st.integers(0, ROWS - 1), figure, figure), max_size=ROWS, unique_by=lambda row: row[0])


def line(rows: list[tuple[int, Any, Any]]) -> Any:
    """Return what a line says of some rows: of all of them without their numbers, as the engine does."""
    rows = sorted(rows, key=lambda row: row[0])
    found: dict[str, Any] = {"values": packed([row[1:] for row in rows], len(NAMES))}
    return found if len(rows) == ROWS else {**found, "rows": [row[0] for row in rows]}


@given(st.lists(st.tuples(some_rows, st.sampled_from(("", *NAMES))), max_size=12))
def test_columns_have_the_newest_of_every_row_whenever_they_are_looked_at(steps: list[tuple[Any, str]]) -> None:
    columns = Columns(NAMES, ROWS)
    expected: dict[str, list[Any]] = {name: [None] * ROWS for name in NAMES}
    for rows, looked_at in steps:
        if rows:
            columns.take(json.loads(json.dumps(line(rows))))
        for row, *values in rows:
            for name, value in zip(NAMES, values, strict=True):
                expected[name][row] = value
        if looked_at:
            assert getattr(columns, looked_at) == expected[looked_at]
    assert (columns.a, columns.b) == (expected["a"], expected["b"])


def test_no_more_is_kept_than_each_row_once_however_many_lines_come() -> None:
    columns = Columns(NAMES, ROWS)
    columns.take(line([(row, row, row) for row in range(ROWS)]))
    for number in range(100):
        columns.take(line([(1, number, 0), (2, 0, number)]))
        assert sum(len(rows or ()) for rows, _ in columns._lines) <= ROWS
    assert columns.a == [0, 99, 0, 3, 4]
    assert columns.b == [0, 0, 99, 3, 4]


def test_column_that_nobody_looks_at_is_not_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    loads = json.loads

    def counted(text: str) -> Any:
        read.append(text)
        return loads(text)

    monkeypatch.setattr("lbapp.tui.live_rows.json.loads", counted)
    columns = Columns(NAMES, ROWS)
    for number in range(3):
        columns.take(line([(row, number, number) for row in range(ROWS)]))
    assert columns.a == columns.a == [2] * ROWS
    assert len(read) == 1


def test_what_a_row_was_given_ahead_of_the_next_line_holds_until_that_comes() -> None:
    columns = Columns(COLUMNS_READ, 1)
    columns.take({"values": packed([[number for number, _ in enumerate(COLUMNS_READ)]], len(COLUMNS_READ))})
    row = LiveServer("app/s1", Target("app", "s1"), "app", columns, 0)
    assert (row.connections, row.idle) == (0, 12)
    row.in_flight = 77
    assert (row.in_flight, columns.in_flight) == (77, [77])
    columns.take({"values": packed([[5] * len(COLUMNS_READ)], len(COLUMNS_READ))})
    assert row.in_flight == 5


def test_column_that_is_no_json_is_not_known() -> None:
    columns = Columns(NAMES, 2)
    columns.take({"values": ["[1,x]", "[3,4]"]})
    assert (columns.a, columns.b) == ([None, None], [3, 4])


@pytest.mark.parametrize(
    "sent",
    [
        {"values": ["[1,2]"]},
        {"values": ["[1,2]", "[1]"]},
        {"values": ["[1]", "[1]"], "rows": [2]},
        {"values": ["[1]", "[1]"], "rows": [-1]},
        [[0, 1, 2]],
        {"rows": [0]},
    ],
)
def test_figures_of_another_version_are_refused(sent: Any) -> None:
    with pytest.raises((AttributeError, KeyError, TypeError, ValueError)):
        Columns(NAMES, 2).take(sent)


def stated(row: LiveServer) -> LiveServer:
    """Return the row with all of its states, as it is in a scene."""
    for each in fields(ServerRow):
        if each.name not in (*COLUMNS_READ, "idle", "id", "target", "pool"):
            setattr(row, each.name, f"{each.name} as it was")
    return row


def test_a_copy_has_all_states_and_takes_no_column_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = Columns(COLUMNS_READ, 1)
    columns.take({"values": packed([[7] * len(COLUMNS_READ)], len(COLUMNS_READ))})
    row = stated(LiveServer("app/s1", Target("app", "s1"), "app", columns, 0))
    with monkeypatch.context() as patched:
        patched.setattr("lbapp.tui.live_rows.json.loads", lambda _text: pytest.fail("nobody has looked at a figure"))
        still = row.still({})
    assert [getattr(still, each.name) for each in fields(ServerRow)] == [
        getattr(row, each.name) for each in fields(ServerRow)
    ]
    row.name = "other"
    assert still.name == "name as it was"


def test_a_copy_that_stays_as_it_is_is_not_changed_by_later_lines() -> None:
    columns = Columns(("connections", "in_flight"), 2)
    columns.take({"values": ["[1,2]", "[3,4]"]})
    row = stated(LiveServer("app/s1", Target("app", "s1"), "app", columns, 1))
    assert row.connections == 2
    copies: dict[int, object] = {}
    still = row.still(copies)
    columns.take({"rows": [1], "values": ["[7]", "[8]"]})
    assert (row.connections, row.in_flight) == (7, 8)
    assert (still.connections, still.in_flight) == (2, 4)
    assert len(copies) == 1
