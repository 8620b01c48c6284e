"""Which hosts are sound enough to route by and to send on."""

from __future__ import annotations

import pytest

from lbapp.engine.wire.host import is_sound_host


@pytest.mark.parametrize(
    "host",
    [
        b"h",
        b"example.com",
        b"a_b-c.example:8080",
        b"127.0.0.1",
        b"[::1]",
        b"[::ffff:1.2.3.4]:65535",
        b"h:",
        b"h:0",
        b"%c3%a4.de",
    ],
)
def test_names_and_addresses_are_sound(host: bytes) -> None:
    assert is_sound_host(host)


@pytest.mark.parametrize(
    "host",
    [
        b"", b":80", b"h:65536", b"h:123456", b"h:80x", b"h:-1", b"h:80:80", b"a b", b"a,b", b"a/b", b"a?b", b"a#b", b"u@h",
        b"a\\b", b"\xe4",
        b"%zz", b"a%", b"[]", b"[::1", b"::1", b"[::1::]", b"[1.2.3.4]", b"[fe80::1%eth0]", b"[v1.x]", b"a" * 256,
    ],
)  # fmt: skip
def test_what_could_divide_or_end_something_is_not(host: bytes) -> None:
    assert not is_sound_host(host)
