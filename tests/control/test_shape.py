from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

import pytest

from lbapp.control.shape import flaw


class Inner(TypedDict):
    number: int
    word: Literal["one", "two"]
    more: NotRequired[str]


class Outer(TypedDict):
    name: str
    inner: list[Inner]
    by_name: dict[str, float]
    maybe: Inner | None
    anything: Any
    is_so: bool


class Partly(TypedDict, total=False):
    name: str


GOOD: dict[str, Any] = {
    "name": "a", "inner": [{"number": 1, "word": "one"}], "by_name": {"x": 0.5}, "maybe": None, "anything": [1], "is_so": True,
}  # fmt: skip


def test_message_of_its_type_has_no_flaw_and_may_say_more() -> None:
    assert flaw(GOOD, Outer) == ""
    assert flaw({**GOOD, "of_a_newer_version": 1}, Outer) == ""
    assert flaw({**GOOD, "inner": [], "maybe": {"number": 1.5, "word": "three", "more": "x"}}, Outer) == ""
    assert flaw({}, Partly) == ""


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"name": None}, "name is not text"),
        ({"inner": [{"number": 1, "word": "one"}, {"word": "one"}]}, "inner[1].number is missing"),
        ({"inner": [{"number": "1", "word": "one"}]}, "inner[0].number is not a number"),
        ({"inner": [{"number": True, "word": "one"}]}, "inner[0].number is not a number"),
        ({"inner": [{"number": 1, "word": 1}]}, "inner[0].word is not text"),
        ({"inner": [{"number": 1, "word": "one", "more": None}]}, "inner[0].more is not text"),
        ({"inner": None}, "inner is not a list"),
        ({"by_name": {"x": None}}, "by_name.x is not a number"),
        ({"by_name": []}, "by_name is not an object"),
        ({"maybe": {"number": 1}}, "maybe.word is missing"),
        ({"is_so": 1}, "is_so is not true or false"),
    ],
)
def test_what_is_other_is_named_with_its_place(change: dict[str, Any], what: str) -> None:
    assert flaw({**GOOD, **change}, Outer) == what


def test_field_that_is_missing_and_what_is_no_object_at_all() -> None:
    assert flaw({name: value for name, value in GOOD.items() if name != "maybe"}, Outer) == "maybe is missing"
    assert flaw([], Outer) == "is not an object"
    assert flaw("x", Outer | None) == "is not an object"
