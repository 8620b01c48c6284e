from __future__ import annotations

import pytest

from lbapp.tui.log_query import ask_engine

POOLS = ("app", "app-2", "img")
SERVERS = ("app/s1", "app/s10", "img/i1")


def asked(text: str, **base: str) -> tuple[dict[str, str], list[str]]:
    found = ask_engine(text, base, POOLS, SERVERS)
    return found.query, found.here


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("pool=app", {"pool": "app"}),
        ("pool:IMG", {"pool": "img"}),
        ("server:app/s10", {"server": "app/s10"}),
        ("server=app/s1", {"server": "app/s1"}),
        ("status>=500", {"status": "500-599"}),
        ("status=503", {"status": "503-503"}),
        ("status>399 status<500", {"status": "400-499"}),
        ("time>1s", {"slower_ms": "1000"}),
        ("time>=250ms and time>100", {"slower_ms": "250"}),
        ("path:/api/v1", {"path": "/api/v1"}),
        ("client=192.0.2.9", {"client": "192.0.2.9"}),
        ("pool=img status>=500", {"pool": "img", "status": "500-599"}),
    ],
)
def test_engine_is_asked_for_what_it_understands(text: str, query: dict[str, str]) -> None:
    assert asked(text) == (query, [])


@pytest.mark.parametrize(
    "text",
    [
        "pool:app",  # two have it
        "pool=nowhere",
        "server:s1",
        "status:5xx",
        "status<100",
        "time<1s",
        "path=/api",
        "path:/api/",
        "path:api",
        "client:192",
        "client=home",
        "method=GET",
        "export",
        "!pool=img",
    ],
)
def test_what_the_engine_could_answer_otherwise_than_meant_is_looked_at_here(text: str) -> None:
    assert asked(text) == ({}, [text])


@pytest.mark.parametrize("text", ["pool=img or pool=app", '"pool=img"', "/a pool=img b/", "status>=500 OR x"])
def test_filter_that_cannot_be_taken_apart_is_not(text: str) -> None:
    assert asked(text) == ({}, [text])


def test_what_a_view_asks_for_stays_and_the_longer_time_holds() -> None:
    assert asked("time>5s", slower_ms="1000") == ({"slower_ms": "5000"}, [])
    assert asked("time>5ms", slower_ms="1000") == ({"slower_ms": "1000"}, [])
    assert asked("pool=img", failed="1") == ({"failed": "1", "pool": "img"}, [])


def test_terms_that_contradict_each_other_are_looked_at_here() -> None:
    assert asked("status>500 status<400") == ({"status": "501-599"}, ["status<400"])


def test_it_is_told_which_terms_go_where() -> None:
    found = ask_engine("pool=img export", {}, POOLS, SERVERS)
    assert found.told == "engine: pool=img  here: export"
    assert ask_engine("", {}, POOLS, SERVERS).told == ""
    assert ask_engine("export", {}, POOLS, SERVERS).told == "here: all of it"
