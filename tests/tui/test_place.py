from __future__ import annotations

from lbapp.tui.place import BACK_MAX, FIRST, TABS, Place, Way


def test_way_back_leads_through_what_was_entered_and_ends_at_the_overview() -> None:
    way = Way()
    way.enter(Place("pool", "app"))
    way.enter(Place("server", "app/s1"))
    assert way.leave()
    assert way.here == Place("pool", "app")
    assert way.leave()
    assert not way.leave()
    assert way.here == FIRST


def test_going_from_one_server_to_the_next_leads_back_to_where_the_first_was_entered() -> None:
    way = Way()
    way.enter(Place("pool", "app"))
    for number in range(1, 5):
        way.enter(Place("server", f"app/s{number}"))
    way.leave()
    assert way.here == Place("pool", "app")


def test_number_key_begins_a_new_way() -> None:
    way = Way()
    way.enter(Place("pool", "app"))
    way.begin(Place("servers"))
    way.leave()
    assert way.here == FIRST


def test_way_back_is_bounded() -> None:
    way = Way()
    for number in range(4 * BACK_MAX):
        way.enter(Place("pools" if number % 2 else "servers", str(number)))
    steps = 0
    while way.leave():
        steps += 1
    assert steps == BACK_MAX + 1


def test_each_screen_stands_under_one_number() -> None:
    screens = [screen for tab in TABS for screen in (tab.screen, *tab.also)]
    assert len(set(screens)) == len(screens)
    assert [tab.key for tab in TABS] == list("1234567")
