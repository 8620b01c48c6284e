from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.cluster.keys import Keys, Kind, Name
from lbapp.model.journal import Setting

KEYS = Keys("f")
NODES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", fullmatch=True)


@given(NODES)
def test_keys_of_nodes_are_read_as_what_they_were_made_of(node: str) -> None:
    assert KEYS.read(KEYS.node(node)) == Name(Kind.NODE, node)
    assert KEYS.read(KEYS.state(node)) == Name(Kind.STATE, node)
    assert KEYS.read(KEYS.result(node)) == Name(Kind.RESULT, node)


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=100), st.sampled_from(Setting))
def test_keys_of_intents_are_read_as_what_they_were_made_of(on: str, setting: Setting) -> None:
    assert KEYS.read(KEYS.intent((on, setting))) == Name(Kind.INTENT, intent=(on, setting))


@given(st.binary(max_size=50))
def test_any_key_names_something_or_nothing(rest: bytes) -> None:
    for key in (rest, KEYS.prefix + rest, KEYS.prefix + b"nodes/" + rest, KEYS.prefix + b"intents/state/" + rest):
        name = KEYS.read(key)
        assert name is None or name.kind in Kind
        assert KEYS.shown(key).isprintable()


@pytest.mark.parametrize(
    "key",
    [
        b"/lbapp/g/nodes/a",
        b"/lbapp/f/nodes/",
        b"/lbapp/f/nodes/a/b",
        b"/lbapp/f/nodes/\xff",
        b"/lbapp/f/nodes/\x1b[2J",
        b"/lbapp/f/nodes/" + b"a" * 2000,
        b"/lbapp/f/intents/colour/x",
        b"/lbapp/f/intents/state/",
        b"/lbapp/f/",
    ],
    ids=lambda key: repr(key[:24]),
)
def test_what_is_no_key_of_a_fleet_names_nothing(key: bytes) -> None:
    assert KEYS.read(key) is None


def test_texts_lie_behind_all_else_in_the_order_of_their_numbers() -> None:
    others = [KEYS.began, KEYS.current, KEYS.node("z"), KEYS.state("z"), KEYS.intent(("z", Setting.WEIGHT))]
    assert max(others) < KEYS.end <= KEYS.text(0) < KEYS.text(9) < KEYS.text(10) < KEYS.text(10**9)
    assert min(others) > KEYS.first
