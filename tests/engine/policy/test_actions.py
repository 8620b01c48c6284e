"""Splits, changed paths and redirects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.policy.actions import change_path, choose_share, client_position, location_of, split_salt
from lbapp.model.actions import PrefixChange, Redirect, Share

CLIENTS = [number.to_bytes(4, "big") for number in range(4000)]


def sides(shares: tuple[Share, ...], closed: str = "") -> list[str | None]:
    return [
        choose_share(shares, client_position(key, split_salt(shares)), lambda name: name != closed) for key in CLIENTS
    ]


def shares_of(**weights: int) -> tuple[Share, ...]:
    return tuple(Share(pool, weight) for pool, weight in weights.items())


def test_split_follows_its_weights() -> None:
    found = sides(shares_of(a=95, b=5))
    assert 130 <= found.count("b") <= 270
    assert set(sides(shares_of(a=0, b=7))) == {"b"}


def test_client_stays_on_its_side_and_another_weight_moves_only_as_many_as_it_has_to() -> None:
    before, after = sides(shares_of(a=95, b=5)), sides(shares_of(a=90, b=10))
    assert before == sides(shares_of(a=95, b=5))
    moved = [(one, other) for one, other in zip(before, after, strict=True) if one != other]
    assert set(moved) == {("a", "b")}


def test_routes_with_the_same_pools_agree_and_others_do_not() -> None:
    key = CLIENTS[:200]
    one, other = split_salt(shares_of(a=1, b=1)), split_salt(shares_of(b=3, a=1))
    assert [client_position(each, one) for each in key] == [client_position(each, other) for each in key]
    third = split_salt(shares_of(a=1, c=1))
    assert [client_position(each, one) for each in key] != [client_position(each, third) for each in key]


def test_clients_of_a_closed_pool_go_to_the_others_by_weight_and_nobody_else_moves() -> None:
    shares = shares_of(a=50, b=25, c=25)
    before, after = sides(shares), sides(shares, closed="a")
    assert all(one == other for one, other in zip(before, after, strict=True) if one != "a")
    homeless = [other for one, other in zip(before, after, strict=True) if one == "a"]
    assert set(homeless) == {"b", "c"}
    assert 0.4 < homeless.count("b") / len(homeless) < 0.6


def test_split_without_an_open_pool_has_no_choice() -> None:
    assert choose_share(shares_of(a=1, b=1), 5, lambda _: False) is None
    assert choose_share(shares_of(a=1, b=0), 5, lambda name: name == "b") is None
    assert choose_share(shares_of(a=0), 5, lambda _: True) is None


@pytest.mark.parametrize(
    ("prefix", "by", "target", "changed"),
    [
        ("/api", "", b"/api/v1?x=/api", b"/v1?x=/api"),
        ("/api", "", b"/api", b"/"),
        ("/api", "", b"/api?x", b"/?x"),
        ("/api", "", b"/api/", b"/"),
        ("/api", "", b"/apix", b"/apix"),
        ("/api", "", b"/api//evil.example/", b"/evil.example/"),
        ("/api", "", b"/v1/api/", b"/v1/api/"),
        ("/api", "/v2", b"/api/x", b"/v2/x"),
        ("/api", "/v2", b"/api", b"/v2"),
        ("/api", "/v2", b"/api?x", b"/v2?x"),
        ("", "/v2", b"/x", b"/v2/x"),
        ("", "", b"//x", b"/x"),
        ("", "/v2", b"*", b"*"),
        ("/api", "", b"*", b"*"),
    ],
)
def test_prefix_is_replaced_in_whole_segments(prefix: str, by: str, target: bytes, changed: bytes) -> None:
    assert change_path(PrefixChange(prefix, by), target) == changed


@given(st.sampled_from(["", "/a", "/a/b"]), st.sampled_from(["", "/c"]), st.text("/ab?", max_size=12))
def test_changed_path_is_never_empty_and_never_begins_with_two_slashes(prefix: str, by: str, rest: str) -> None:
    for target in (f"/{rest}".encode(), f"{prefix}/{rest}".encode()):
        changed = change_path(PrefixChange(prefix, by), target)
        assert changed == target or (changed.startswith(b"/") and not changed.startswith(b"//"))


@pytest.mark.parametrize(
    ("redirect", "scheme", "host", "target", "location"),
    [
        (Redirect(scheme="https"), "http", b"h.example", b"/a?b", b"https://h.example/a?b"),
        (Redirect(scheme="https"), "http", b"h.example:8080", b"/", b"https://h.example/"),
        (Redirect(scheme="https", port=8443), "http", b"[::1]:80", b"/", b"https://[::1]:8443/"),
        (Redirect(scheme="https", port=443), "http", b"[::1]", b"/", b"https://[::1]/"),
        (Redirect(scheme="https"), "https", b"h", b"/a", None),
        (Redirect(host="h"), "http", b"H:80", b"/a", None),
        (Redirect(host="www.{host}"), "http", b"h:8080", b"/a", b"http://www.h/a"),
        (Redirect(path="/new{path}"), "http", b"h:8080", b"/a?b=c", b"http://h:8080/new/a?b=c"),
        (Redirect(path="/new/{path}"), "http", b"h", b"/a", b"http://h/new/a"),
        (Redirect(path="/new?from={path}"), "http", b"h", b"/a?b", b"http://h/new?from=/a"),
        (Redirect(path="/sites/{host}{path}"), "http", b"h", b"/{host}", b"http://h/sites/h/{host}"),
        (Redirect(path="{path}"), "http", b"h", b"/a", None),
        (Redirect(scheme="https"), "http", b"h", b"*", b"https://h/"),
        (Redirect(scheme="https"), "http", b"h", b"//evil.example/%2e", b"https://h//evil.example/%2e"),
        (Redirect(scheme="https"), "http", b"", b"/", None),
        (Redirect(host="www.{host}"), "http", b"", b"/", None),
        (Redirect(host="h", path="/{host}"), "http", b"", b"/", None),
        (Redirect(host="h"), "http", b"", b"/x", b"http://h/x"),
    ],
)
def test_redirect_names_scheme_host_and_path(
    redirect: Redirect, scheme: str, host: bytes, target: bytes, location: bytes | None
) -> None:
    assert location_of(redirect, scheme, host, target) == location


@given(st.text(r"/\@:.#ab%", max_size=12))
def test_path_never_becomes_an_authority(rest: str) -> None:
    for redirect in (Redirect(scheme="https"), Redirect(scheme="https", path="{path}")):
        location = location_of(redirect, "http", b"good.example", f"/{rest}".encode())
        assert location is not None
        assert location.startswith(b"https://good.example/")
