from __future__ import annotations

from dataclasses import replace

import pytest

from lbapp.tui.glyphs import FULL
from lbapp.tui.listing import View, arrange, filter_of, shown_columns
from lbapp.tui.rates import Rates
from lbapp.tui.scene import DrainRow, ServerRow, Target
from lbapp.tui.server_columns import SETS, Context, is_near_limit, is_server_problem, server_kind
from lbapp.tui.staging import server_row
from tests.tui.engine_double import server

NOW = 1_700_000_100.0
CONTEXT = Context(FULL, lambda _id: (1.0, 2.0), lambda: NOW)
KIND = server_kind(CONTEXT)


def row(**more: object) -> ServerRow:
    return replace(server_row(server("app", "s1"), NOW), **more)  # type: ignore[arg-type]  # names of its fields


def cell(title: str, one: ServerRow, in_set: str = "load") -> tuple[str, str]:
    column = next(each for each in KIND.columns if each.title == title and (not each.sets or in_set in each.sets))
    return column.text(one), column.tone(one)


@pytest.mark.parametrize("width", [80, 100, 120, 132, 200])
@pytest.mark.parametrize("one_pool", [False, True])
@pytest.mark.parametrize("columns", range(len(SETS)))
def test_every_set_fits_and_state_is_never_cut(width: int, one_pool: bool, columns: int) -> None:
    kind = server_kind(CONTEXT, is_of_one_pool=one_pool)
    shown = shown_columns(kind, View(columns=columns), width)
    cells = {kind.columns[index].title: cells for index, cells in shown}
    assert sum(cells.values()) + len(shown) - 1 + 2 == width
    assert cells["server"] >= 13
    assert cells["state"] >= len("DRAIN 2m41s")
    assert list(cells)[:2] == ["st", "server"]


def test_sets_hold_what_their_names_say() -> None:
    def titles(columns: int) -> list[str]:
        return [KIND.columns[index].title for index, _ in shown_columns(KIND, View(columns=columns), 200)]

    who = ["st", "server", "address", "state", "wgt"]
    load = ["conn", "in-fl", "max", "req/s", "p50", "p99", "err%", "check", "since", "last 20s"]
    assert titles(0) == [*who, *load]
    assert titles(1) == [*who, "req/s", "p50", "p90", "p99", "in/s", "out/s"]
    assert titles(2) == [*who, "req/s", "err%", "err/s", "errors", "retry/s", "retries"]
    assert titles(3) == [*who, "check", "since", "by"]


def test_every_column_has_a_text_for_what_is_known_and_for_what_is_not() -> None:
    known = row(connections_max=10, changed_by="bob")
    unknown = ServerRow(id="a/b", target=Target("a", "b"), pool="a", name="b")
    for column in KIND.columns:
        assert column.text(known)
        assert column.tone(known) in ("plain", "good", "warn")
        column.order(unknown)
        if column.title not in ("address", "last 20s"):
            assert column.text(unknown)
    assert cell("conn", unknown) == ("-", "plain")
    assert cell("since", unknown) == ("-", "plain")
    assert cell("max", unknown) == ("-", "plain")


def test_limit_says_when_it_is_near() -> None:
    assert cell("max", row(connections_max=100, in_flight=89)) == ("100 ", "plain")
    assert cell("max", row(connections_max=100, in_flight=90)) == ("100!", "warn")
    assert cell("max", row(connections_max=0)) == ("none ", "plain")
    assert not is_near_limit(row(connections_max=0, in_flight=9))


def test_weight_stands_out_that_an_operator_or_an_agent_has_changed() -> None:
    assert cell("wgt", row()) == ("100", "plain")
    assert cell("wgt", row(agent_percent=50)) == ("100", "warn")
    assert cell("wgt", row(weight=7)) == ("7", "warn")


def test_since_is_of_the_operators_state_where_that_stands_before_health() -> None:
    assert cell("since", row(health_since=NOW - 60, changed_at=NOW - 5))[0] == "1m00s"
    assert cell("since", row(health_since=NOW - 60, changed_at=NOW - 5, admin="drain"))[0] == "5s"


def test_rates_are_those_of_the_last_seconds() -> None:
    rates = Rates()
    kind = server_kind(replace(CONTEXT, rates=rates))
    rates.take(NOW, [row(retries_total=10, bytes_out_total=0)])
    rates.take(NOW + 2, [])
    texts = {column.title: column.text(row(retries_total=14, bytes_out_total=4096)) for column in kind.columns}
    assert (texts["retry/s"], texts["out/s"], texts["in/s"]) == ("2", "2.0KiB", "0B")


@pytest.mark.parametrize(
    ("is_eligible", "error_rate", "is_problem"), [(True, 0.0, False), (False, None, True), (True, 0.2, True)]
)
def test_problem_is_a_server_without_new_clients_or_with_many_errors(
    is_eligible: bool, error_rate: float | None, is_problem: bool
) -> None:
    assert is_server_problem(row(is_eligible=is_eligible, error_rate=error_rate)) is is_problem


def test_problems_stand_first_and_all_else_as_configured() -> None:
    rows = [
        row(id="fine"),
        row(id="maint", admin="maint", is_eligible=False),
        row(id="errors", error_rate=0.5),
        row(id="standby", is_backup=True, is_eligible=False),
        row(id="down", health="down", is_eligible=False),
        row(id="drain", admin="drain", is_eligible=False, drain=DrainRow("draining", NOW + 60)),
        row(id="unknown", health="unknown"),
        row(id="slow", share_percent=20.0),
        row(id="failing", is_last_good=False, streak=1, fall=3),
        row(id="ejected", ejected="5 of 5 answers failed", is_eligible=False),
    ]
    shown = [each.id for each in arrange(rows, KIND, View(), filter_of("", KIND))]
    assert shown == ["down", "ejected", "errors", "drain", "slow", "failing", "maint", "fine", "standby", "unknown"]


def test_filter_can_name_what_is_shown() -> None:
    one = row(admin="drain", changed_at=NOW - 60, changed_by="bob", drain=DrainRow("draining", NOW + 60))
    for text in (
        "pool:app server=s1 address:127.0.0.1 127.0.0.1:9001",
        "state:drain admin=drain health:up check:200 by:bob",
        "wgt=100 conn>5 p90<5ms p99>10ms err>=1 5xx<2% since<5m req>10",
    ):
        wanted = filter_of(text, KIND)
        assert (wanted.problem, wanted.matches(one)) == ("", True)
    assert not filter_of("state:up or wgt<50 or since>5m or max>0", KIND).matches(one)
    assert filter_of("state:down", KIND).matches(row(health="down"))
