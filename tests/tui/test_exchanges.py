from __future__ import annotations

import pytest

from lbapp.tui.exchanges import ROWS_KEPT, ROWS_PER_S, Shown, choose, exchange_row
from tests.tui.exchange_lines import log_line, row


def test_row_has_every_field_of_its_line_in_printable_text() -> None:
    one = row(target="/a\x1b[2J", request_id="7f3a", persistence=["none", "inserted"], queue_us=None)
    assert (one.target, one.request_id, one.persistence) == ("/a·[2J", "7f3a", ("none", "inserted"))
    assert (one.queue_ms, one.connect_ms, one.first_byte_ms, one.total_ms, one.body_ms) == (None, 1.0, 11.0, 14.0, 2.0)
    assert (one.path, one.where, one.client, one.port) == ("/a·[2J", "app/s1", "192.0.2.9", 51322)
    assert one.at == pytest.approx(1_795_443_727.911)


def test_line_of_another_version_is_refused() -> None:
    line = log_line()
    del line["total_us"]  # type: ignore[misc]  # what an engine of another version might leave out
    with pytest.raises(KeyError):
        exchange_row(line)


@pytest.mark.parametrize(
    ("more", "is_failed"),
    [({}, False), ({"status": 404}, False), ({"status": 502}, True), ({"ended_by": "client", "status": None}, True)],
)
def test_failed_is_what_was_not_complete_or_a_5xx(more: dict[str, object], is_failed: bool) -> None:
    assert row(**more).is_failed is is_failed


def test_exchange_that_found_no_server_names_its_pool() -> None:
    assert row(server=None).where == "app/-"
    assert row(server=None, pool=None).where == "-"


def test_failed_ones_and_slow_ones_are_chosen_before_others_and_keep_their_order() -> None:
    rows = [row(), row(status=503), row(), row(total_us=9_000_000), row()]
    assert choose(rows, 2) == [rows[1], rows[3]]
    assert choose(rows, 9) == rows
    assert choose(rows, 0) == []


def test_no_more_rows_reach_the_screen_in_a_second_than_can_be_read() -> None:
    shown, now = Shown(), 100.0
    shown.advance(now)
    for _ in range(10):  # five seconds of 1,000 a second
        shown.take(row() for _ in range(500))
        now += 0.5
        shown.advance(now)
    assert 5 * ROWS_PER_S <= len(shown.rows) <= 6 * ROWS_PER_S
    assert len(shown.rows) + shown.left_out == 5_000
    numbers = [each.number for each in shown.rows]
    assert numbers == sorted(numbers, reverse=True)


def test_rows_that_come_little_by_little_are_gathered_before_some_are_chosen() -> None:
    shown, now = Shown(), 0.0
    for number in range(100):  # ten seconds of 100 a second, looked at ten times a second
        shown.take(row(status=503 if number % 10 == 9 and each == 0 else 200) for each in range(10))
        now += 0.1
        shown.advance(now)
    assert sum(each.status == 503 for each in shown.rows) >= 9
    assert len(shown.rows) <= 11 * ROWS_PER_S


def test_few_rows_are_all_shown() -> None:
    shown = Shown()
    shown.take([row() for _ in range(7)])
    shown.advance(1.0)
    assert (len(shown.rows), shown.left_out) == (7, 0)


def test_what_came_lately_is_looked_through_when_something_else_is_wanted() -> None:
    shown = Shown()
    shown.take([row(status=503 if number % 100 == 0 else 200) for number in range(1_000)])
    shown.advance(1.0)
    shown.restart(lambda each: each.status == 503)
    assert [each.status for each in shown.rows] == [503] * 10
    shown.take([row(), row(status=503)])
    shown.advance(2.0)
    assert len(shown.rows) == 11


def test_what_is_kept_is_limited() -> None:
    shown = Shown()
    for second in range(10):
        shown.take([row() for _ in range(1_000)])
        shown.advance(float(second))
    assert len(shown.recent) == ROWS_KEPT
    shown.restart(lambda _each: True)
    assert len(shown.rows) == ROWS_KEPT
