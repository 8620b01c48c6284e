"""How the tests read a whole head, on either way."""

from __future__ import annotations

import pytest

from lbapp.engine.wire.heads import RequestHead, ResponseHead
from lbapp.engine.wire.http1 import parse_request_head, parse_response_head

both_ways = pytest.mark.parametrize("with_grammar", [True, False], ids=["grammar", "careful"])


def request_of(data: bytes, *, with_grammar: bool = True) -> RequestHead:
    parsed = parse_request_head(data + b"rest", 16384, 100, with_grammar=with_grammar)
    assert parsed is not None
    head, end = parsed
    assert end == len(data)
    return head


def response_of(data: bytes, *, with_grammar: bool = True) -> ResponseHead:
    parsed = parse_response_head(data + b"rest", 16384, 100, with_grammar=with_grammar)
    assert parsed is not None
    head, end = parsed
    assert end == len(data)
    return head
