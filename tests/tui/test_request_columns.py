from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import pytest

from lbapp.tui.filtering import parse
from lbapp.tui.glyphs import FULL
from lbapp.tui.listing import Kind
from lbapp.tui.request_columns import (
    capture_kind,
    exchange_fields,
    exchange_kind,
    group_kind,
    phase_ms,
    session_fields,
    session_kind,
    short_size,
)
from lbapp.tui.sample import Group
from tests.tui.exchange_lines import row
from tests.tui.looks_double import capture, session

Item = TypeVar("Item")


def cells(kind: Kind[Item], item: Item) -> dict[str, str]:
    return {column.title: column.text(item) for column in kind.columns}


def test_every_column_of_a_request_keeps_to_its_width() -> None:
    kind = exchange_kind()
    for one in (row(), row(status=None, ended_by="client", total_us=10**11, bytes_out=10**15), row(queue_us=None)):
        for column in kind.columns:
            assert not column.is_right or len(column.text(one)) <= column.width, column.title
    assert cells(kind, row(status=502))["stat"] == "!502"
    assert cells(kind, row(status=None, ended_by="client", method=None))["stat"] == "!-"
    assert cells(kind, row(method=None, target=None))["path"] == "-"
    refused = row(method=None, target=None, status=400, outcome="client_bad_request", ended_by="client")
    assert cells(kind, refused)["path"] == "client bad request"
    assert kind.is_problem(row(status=502))


def tone(kind: Kind[Item], title: str, item: Item) -> str:
    return next(column.tone(item) for column in kind.columns if column.title == title)


def test_failed_and_slow_requests_stand_out() -> None:
    kind = exchange_kind()
    assert [tone(kind, "stat", one) for one in (row(), row(status=404), row(status=503))] == ["plain", "warn", "bad"]
    assert tone(kind, "total", row(total_us=1_000_000)) == "warn"


@pytest.mark.parametrize(
    "text",
    [
        "pool=app", "server:s1", "status>=200", "method=get", "path:/api", "host:shop", "client=192.0.2.9", "time>10ms",
        "ttfb<20ms", "queue=0", "connect>0.5ms", "bytes>8k", "attempts=1", "listener=web", "outcome=completed",
        "items", '"GET shop"',
    ],
)  # fmt: skip
def test_requests_are_found_by_every_field(text: str) -> None:
    wanted = parse(text, exchange_fields())
    assert wanted.problem == ""
    assert wanted.matches(row())
    assert not parse(f"!{text}", exchange_fields()).matches(row())


@pytest.mark.parametrize(
    "text", ["state:head", "pool=app", "time>10s", "age>13s", "path:/export", "client:192", "bytes>2m"]
)
def test_connections_are_found_by_their_fields(text: str) -> None:
    wanted = parse(text, session_fields())
    assert (wanted.problem, wanted.matches(session(1, 12.4))) == ("", True)


def found(kind: Kind[Item], items: Sequence[Item]) -> list[bool]:
    return [kind.is_problem(each) for each in items]


def test_requests_under_way_for_long_are_problems_and_tunnels_are_not() -> None:
    kind = session_kind()
    assert found(kind, [session(1, 9.9), session(1, 10.0), session(1, 99.0, state="tunnel")]) == [False, True, False]
    assert cells(kind, session(1, 99.0))["busy"] == "!1m39s"
    assert cells(kind, session(1, 0.5, method=None, target=None, server=None))["path"] == "-"


def test_groups_say_that_their_rate_is_reckoned() -> None:
    group = Group("GET /a", 3, 120.0, 0.5, 1.0, 2_000.0)
    assert cells(group_kind("route"), group) == {
        "~req/s": "120", "seen": "3", "fail%": "50.0%", "p50": "1.0ms", "p99": "2.0s", "route": "GET /a",
    }  # fmt: skip
    assert tone(group_kind("route"), "fail%", group) == "bad"


def test_malformed_heads_name_their_sender() -> None:
    shown = cells(capture_kind(FULL), capture())
    assert (shown["sent by"], shown["where"]) == ("192.0.2.66:4711", "GET /a>\\x00<b HTTP/1.1")


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0, "0"), (999, "999"), (8_300, "8.1K"), (41_000, "40K"), (5 * 2**40, "5T")]
)
def test_size_has_five_characters_at_most(value: int | None, text: str) -> None:
    assert short_size(value) == text


def test_phase_that_took_no_time_is_a_plain_zero() -> None:
    assert [phase_ms(value) for value in (None, 0.0, 0.4, 12e6)] == ["-", "0", "0.4ms", "3h20m"]
