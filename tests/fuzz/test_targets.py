"""Properties of every parser, with what hypothesis makes of pieces that matter to HTTP."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutating import mutated, seeds_of
from tests.fuzz.targets import TARGETS

_PIECES = st.sampled_from(
    [
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b":",
        b";",
        b",",
        b"0",
        b"5",
        b"a",
        b"\x00",
        b"\xe4",
        b'"',
        b"=",
        b"GET",
        b"POST",
        b"/",
        b"HTTP/1.1",
        b"HTTP/1.0",
        b"Host: h\r\n",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"Upgrade: x\r\n",
        b"Expect: 100-continue\r\n",
        b"200 OK",
        b"101",
        b"hello",
        b"0\r\n\r\n",
        b"|",
        b"\r\n\r\n",
    ]
)
_BYTES = st.one_of(st.binary(max_size=200), st.lists(_PIECES, max_size=30).map(b"".join))


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=150, deadline=None)
@given(data=_BYTES)
@example(data=b"")
def test_what_a_parser_promises_holds_for_any_bytes(name: str, data: bytes) -> None:
    TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_what_a_parser_promises_holds_for_every_vector_and_changes_of_it(name: str) -> None:
    for number, seed in enumerate(seeds_of(name)):
        TARGETS[name](seed)
        for step in range(3):
            TARGETS[name](mutated(seed, 1000 * number + step))
