"""CONNECT where it may be relayed: its target is an authority and nothing else, and it has no body."""

from __future__ import annotations

import pytest

from lbapp.engine.wire.heads import BadRequest, RequestHead
from lbapp.engine.wire.http1 import build_request_head, parse_request_head


def read(target: bytes, fields: bytes = b"Host: example.com:443\r\n", version: bytes = b"1.1") -> RequestHead:
    parsed = parse_request_head(
        b"CONNECT " + target + b" HTTP/" + version + b"\r\n" + fields + b"\r\n", 999, 9, may_connect=True
    )
    assert parsed is not None
    return parsed[0]


def test_target_goes_on_as_target_and_host() -> None:
    head = read(b"example.com:443", b"Host: EXAMPLE.com\r\nProxy-Authorization: x\r\nConnection: keep-alive\r\n")
    assert (head.method, head.target, head.host, head.is_persistent) == (
        b"CONNECT",
        b"example.com:443",
        b"example.com:443",
        False,
    )
    wanted = b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\nProxy-Authorization: x\r\n"
    assert build_request_head(head, b"").startswith(wanted)
    assert read(b"[::1]:80", b"", b"1.0").target == b"[::1]:80"


@pytest.mark.parametrize(
    "target",
    [b"/", b"example.com", b"example.com:", b"example.com:0", b"example.com:65536", b"example.com:443/", b"http://a:1", b"::1:80",
     b"[::g]:80", b"u@example.com:443", b":443"],
)  # fmt: skip
def test_target_that_is_no_host_and_port_is_a_400(target: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        read(target, b"Host: h\r\n")
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "fields",
    [b"Host: other.com:443\r\n", b"Host: example.com:80\r\n", b"Host: example.com:443\r\nContent-Length: 1\r\n",
     b"Host: example.com:443\r\nTransfer-Encoding: chunked\r\n", b"Host: example.com:443\r\nConnection: host\r\n"],
)  # fmt: skip
def test_other_host_and_a_body_are_a_400(fields: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        read(b"example.com:443", fields)
    assert refused.value.status == 400


def test_it_is_a_405_where_it_may_not_be_relayed() -> None:
    with pytest.raises(BadRequest) as refused:
        parse_request_head(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 999, 9)
    assert refused.value.status == 405
