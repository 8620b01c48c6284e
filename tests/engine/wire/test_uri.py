"""Telling a long target from a long head."""

from __future__ import annotations

import pytest

from lbapp.engine.wire.uri import has_long_uri, too_long_uri


@pytest.mark.parametrize(
    ("data", "is_long"),
    [
        (b"GET /" + b"a" * 8 + b" HTTP/1.1\r\n", False),
        (b"GET /" + b"a" * 10 + b" HTTP/1.1\r\n", True),
        (b"GET /" + b"a" * 10, True),
        (b"\r\nGET /" + b"a" * 10, True),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 99, False),
        (b"a" * 99, False),
        (b"a" * 99 + b" / HTTP/1.1\r\n", False),
        (b"", False),
    ],
)
def test_only_the_target_counts(data: bytes, is_long: bool) -> None:
    assert has_long_uri(data, 10) == is_long


def test_refusal_is_414_and_names_the_limit() -> None:
    refused = too_long_uri(8192)
    assert (refused.status, refused.reason) == (414, "the target is longer than 8192 bytes")
