from __future__ import annotations

from lbapp.tui.actions.finding import FOUND_MAX, Choice, find


def named(*titles: str) -> list[tuple[str, Choice]]:
    return [(title.lower(), Choice(title, title)) for title in titles]


def test_what_begins_so_stands_first_and_letters_in_their_order_last() -> None:
    choices = named("db/ape-p1", "x-app", "app/s1", "web/app1", "other")
    assert [choice.id for choice in find(choices, "APP")] == ["app/s1", "web/app1", "x-app", "db/ape-p1"]


def test_every_word_has_to_match_and_nothing_typed_shows_all() -> None:
    choices = named("app/s1", "app/s2", "img/s2")
    assert [choice.id for choice in find(choices, "s2 app")] == ["app/s2"]
    assert len(find(choices, " ")) == 3


def test_never_more_are_returned_than_anybody_reads() -> None:
    assert len(find(named(*(f"s{number}" for number in range(1000))), "s")) == FOUND_MAX
