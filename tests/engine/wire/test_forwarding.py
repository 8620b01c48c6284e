from __future__ import annotations

import pytest

from lbapp.engine.wire.forwarding import client_address, client_key, forwarding_lines


@pytest.mark.parametrize(
    ("peer", "key", "said"),
    [
        (("192.0.2.7", 1234), b"\xc0\x00\x02\x07", b"192.0.2.7"),
        (("::ffff:192.0.2.7", 1234, 0, 0), b"\xc0\x00\x02\x07", b"192.0.2.7"),
        (("2001:db8::1", 1234, 0, 0), bytes.fromhex("20010db8000000000000000000000001"), b"2001:db8::1"),
        (("fe80::1%eth0", 1234, 0, 2), bytes.fromhex("fe800000000000000000000000000001"), b"fe80::1"),
        ("", b"\x7f\x00\x00\x01", b"unix:"),
        (None, b"\x7f\x00\x00\x01", b"unix:"),
    ],
)
def test_client_is_known_by_its_address(peer: object, key: bytes, said: bytes) -> None:
    address = client_address(peer)
    assert client_key(address) == key
    assert forwarding_lines(address, "https") == b"X-Forwarded-For: " + said + b"\r\nX-Forwarded-Proto: https\r\n"
