"""Who is remembered by what, and where a client goes first."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.policy.persistence import (
    FirstChoice,
    Remembered,
    address_key,
    header_key,
    shown_key,
    verdict_on,
)
from lbapp.model.persistence import PersistenceVerdict

SERVERS = [(row, f"app/s{row}", 100) for row in range(8)]


@pytest.mark.parametrize(
    ("address", "shown"),
    [("192.0.2.77", "192.0.2.0"), ("2001:db8:1:2:3::4", "2001:db8:1:2::"), ("255.255.255.255", "255.255.255.0")],
)
def test_bits_behind_the_prefix_are_cleared(address: str, shown: str) -> None:
    assert shown_key(address_key(ip_address(address).packed, 24, 64)) == shown


def test_whole_addresses_stay_as_they_are() -> None:
    assert address_key(b"\x01\x02\x03\x04", 32, 128) == b"\x01\x02\x03\x04"


def test_a_header_is_known_by_a_digest_only() -> None:
    key = header_key(b"secret token")
    assert b"secret" not in key
    assert shown_key(key) == "#" + key[1:].hex()
    assert key != header_key(b"secret tokem")


def test_what_is_remembered_has_one_verdict() -> None:
    now = Remembered("s1", 100)
    assert verdict_on(None, 50, {"s1"}, {"s1"}) is PersistenceVerdict.NONE
    assert verdict_on(now, 100, {"s1"}, {"s1"}) is PersistenceVerdict.EXPIRED
    assert verdict_on(now, 99.9, {"s2"}, {"s2"}) is PersistenceVerdict.SERVER_GONE
    assert verdict_on(now, 99.9, {"s1"}, set()) is PersistenceVerdict.SERVER_DOWN
    assert verdict_on(now, 99.9, {"s1"}, {"s1"}) is PersistenceVerdict.VALID


@given(st.binary(min_size=4, max_size=20), st.permutations(SERVERS))
def test_the_first_server_is_the_same_on_every_node(key: bytes, order: list[tuple[int, str, int]]) -> None:
    assert FirstChoice(order).choose_server(key) == FirstChoice(SERVERS).choose_server(key)


def test_a_server_that_may_take_nobody_moves_its_own_clients_only() -> None:
    choice = FirstChoice(SERVERS)
    keys = [number.to_bytes(4, "big") for number in range(2000)]
    before = {key: choice.choose_server(key) for key in keys}
    choice.update(frozenset(range(8)) - {3})
    after = {key: choice.choose_server(key) for key in keys}
    assert 3 not in after.values()
    assert all(after[key] == before[key] for key in keys if before[key] != 3)


def test_tried_servers_are_left_out_and_none_is_left_at_the_end() -> None:
    choice = FirstChoice(SERVERS[:2])
    first = choice.choose_server(b"abcd")
    assert first is not None
    assert choice.choose_server(b"abcd", (first,)) == 1 - first
    assert choice.choose_server(b"abcd", (0, 1)) is None
    choice.update(frozenset())
    assert choice.choose_server(b"abcd") is None


def test_a_server_of_weight_0_in_the_file_may_be_given_a_weight_later() -> None:
    choice = FirstChoice([(0, "app/s0", 0)])
    assert choice.choose_server(b"abcd") == 0
