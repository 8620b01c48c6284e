"""Who the client is: by its connection, and by what a trusted proxy says."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.wire.forwarding import Received, believe, client_address, client_key, forwarding_lines, is_trusted
from lbapp.model.actions import Forwarding

PEER = ip_address("10.0.0.1")
assert PEER.version == 4
TRUSTING = Forwarding((ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")), via=False)


def said(block: bytes, settings: Forwarding = TRUSTING) -> Received:
    return believe(PEER, "http", settings, block)


@pytest.mark.parametrize(
    ("peer", "key", "said_of_it"),
    [
        (("192.0.2.7", 1234), b"\xc0\x00\x02\x07", b"192.0.2.7"),
        (("::ffff:192.0.2.7", 1234, 0, 0), b"\xc0\x00\x02\x07", b"192.0.2.7"),
        (("2001:db8::1", 1234, 0, 0), bytes.fromhex("20010db8000000000000000000000001"), b"2001:db8::1"),
        (("fe80::1%eth0", 1234, 0, 2), bytes.fromhex("fe800000000000000000000000000001"), b"fe80::1"),
        ("", b"\x7f\x00\x00\x01", b"unix:"),
        (None, b"\x7f\x00\x00\x01", b"unix:"),
    ],
)
def test_client_is_known_by_its_address(peer: object, key: bytes, said_of_it: bytes) -> None:
    address = client_address(peer)
    assert client_key(address) == key
    ours = b"X-Forwarded-For: " + said_of_it + b"\r\nX-Forwarded-Proto: https\r\n"
    assert forwarding_lines(address, "https", Forwarding(via=False)) == ours
    assert forwarding_lines(address, "https") == ours + b"Via: 1.1 lbapp\r\n"


@pytest.mark.parametrize(
    ("address", "node"),
    [(ip_address("192.0.2.7"), b"192.0.2.7"), (ip_address("2001:db8::1"), b'"[2001:db8::1]"'), (None, b"unknown")],
)
def test_forwarded_is_said_when_asked_for(address: object, node: bytes) -> None:
    assert address is None or not isinstance(address, str)
    lines = forwarding_lines(address, "http", Forwarding(forwarded=True, via=False))  # type: ignore[arg-type]
    assert lines.endswith(b"\r\nForwarded: for=" + node + b";proto=http\r\n")


def test_only_peers_in_the_networks_are_trusted() -> None:
    assert is_trusted(PEER, TRUSTING)
    assert is_trusted(ip_address("2001:db8::7"), TRUSTING)
    assert not is_trusted(ip_address("192.0.2.7"), TRUSTING)
    assert not is_trusted(None, TRUSTING)
    assert not is_trusted(PEER, Forwarding())


@pytest.mark.parametrize(
    ("hops", "client"),
    [
        (b"", "10.0.0.1"),
        (b"192.0.2.7", "192.0.2.7"),
        (b"6.6.6.6, 192.0.2.7", "192.0.2.7"),
        (b"6.6.6.6, 192.0.2.7, 10.1.1.1", "192.0.2.7"),
        (b"10.2.2.2,10.1.1.1", "10.2.2.2"),
        (b"192.0.2.7, garbage, 10.1.1.1", "10.1.1.1"),
        (b"192.0.2.7, unknown", "10.0.0.1"),
        (b"192.0.2.7:4711", "192.0.2.7"),
        (b"[2001:db9::1]:4711", "2001:db9::1"),
        (b"2001:db9::1", "2001:db9::1"),
        (b"::ffff:192.0.2.7", "192.0.2.7"),
        (b"999.0.0.1", "10.0.0.1"),
    ],
)
def test_client_is_the_rightmost_address_that_is_not_trusted(hops: bytes, client: str) -> None:
    found = said(b"x-forwarded-for: %b\r\n" % hops if hops else b"")
    assert str(found.address) == client
    assert found.lines.startswith(b"X-Forwarded-For: %b10.0.0.1\r\n" % (hops + b", " if hops else b""))


def test_several_lines_are_one_list_and_only_so_many_entries_are_looked_at() -> None:
    assert str(said(b"x-forwarded-for: 192.0.2.7\r\nx-forwarded-for: 10.1.1.1\r\n").address) == "192.0.2.7"
    many = b", ".join([b"192.0.2.7", *[b"10.1.1.1"] * 40])
    assert str(said(b"x-forwarded-for: %b\r\n" % many).address) == "10.1.1.1"


def test_scheme_host_and_port_are_taken_over_when_they_are_sound() -> None:
    found = said(b"x-forwarded-proto: http, HTTPS\r\nx-forwarded-host: shop.example:8443\r\nx-forwarded-port: 8443\r\n")
    assert (found.scheme, found.host) == ("https", b"shop.example:8443")
    assert found.lines.endswith(b"X-Forwarded-Proto: https\r\nX-Forwarded-Port: 8443\r\n")
    found = said(b"x-forwarded-proto: gopher\r\nx-forwarded-host: a b\r\nx-forwarded-port: -1\r\n")
    assert (found.scheme, found.host) == ("http", b"")
    assert found.lines == b"X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: http\r\n"


def test_forwarded_of_a_trusted_proxy_is_continued_where_it_is_said_at_all() -> None:
    block = b"forwarded: for=192.0.2.7\r\n"
    assert b"Forwarded" not in said(block).lines.replace(b"X-Forwarded", b"")
    found = said(block, Forwarding(TRUSTING.trusted_proxies, forwarded=True))
    assert found.lines.endswith(
        b"\r\nForwarded: for=192.0.2.7\r\nForwarded: for=10.0.0.1;proto=http\r\nVia: 1.1 lbapp\r\n"
    )


@given(st.binary(max_size=60), st.binary(max_size=20))
def test_whatever_a_trusted_proxy_says_lines_stay_lines(hops: bytes, host: bytes) -> None:
    # What the wire lets through: no control characters in a value.
    value, name = (bytes(byte for byte in text if byte >= 32 and byte != 127) for text in (hops, host))
    found = said(b"x-forwarded-for: %b\r\nx-forwarded-host: %b\r\n" % (value, name))
    assert found.lines.count(b"\n") == found.lines.count(b"\r\n") == 2


def test_real_ip_of_a_trusted_proxy_goes_on_as_the_client_that_is_believed() -> None:
    block = b"x-forwarded-for: 6.6.6.6, 203.0.113.9\r\nx-real-ip: 6.6.6.6\r\n"
    assert b"X-Real-IP: 203.0.113.9\r\n" in said(block).lines
    assert b"X-Real-IP" not in said(b"x-forwarded-for: 203.0.113.9\r\n").lines
