from __future__ import annotations

import pytest

from lbapp.tui.sample import GROUPINGS, ROWS_MAX, SPAN_S, Sample, is_preferred, route_of
from tests.tui.exchange_lines import row


@pytest.mark.parametrize(
    ("target", "route"),
    [
        ("/", "GET /*"),
        ("/img/a/9f3.webp", "GET /img/a/*"),
        ("/img/9f3.webp", "GET /img/*"),
        ("/api/v1/items?page=2", "GET /api/v1/items"),
        ("/api/v1/items/77", "GET /api/v1/items/*"),
        ("/auth/login", "GET /auth/login"),
        ("/8d6f0b/x", "GET /*"),
    ],
)
def test_route_has_a_star_for_what_looks_like_an_id(target: str, route: str) -> None:
    assert route_of(row(target=target)) == route


def test_connections_without_http_are_one_route_and_what_was_no_request_is_none_of_them() -> None:
    assert route_of(row(method=None, target=None, status=None)) == "tcp"
    refused = row(method=None, target=None, status=400, outcome="client_bad_request")
    assert route_of(refused) == "no request: client bad request"


def test_rates_are_reckoned_from_the_share_that_was_seen() -> None:
    sample = Sample()
    sample.add([], 0, 100.0)
    sample.add([row(total_us=2_000)] * 9 + [row(total_us=8_000, pool="b")], 90, 110.0)
    assert sample.share == pytest.approx(0.1)
    first, second = sample.groups(GROUPINGS["pool"], 110.0)
    assert (first.name, first.seen, first.failed) == ("app", 9, 0.0)
    assert first.requests_per_s == pytest.approx(9.0)
    assert (first.p50, first.p99) == (2.0, 2.0)
    assert second.name == "b"
    assert second.requests_per_s == pytest.approx(1.0)


def test_failed_and_slow_ones_all_come_and_stand_for_themselves_alone() -> None:
    sample = Sample()
    sample.add([], 0, 100.0)
    ordinary, slow, failed = row(total_us=2_000), row(total_us=2_000_000), row(status=503)
    sample.add([ordinary] * 8 + [slow] + [failed], 92, 110.0)
    (group,) = sample.groups(GROUPINGS["pool"], 110.0)
    assert sample.share == pytest.approx(0.08)
    assert group.requests_per_s == pytest.approx(10.2)
    assert group.failed == pytest.approx(1 / 102)
    assert (group.p50, group.p99) == (2.0, 14.0)
    assert sample.classes()["5xx"] == pytest.approx(1 / 102)
    assert [each.name for each in sample.groups(GROUPINGS["status"], 110.0)] == ["200", "503"]


def test_failed_ones_stand_for_those_left_out_where_there_are_no_others() -> None:
    sample = Sample()
    sample.add([], 0, 100.0)
    sample.add([row(status=503)] * 5, 45, 110.0)
    (group,) = sample.groups(GROUPINGS["pool"], 110.0)
    assert sample.share == pytest.approx(0.1)
    assert group.failed == 1.0
    assert group.requests_per_s == pytest.approx(5.0)


def test_tcp_connections_are_never_slow() -> None:
    assert not is_preferred(row(method=None, total_us=10**9))
    assert is_preferred(row(total_us=10**9))


def test_shares_of_classes_count_what_had_no_status_in_none() -> None:
    sample = Sample()
    sample.add([row(), row(), row(status=404), row(status=None)], 0, 1.0)
    assert sample.classes() == {"2xx": 0.5, "3xx": 0.0, "4xx": 0.25, "5xx": 0.0}


def test_what_is_older_than_a_minute_is_forgotten() -> None:
    sample = Sample()
    sample.add([row()], 10, 0.0)
    sample.add([row()], 1, SPAN_S + 1)
    assert (sample.seen, sample.share, sample.span_s(SPAN_S + 1)) == (1, 0.5, SPAN_S)


def test_sample_that_is_full_says_how_far_back_it_reaches() -> None:
    sample = Sample()
    for second in range(20):
        sample.add([row()] * 1_000, 0, float(second))
    assert sample.seen == ROWS_MAX
    assert sample.span_s(20.0) == pytest.approx(4.0)


def test_nothing_seen_has_no_share_and_no_groups() -> None:
    sample = Sample()
    sample.add([row()], 4, 0.0)
    sample.clear()
    assert (sample.share, sample.classes(), sample.groups(route_of, 1.0), sample.span_s(1.0)) == (None, {}, [], 0.0)
