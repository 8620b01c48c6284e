from __future__ import annotations

from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.tui.filtering import TEXT_MAX, Fields, Filter, Number, Words, parse


@dataclass(frozen=True)
class One:
    name: str = "app/s1"
    pool: str = "app"
    weight: int = 100
    p99: float | None = 150.0
    since: float | None = 120.0
    errors: float | None = 1.5
    sent: int | None = 3_000


FIELDS: Fields[One] = Fields(
    lambda one: f"{one.name} {one.pool}",
    {
        "pool": Words(lambda one: one.pool),
        "wgt": Number(lambda one: one.weight),
        "p99": Number(lambda one: one.p99, "ms"),
        "since": Number(lambda one: one.since, "s"),
        "5xx": Number(lambda one: one.errors, "%"),
        "sent": Number(lambda one: one.sent, "bytes"),
    },
)
ITEMS = [One(), One("API/web-2", "Api", 50, None, None, None), One("api/db", "api", 0, 3000.0, 7200.0, 0.0)]


def filtered(text: str) -> Filter[One]:
    return parse(text, FIELDS)


def kept(text: str) -> list[str]:
    wanted = filtered(text)
    assert wanted.problem == ""
    return [one.name for one in wanted.keep(ITEMS)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["app/s1", "API/web-2", "api/db"]),
        ("API", ["API/web-2", "api/db"]),
        ("!api", ["app/s1"]),
        ("api db", ["api/db"]),
        ("api and db", ["api/db"]),
        ("s1 OR db", ["app/s1", "api/db"]),
        ("api web or s1", ["app/s1", "API/web-2"]),
        ("/web-\\d/", ["API/web-2"]),
        ("!/web-\\d/ api", ["api/db"]),
        ("/api\\/db api/", ["api/db"]),
        ('"db api"', ["api/db"]),
        ("pool:ap", ["app/s1", "API/web-2", "api/db"]),
        ("pool=api", ["API/web-2", "api/db"]),
        ("pool!=api", ["app/s1"]),
        ("!pool:api", ["app/s1"]),
        ("pool:/^a.i$/", ["API/web-2", "api/db"]),
        ('pool:"pp"', ["app/s1"]),
        ("wgt<50", ["api/db"]),
        ("wgt<=50", ["API/web-2", "api/db"]),
        ("wgt=100", ["app/s1"]),
        ("wgt:100", ["app/s1"]),
        ("wgt!=100", ["API/web-2", "api/db"]),
        ("p99>200", ["api/db"]),
        ("p99>200ms", ["api/db"]),
        ("p99>.1s", ["app/s1", "api/db"]),
        ("p99>3s", []),
        ("!p99>200ms", ["app/s1", "API/web-2"]),
        ("since<5m", ["app/s1"]),
        ("since>=2h", ["api/db"]),
        ("5xx>1", ["app/s1"]),
        ("5XX>1%", ["app/s1"]),
        ("sent>2KiB", ["app/s1", "API/web-2", "api/db"]),
        ("sent>3k", []),
        ("!!api", ["API/web-2", "api/db"]),
    ],
)
def test_each_form_of_a_term_keeps_what_it_says(text: str, names: list[str]) -> None:
    assert kept(text) == names


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("p99>", "p99>: something is missing behind >"),
        ("pool:", "pool:: something is missing behind :"),
        ("!", "!: what is not wanted is missing"),
        ("/ap", '/ap: a regex ends with /; text with a / stands in "quotes"'),
        ("/a(/", "/a(/: ( without )"),
        ('"ap', '"ap: " is missing at its end'),
        ('""', '"": there is nothing in the quotes'),
        ("p99>fast", "p99>fast: fast is no number, with or without us ms s m h d"),
        ("wgt>5ms", "wgt>5ms: 5ms is no number, with or without k m"),
        ("pool<b", "pool<b: it is text: use : or = in place of <"),
        (
            "zone:a",
            'zone:a: no such field; there are pool wgt p99 since 5xx sent; text with : stands in "quotes"',
        ),
    ],
)
def test_wrong_or_unfinished_term_is_named_and_hides_nothing(text: str, said: str) -> None:
    assert filtered(text).problem == said
    assert len(filtered(text).keep(ITEMS)) == 3
    assert [one.name for one in filtered(f"s1 {text}").keep(ITEMS)] == ["app/s1"]
    assert [one.name for one in filtered(f"s1 or {text}").keep(ITEMS)] == ["app/s1"]


def test_addresses_are_text_and_need_no_quotes() -> None:
    assert filtered("10.0.0.1:80").problem == ""
    assert filtered("web.local:80").problem == ""
    assert filtered("[::1]:80").problem == ""
    assert filtered("web1:80").problem == ""


def test_more_than_can_be_read_is_said() -> None:
    assert filtered("a" * (TEXT_MAX + 1)).problem == "only the first 400 characters count"


TYPED = st.lists(
    st.sampled_from(
        ["and", "or", "!", "/a+/", "/(", "pool:", "pool:a", "wgt<", "wgt<50", "p99>1s", '"', "zone:x", "api"]
    )
    | st.text(max_size=8)
).map(" ".join)


@given(TYPED)
def test_no_text_raises_and_every_item_gets_an_answer(text: str) -> None:
    wanted = filtered(text)
    assert wanted.keep(ITEMS) == [one for one in ITEMS if wanted.matches(one)]


SOUND = st.sampled_from(["api", "!s1", "wgt<50", "p99>200ms", "pool=api", "/web|db/"])
WRONG = st.sampled_from(["wgt<", "p99>x", "zone:x", "/(/", "!", "pool<a"])


@given(st.lists(SOUND, min_size=1), st.lists(WRONG, min_size=1), st.randoms())
def test_what_is_wrong_changes_nothing_of_what_is_sound(sound: list[str], wrong: list[str], dice: Random) -> None:
    mixed = [*sound, *wrong]
    dice.shuffle(mixed)
    assert filtered(" ".join(mixed)).problem
    assert filtered(" ".join(mixed)).keep(ITEMS) == filtered(" ".join(sound)).keep(ITEMS)


@given(SOUND, SOUND)
def test_and_or_and_not_are_those_of_logic(left: str, right: str) -> None:
    a, b = (set(filtered(text).keep(ITEMS)) for text in (left, right))
    assert set(filtered(f"{left} {right}").keep(ITEMS)) == a & b
    assert set(filtered(f"{left} or {right}").keep(ITEMS)) == a | b
    assert set(filtered(f"!{left}").keep(ITEMS)) == set(ITEMS) - a
