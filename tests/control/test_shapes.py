"""Whether a value out of JSON is a message."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.control.messages import Event, Status
from lbapp.control.shapes import check


class Inner(TypedDict):
    count: int
    word: Literal["up", "down"]


class Message(TypedDict):
    name: str
    rate: float
    is_on: bool
    inner: Inner | None
    either: str | int
    many: list[Inner]
    by_name: dict[str, float]
    more: NotRequired[str]


INNER = {"count": 1, "word": "up"}
SOUND: dict[str, Any] = {
    "name": "a\nb", "rate": 1, "is_on": True, "inner": INNER, "either": 3, "many": [INNER, INNER], "by_name": {"a": 0.5},
}  # fmt: skip


def test_sound_message_passes_with_fields_of_a_later_version_and_without_those_that_may_be_missing() -> None:
    check(SOUND, Message, "it")
    check({**SOUND, "inner": None, "more": "x", "unknown": object()}, Message, "it")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": 1}, "it.name is not plain text"),
        ({"name": "\x1b[2J"}, "it.name is not plain text"),
        ({"name": "\ud800"}, "it.name is not plain text"),
        ({"rate": float("inf")}, "it.rate is not a number"),
        ({"rate": True}, "it.rate is not a number"),
        ({"rate": 10**400}, "it.rate is not a number"),
        ({"is_on": 1}, "it.is_on is not true or false"),
        ({"inner": []}, "it.inner is not an object"),
        ({"inner": {"count": 1}}, "it.inner has no word"),
        ({"either": 1.5}, "it.either is not a whole number"),
        ({"many": {}}, "it.many is not a list"),
        ({"many": [INNER, {"count": "1", "word": "up"}]}, "it.many[1].count is not a whole number"),
        ({"many": [{"count": 1, "word": "off"}]}, "it.many[0].word is none of up, down"),
        ({"by_name": {"a": None}}, "it.by_name.a is not a number"),
        ({"by_name": {"\x00": 1}}, "it.by_name is not plain text"),
        ({"more": 1}, "it.more is not plain text"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match="^" + sentence.replace("[", r"\[").replace(".", r"\.") + "$"):
        check({**SOUND, **change}, Message, "it")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(ANYTHING, st.sampled_from([Status, Message, list[Event], dict[str, Inner]]))
def test_anything_passes_or_is_refused_with_a_sentence(value: Any, expected: Any) -> None:
    try:
        check(value, expected, "it")
    except ValueError as refused:
        sentence = str(refused)
    else:
        sentence = "it is sound" if value in ([], {}) else "a message came of nothing"
    assert sentence.startswith("it")
