from __future__ import annotations

import pytest

from lbapp.engine.wire.upgrades import is_one_of, protocols_allowed

WEBSOCKET = frozenset(("websocket",))


@pytest.mark.parametrize(
    ("offered", "allowed", "left"),
    [
        (b"websocket", WEBSOCKET, b"websocket"),
        (b"WebSocket, foo/2 ,, bar", WEBSOCKET, b"WebSocket"),
        (b"websocket/13", WEBSOCKET, b"websocket/13"),
        (b"foo/1, foo/2", frozenset(("foo/2",)), b"foo/2"),
        (b"foo, bar", None, b"foo, bar"),
        (b"h2c, foo, H2, h2c/1", None, b"foo"),
        (b"h2c", frozenset(("h2c",)), b""),
        (b"websocket", frozenset(), b""),
    ],
)
def test_only_what_is_allowed_is_offered_on(offered: bytes, allowed: frozenset[str] | None, left: bytes) -> None:
    assert protocols_allowed(offered, allowed) == left


def test_server_may_choose_one_of_those_offered_and_no_more() -> None:
    assert is_one_of(b"WebSocket", b"foo, websocket")
    assert not is_one_of(b"bar", b"foo, websocket")
    assert not is_one_of(b"foo, websocket", b"foo, websocket")
    assert not is_one_of(b"", b"foo")
    assert not is_one_of(b"foo", b"")
