from __future__ import annotations

from typing import TypeVar

from lbapp.tui.columns import figure_fields, listener_kind
from lbapp.tui.filtering import Fields, parse
from lbapp.tui.listing import Kind
from lbapp.tui.scene import Figures
from lbapp.tui.staging import scene_of
from tests.tui.engine_double import server, status

Item = TypeVar("Item")


def has_whole_cells(kind: Kind[Item], item: Item) -> bool:
    return all(
        column.text(item) and column.order(item) is not None and column.tone(item) in ("plain", "good", "warn")
        for column in kind.columns
    )


def test_every_column_of_a_listener_gives_text_and_order() -> None:
    assert has_whole_cells(listener_kind(), scene_of(status([server("app", "s1")])).listeners[0])


def test_figures_can_be_named_in_a_filter_and_what_is_not_known_is_neither_more_nor_less() -> None:
    fields: Fields[Figures] = Fields(lambda _: "", figure_fields())
    one = Figures(connections=7, in_flight=3, requests_per_s=12.0, error_rate=0.02, p50=4.0, p99=1500.0)
    assert parse("conn=7 inflight<4 req>11 err>1 5xx<2.5% p50<5 p99>1.4s", fields).matches(one)
    assert not parse("conn<9 or conn>=0 or err<1 or p99>0", fields).matches(Figures())
