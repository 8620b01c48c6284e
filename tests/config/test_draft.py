"""A configuration that is being written: its text, and what is taken back of it."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from lbapp.config.draft import Table, problems, settle, text_of
from lbapp.config.load import parse_configuration


def small() -> Table:
    draft = Table()
    listener = draft.add("listener", "1")
    listener.put("name", "web", "2")
    listener.put("bind", "127.0.0.1:80", "2", "3")
    listener.put("pool", "app", "4")
    pool = draft.add("pool")
    pool.put("name", "app")
    server = pool.add("server", "7")
    server.put("name", "s1", "7")
    server.put("address", "127.0.0.1:81", "7")
    return draft


def test_text_is_valid_and_says_where_each_key_comes_from() -> None:
    draft = small()
    assert settle(draft) == []
    text = text_of(draft)
    assert parse_configuration(text, "f").servers
    assert '[[listener]]  # 1\nname = "web"  # 2\nbind = "127.0.0.1:80"  # 2, 3\n' in text
    assert draft.all_sources() == {"1", "2", "3", "4", "7"}


def test_server_that_is_refused_is_taken_back_whole_with_the_reason() -> None:
    draft = small()
    draft.values["pool"][0].values["server"][0].put("weight", 999, "8")
    ((sources, _, why),) = settle(draft)
    assert sources == {"7", "8"}
    assert "999 is too large" in why
    assert problems(draft) == []


def test_listener_whose_certificate_is_not_there_is_taken_back_and_never_left_without_tls() -> None:
    draft = small()
    certificate = draft.values["listener"][0].table("tls", "5").add("certificate", "5")
    certificate.put("file", "/nowhere/a.pem", "5")
    settle(draft)
    assert draft.values["listener"] == []
    assert "there is no listener" in problems(draft)[0]


def test_route_is_taken_back_whole_and_never_made_wider() -> None:
    draft = small()
    route = draft.values["listener"][0].add("route", "9")
    route.put("host", "not a host", "9")
    route.put("pool", "app", "9")
    ((sources, _, _),) = settle(draft)
    assert sources == {"9"}
    assert draft.values["listener"][0].values["route"] == []


@given(
    st.dictionaries(
        st.text(min_size=1), st.recursive(st.text() | st.booleans() | st.integers(-(2**60), 2**60), st.lists)
    )
)
def test_what_is_written_is_what_toml_reads(values: dict[str, object]) -> None:
    draft = Table()
    for key, value in values.items():
        draft.put(key, value)
    assert tomllib.loads(text_of(draft)) == draft.data()
