from __future__ import annotations

from lbapp.tui.rates import SPAN_S, Rates
from lbapp.tui.scene import ServerRow


def row(retries: int | None) -> ServerRow:
    return ServerRow(id="app/s1", retries_total=retries)


def test_rate_is_over_the_last_seconds() -> None:
    rates = Rates()
    rates.take(100.0, [row(10)])
    assert rates.of(row(10), "retries_total") is None
    rates.take(102.0, [row(16)])
    assert rates.of(row(16), "retries_total") == 3.0
    for seconds in range(4, 30):
        rates.take(100.0 + seconds, [row(16)])
    assert rates.of(row(16), "retries_total") == 0.0


def test_total_that_is_new_unknown_or_went_back_has_no_rate() -> None:
    rates = Rates()
    rates.take(100.0, [row(10)])
    rates.take(101.0, [row(5)])
    assert rates.of(row(5), "retries_total") is None
    assert rates.of(row(None), "retries_total") is None
    assert rates.of(ServerRow(id="app/new", retries_total=1), "retries_total") is None


def test_time_that_goes_back_begins_anew() -> None:
    rates = Rates()
    rates.take(100.0, [row(10)])
    rates.take(100.0 + SPAN_S, [row(20)])
    rates.take(50.0, [row(2)])
    rates.take(51.0, [row(4)])
    assert rates.of(row(4), "retries_total") == 2.0


def test_what_was_counted_long_ago_is_no_base_of_a_rate() -> None:
    rates = Rates()
    rates.take(100.0, [row(10)])
    rates.take(100.0 + SPAN_S, [row(20)])
    rates.take(1_000.0, [row(900)])  # nobody looked meanwhile
    assert rates.of(row(900), "retries_total") is None
    rates.take(1_002.0, [row(904)])
    assert rates.of(row(904), "retries_total") == 2.0
