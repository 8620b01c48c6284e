from __future__ import annotations

from typing import TypeVar

import pytest

from lbapp.control.messages import Event
from lbapp.tui.columns import event_kind, is_server_problem, listener_kind, pool_kind, server_kind
from lbapp.tui.glyphs import FULL
from lbapp.tui.listing import Kind, shown_columns
from lbapp.tui.staging import scene_of, server_row
from tests.tui.engine_double import ME, server, status

Item = TypeVar("Item")
NOW = 1_700_000_100.0


def test_every_server_figure_of_the_contract_fits_80_cells() -> None:
    columns = server_kind(FULL, lambda _id: (), lambda: NOW).columns
    shown = shown_columns(columns, 80)
    assert sum(cells for _, cells in shown) + len(shown) - 1 == 80
    titles = [columns[index].title for index, _ in shown]
    assert titles == ["state", "server", "wgt", "conn", "in-fl", "req/s", "err%", "p50", "p99", "trend"]


def has_whole_cells(kind: Kind[Item], item: Item) -> bool:
    return all(
        column.text(item) and column.order(item) is not None and column.tone(item) in ("plain", "good", "warn")
        for column in kind.columns
    )


def test_every_column_gives_text_and_order_for_its_items() -> None:
    one = scene_of(status([server("app", "s1")]))
    assert has_whole_cells(server_kind(FULL, lambda _id: (1.0,), lambda: NOW), one.pools[0].servers[0])
    assert has_whole_cells(pool_kind(FULL, lambda _id: (1.0,)), one.pools[0])
    assert has_whole_cells(listener_kind(), one.listeners[0])


def test_weight_stands_out_that_an_operator_or_an_agent_has_changed() -> None:
    one = server_row(server("app", "s1"), NOW)
    kind = server_kind(FULL, lambda _id: (), lambda: NOW)
    weight = next(column for column in kind.columns if column.title == "wgt")
    assert weight.tone(one) == "plain"
    one.agent_percent = 50
    assert weight.tone(one) == "warn"
    one.agent_percent, one.weight = 100, 7
    assert weight.tone(one) == "warn"


def test_event_that_tells_of_trouble_is_a_problem() -> None:
    event: Event = {
        "seq": 1,
        "at": 0.0,
        "kind": "server_came_up",
        "subject": "app/s1",
        "message": "up",
        "actor": ME,
        "before": None,
        "after": None,
    }
    assert has_whole_cells(event_kind(), event)
    assert not event_kind().is_problem(event)
    event["kind"] = "server_went_down"
    assert event_kind().is_problem(event)


@pytest.mark.parametrize(
    ("is_eligible", "error_rate", "is_problem"), [(True, 0.0, False), (False, None, True), (True, 0.2, True)]
)
def test_problem_is_a_server_without_new_clients_or_with_many_errors(
    is_eligible: bool, error_rate: float | None, is_problem: bool
) -> None:
    one = server_row(server("app", "s1"), NOW)
    one.is_eligible, one.error_rate = is_eligible, error_rate
    assert is_server_problem(one) is is_problem
