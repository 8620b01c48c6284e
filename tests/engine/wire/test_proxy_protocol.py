"""PROXY headers: every form that the specification knows, everything it forbids, and no byte taken too many."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.wire.proxy_protocol import (
    SIGNATURE,
    V1_BYTES_MAX,
    BadProxyHeader,
    InetEnd,
    ProxyHeader,
    UnixEnd,
    build_v1,
    build_v2,
    crc32c,
    parse_proxy_header,
)
from lbapp.model.limits import PROXY_HEADER_BYTES_MAX

PORTS = st.integers(0, 65535)
INET = st.builds(InetEnd, st.ip_addresses(v=4), PORTS)
INET6 = st.builds(InetEnd, st.ip_addresses(v=6), PORTS)
PATHS = st.builds(UnixEnd, st.binary(max_size=108).filter(lambda path: b"\0" not in path))
NAMES = st.builds(
    UnixEnd, st.binary(min_size=1, max_size=107).map(lambda name: b"\0" + name.rstrip(b"\0") + b"x"[:107])
)
TCP = st.one_of(st.tuples(INET, INET), st.tuples(INET6, INET6))
ENDS = st.one_of(TCP, st.tuples(PATHS, PATHS), st.just((None, None)))
V4 = ProxyHeader(False, InetEnd(IPv4Address("192.0.2.7"), 56324), InetEnd(IPv4Address("198.51.100.1"), 443))
BLOCK4 = b"\xc0\x00\x02\x07\xc6\x33\x64\x01\xdc\x04\x01\xbb"


def v2(command: int = 0x21, family: int = 0x11, block: bytes = BLOCK4) -> bytes:
    return SIGNATURE + bytes((command, family)) + len(block).to_bytes(2) + block


@given(TCP, st.binary(max_size=40))
def test_version_1_reads_what_it_builds_and_leaves_what_stands_behind(
    ends: tuple[InetEnd, InetEnd], rest: bytes
) -> None:
    header = ProxyHeader(False, *ends)
    line = build_v1(header)
    assert len(line) <= V1_BYTES_MAX
    assert parse_proxy_header(line + rest) == (header, len(line))
    assert all(parse_proxy_header(line[:end]) is None for end in range(len(line)))


@given(ENDS, st.booleans(), st.binary(max_size=40))
def test_version_2_reads_what_it_builds_and_leaves_what_stands_behind(
    ends: tuple[InetEnd, InetEnd], has_checksum: bool, rest: bytes
) -> None:
    header = ProxyHeader(False, *ends)
    built = build_v2(header, has_checksum=has_checksum)
    assert parse_proxy_header(built + rest) == (header, len(built))
    assert all(parse_proxy_header(built[:end]) is None for end in range(len(built)))


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=60).map(lambda data: SIGNATURE + data)))
def test_any_bytes_have_an_answer(data: bytes) -> None:
    try:
        parsed = parse_proxy_header(data)
    except BadProxyHeader:
        return
    assert parsed is None or 8 <= parsed[1] <= len(data)


@given(st.binary(min_size=1, max_size=30), st.integers(0, 200))
def test_version_2_with_one_byte_changed_never_passes_its_checksum(noise: bytes, at: int) -> None:
    built = build_v2(V4, has_checksum=True)
    at = 16 + at % (len(built) - 16)  # what stands before tells whether it is a header at all
    changed = built[:at] + bytes((built[at] ^ (noise[0] or 1),)) + built[at + 1 :]
    if at in (28, 29, 30):
        return  # the checksum's own type and length: without them there is none
    with pytest.raises(BadProxyHeader, match="checksum"):
        parse_proxy_header(changed)


def test_example_of_each_version_is_read() -> None:
    assert parse_proxy_header(b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\nGET /")[0:1] == (V4,)  # type: ignore[index]
    assert parse_proxy_header(v2() + b"GET /") == (V4, 28)
    assert build_v2(V4) == v2()
    long = b"PROXY TCP6 " + b"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff " * 2 + b"65535 65535\r\n"
    parsed = parse_proxy_header(long)
    assert parsed is not None
    assert parsed[0].source == InetEnd(IPv6Address(2**128 - 1), 65535)


def test_unknown_and_unspecified_headers_name_nobody() -> None:
    for line in (b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ffff::1 whatever 0 \xff\r\n"):
        assert parse_proxy_header(line + b"x") == (ProxyHeader(), len(line))
    assert build_v1(ProxyHeader()) == build_v1(ProxyHeader(is_local=True)) == b"PROXY UNKNOWN\r\n"
    assert build_v1(ProxyHeader(False, UnixEnd(b"/a"), UnixEnd(b"/b"))) == b"PROXY UNKNOWN\r\n"
    for block in (b"", b"whatever"):
        assert parse_proxy_header(v2(family=0, block=block)) == (ProxyHeader(), 16 + len(block))


def test_local_header_is_passed_over_whatever_it_holds() -> None:
    for family, block in ((0x00, b""), (0x11, BLOCK4), (0x77, b"?"), (0x11, b"short")):
        built = v2(0x20, family, block)
        assert parse_proxy_header(built) == (ProxyHeader(is_local=True), len(built))
    assert build_v2(ProxyHeader(is_local=True)) == v2(0x20, 0, b"")


def test_datagrams_are_valid_and_name_nobody() -> None:
    assert parse_proxy_header(v2(family=0x12)) == (ProxyHeader(), 28)


def test_values_beside_the_addresses_are_passed_over() -> None:
    tlvs = b"\x01\x00\x02h1" + b"\x20\x00\x05\x01\0\0\0\0" + b"\x04\x00\x00" + b"\xe0\x00\x01!"
    assert parse_proxy_header(v2(block=BLOCK4 + tlvs)) == (V4, 28 + len(tlvs))


def test_abstract_names_are_kept() -> None:
    header = ProxyHeader(False, UnixEnd(b"\0name\0of"), UnixEnd(b""))
    assert parse_proxy_header(build_v2(header)) == (header, 232)


def test_checksum_is_castagnolis() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # the check value of every catalogue of checksums


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET / HTTP/1.1\r\n", "does not begin"),
        (b"\x16\x03\x01", "does not begin"),
        (b"proxy TCP4", "does not begin"),
        (b"PROXY TCP5 1.1.1.1 1.1.1.1 1 1\r\n", "malformed"),
        (b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n", "malformed"),
        (b"PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n", "malformed"),
        (b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1 \r\n", "malformed"),
        (b"PROXY TCP4  1.1.1.1 1.1.1.1 1 1\r\n", "malformed"),
        (b"PROXY TCP4 1.1.1.1\t1.1.1.1 1 1\r\n", "malformed"),
        (b"PROXY TCP4 1.1.1.1 1.1.1.1 01 1\r\n", "malformed"),
        (b"PROXY TCP4 1.1.1.1 1.1.1.1 -1 1\r\n", "malformed"),
        (b"PROXY UNKNOWNX\r\n", "malformed"),
        (b"PROXY UNKNOWN \rx\r\n", "malformed"),
        (b"PROXY TCP4 1.1.1.1 1.1.1.1 65536 1\r\n", "no valid address"),
        (b"PROXY TCP4 1.1.1.1 ::1 1 1\r\n", "no valid address"),
        (b"PROXY TCP4 01.1.1.1 1.1.1.1 1 1\r\n", "no valid address"),
        (b"PROXY TCP4 1.1.1.256 1.1.1.1 1 1\r\n", "no valid address"),
        (b"PROXY TCP6 1.1.1.1 ::1 1 1\r\n", "no valid address"),
        (b"PROXY TCP6 1::2::3 ::1 1 1\r\n", "no valid address"),
        (b"PROXY UNKNOWN " + b"x" * 100, "longer than 107"),
        (b"PROXY UNKNOWN " + b"x" * 100 + b"\r\n", "longer than 107"),
        (v2(command=0x11), "version or command"),
        (v2(command=0x22), "version or command"),
        (v2(family=0x13), "address family"),
        (v2(family=0x41), "address family"),
        (v2(block=BLOCK4[:-1]), "too short"),
        (v2(family=0x21), "too short"),
        (v2(block=BLOCK4 + b"\x01"), "cut short"),
        (v2(block=BLOCK4 + b"\x01\x00"), "cut short"),
        (v2(block=BLOCK4 + b"\x01\x00\x02x"), "longer than the header"),
        (v2(block=BLOCK4 + b"\x03\x00\x04\0\0\0\0"), "checksum"),
        (v2(block=BLOCK4 + b"\x03\x00\x02\0\0"), "checksum"),
        (v2(block=BLOCK4 + bytes(PROXY_HEADER_BYTES_MAX)), "larger than"),
    ],
)
def test_what_is_no_header_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(BadProxyHeader, match=reason):
        parse_proxy_header(data)


def test_refusal_does_not_wait_for_more_than_it_needs() -> None:
    for start in (
        b"X",
        b"PX",
        b"\r\n\r\nX",
        v2(command=0x31)[:16],
        v2(family=0x99)[:16],
        SIGNATURE + b"\x21\x11\xff\xff",
    ):
        with pytest.raises(BadProxyHeader):
            parse_proxy_header(start)
    for start in (b"", b"P", b"PROXY", b"\r", SIGNATURE[:11], SIGNATURE, v2()[:-1]):
        assert parse_proxy_header(start) is None
