"""What is written: own records in and out, those of the dead, notes, and the floor under all of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.cluster.dns.decide import FORGOTTEN_S, YIELD_S, Decision, Seen, Wish, decide, floor_of, is_ipv6
from lbapp.cluster.dns.notes import Note
from tests.cluster.dns.support import settings

NOW_S = 1_764_374_400.0


def seen(*notes: Note, more: tuple[str, ...] = (), ttl_s: int = 20) -> Seen:
    """The addresses of all notes of nodes that have not left, and `more`."""
    addresses = {address for note in notes if note.left_s is None for address in note.addresses} | set(more)
    return Seen(frozenset(addresses), ttl_s if addresses else 0, {note.text(): note for note in notes})


def note(number: int, **more: Any) -> Note:
    return Note(f"lb{number}", (f"192.0.2.{number}",), **{"fleet": "web", **more})


def after(before: Seen, decision: Decision) -> Seen:
    """The zone as it is when a decision was written."""
    texts = (before.notes.keys() - set(decision.notes_removed)) | set(decision.notes_added)
    known = {**before.notes, **{text: _read(text) for text in decision.notes_added}}
    addresses = (before.addresses - decision.removed.keys()) | set(decision.added)
    return Seen(addresses, 20, {text: known[text] for text in texts})


def _read(text: str) -> Note:
    from lbapp.cluster.dns.notes import read_note

    found = read_note(text)
    assert found is not None
    return found


def test_ready_node_puts_its_addresses_in_with_a_note() -> None:
    found = decide(settings("192.0.2.1", "2001:db8::1"), seen(), Wish(True, fleet="web"), NOW_S)
    assert found.added == ("192.0.2.1", "2001:db8::1")
    assert found.notes_added == ("v=lbapp1 node=lb1 fleet=web addresses=192.0.2.1,2001:db8::1",)
    assert found.is_in


def test_what_is_right_already_is_not_written() -> None:
    assert not decide(settings(), seen(note(1), note(2)), Wish(True, fleet="web"), NOW_S).is_change
    assert not decide(settings(), seen(note(1), note(2)), Wish(True), NOW_S).is_change


def test_node_that_is_not_ready_takes_its_own_out_and_says_when_and_who() -> None:
    found = decide(settings(), seen(note(1), note(2)), Wish(False, fleet="web"), NOW_S)
    assert found.removed == {"192.0.2.1": "lb1"}
    assert found.notes_removed == (note(1).text(),)
    assert found.notes_added == (note(1, left_s=int(NOW_S), by="lb1").text(),)
    assert not found.is_in


@pytest.mark.parametrize(("known", "floor"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (0, 1)])
def test_floor_is_half_of_those_known_and_one_at_least(known: int, floor: int) -> None:
    assert floor_of(settings(), known) == floor


def test_last_record_stays_though_its_node_is_not_ready() -> None:
    found = decide(settings(), seen(note(1), note(2, left_s=int(NOW_S) - 60, by="lb2")), Wish(False), NOW_S)
    assert (found.removed, found.kept, found.is_in) == ({}, ("192.0.2.1",), True)
    assert not found.is_change


def test_nodes_that_have_left_still_count_among_those_known() -> None:
    left = [note(number, left_s=int(NOW_S) - 60, by=f"lb{number}") for number in (3, 4)]
    found = decide(settings(), seen(note(1), note(2), *left), Wish(False), NOW_S)
    assert found.kept == ("192.0.2.1",)


def test_nodes_that_left_a_day_ago_no_longer_count_and_their_notes_go() -> None:
    left = [note(number, left_s=int(NOW_S) - FORGOTTEN_S - 1, by=f"lb{number}") for number in (3, 4)]
    before = seen(note(1), note(2), *left)
    first = decide(settings(), before, Wish(True, fleet="web"), NOW_S)
    assert set(first.notes_removed) == {each.text() for each in left}
    assert decide(settings(), after(before, first), Wish(False), NOW_S).removed == {"192.0.2.1": "lb1"}


def test_families_have_each_their_own_floor() -> None:
    both = Note("lb1", ("192.0.2.1", "2001:db8::1"), "web")
    found = decide(settings(*both.addresses), seen(both, note(2)), Wish(False), NOW_S)
    assert (found.removed, found.kept) == ({"192.0.2.1": "lb1"}, ("2001:db8::1",))
    assert found.is_in


def test_records_min_of_the_file_goes_before_half() -> None:
    before = seen(note(1), note(2), note(3))
    assert decide(settings(records_min=3), before, Wish(False), NOW_S).kept == ("192.0.2.1",)
    assert decide(settings(records_min=1), before, Wish(False), NOW_S).removed


def test_the_dead_are_taken_out_by_anybody_and_their_notes_say_so() -> None:
    found = decide(settings(), seen(note(1), note(2), note(3)), Wish(True, fleet="web", dead=frozenset({"lb3"})), NOW_S)
    assert found.removed == {"192.0.2.3": "lb3"}
    assert found.notes_added == (note(3, left_s=int(NOW_S), by="lb1").text(),)


def test_the_dead_go_before_the_node_itself_where_the_floor_is_near() -> None:
    wish = Wish(False, dead=frozenset({"lb2"}))
    found = decide(settings(), seen(note(1), note(2), note(3)), wish, NOW_S)
    assert (found.removed, found.kept) == ({"192.0.2.2": "lb2"}, ("192.0.2.1",))


def test_records_that_no_note_speaks_of_stay() -> None:
    before = seen(note(1), more=("192.0.2.99",))
    assert decide(settings(), before, Wish(False), NOW_S).removed == {"192.0.2.1": "lb1"}


def test_address_that_another_living_node_has_noted_stays_and_is_said() -> None:
    other = Note("lb2", ("192.0.2.1", "192.0.2.2"), "web")
    found = decide(settings(), seen(note(1), other), Wish(False), NOW_S)
    assert (found.removed, found.shared) == ({}, ("192.0.2.1",))
    gone = decide(settings(), seen(note(1), other), Wish(True, dead=frozenset({"lb2"})), NOW_S)
    assert gone.removed == {"192.0.2.2": "lb2"}


def test_address_that_the_file_no_longer_has_goes_once_the_new_one_is_in() -> None:
    found = decide(settings("192.0.2.7"), seen(note(1)), Wish(True, fleet="web"), NOW_S)
    assert (found.added, found.removed) == (("192.0.2.7",), {"192.0.2.1": "lb1"})
    assert found.notes_added == (Note("lb1", ("192.0.2.7",), "web").text(),)


def test_node_that_comes_back_is_in_again_with_one_note() -> None:
    before = seen(note(1, left_s=int(NOW_S) - 60, by="lb1"), note(2))
    found = decide(settings(), before, Wish(True, fleet="web"), NOW_S)
    assert found.added == ("192.0.2.1",)
    assert list(after(before, found).notes_of("lb1")) == [note(1)]


def test_two_notes_of_a_node_become_one_and_its_records_stay() -> None:
    before = seen(note(1), note(2), note(1, left_s=int(NOW_S) - 1, by="lb2"))
    found = decide(settings(), before, Wish(True, fleet="web"), NOW_S)
    assert not found.is_yielding
    assert not found.removed
    assert after(before, found).notes_of("lb1") == [note(1)]


@pytest.mark.parametrize(
    ("wish", "left_s_ago", "by", "is_yielding"),
    [
        (Wish(True, fleet="web"), 10, "lb2", True),
        (Wish(True, fleet="web", is_member=True), 10, "lb2", False),
        (Wish(True, fleet=""), 10, "lb2", False),
        (Wish(True, fleet=None), 10, "lb2", False),
        (Wish(True, fleet="web"), YIELD_S, "lb2", False),
        (Wish(True, fleet="web"), 10, "lb1", False),
        (Wish(False, fleet="web"), 10, "lb2", False),
    ],
)
def test_node_that_others_took_out_stays_out_while_it_cannot_see_why(
    wish: Wish, left_s_ago: int, by: str, is_yielding: bool
) -> None:
    before = seen(note(1, left_s=int(NOW_S) - left_s_ago, by=by), note(2))
    found = decide(settings(), before, wish, NOW_S)
    assert found.is_yielding is is_yielding
    assert bool(found.added) is (wish.is_in and not is_yielding)


def test_ttl_is_set_where_that_is_wanted_and_otherwise_left() -> None:
    before = seen(note(1), note(2), ttl_s=300)
    assert not decide(settings(), before, Wish(True, fleet="web"), NOW_S).is_change
    found = decide(settings(), before, Wish(True, sets_ttl=True, fleet="web"), NOW_S)
    assert (found.added, found.notes_added) == (("192.0.2.1",), ())


NUMBERS = st.integers(1, 6)
ADDRESSES = st.sampled_from([f"192.0.2.{n}" for n in range(1, 7)] + [f"2001:db8::{n}" for n in range(1, 7)])
NOTES = st.builds(
    lambda number, addresses, left: Note(f"lb{number}", tuple(addresses), "web", *((left, "lb3") if left else ())),
    NUMBERS,
    st.lists(ADDRESSES, min_size=1, max_size=3, unique=True),
    st.sampled_from([None, int(NOW_S) - 10, int(NOW_S) - FORGOTTEN_S - 10]),
)
ZONES = st.builds(
    lambda notes, addresses: Seen(frozenset(addresses), 20, {each.text(): each for each in notes}),
    st.lists(NOTES, max_size=8),
    st.frozensets(ADDRESSES, max_size=10),
)
WISHES = st.builds(
    Wish,
    st.booleans(),
    st.booleans(),
    st.frozensets(NUMBERS.filter(lambda n: n != 1).map(lambda n: f"lb{n}")),
    st.sampled_from([None, "", "web"]),
    st.booleans(),
)
FILES = st.builds(
    lambda addresses, least: settings(*addresses, records_min=least),
    st.lists(ADDRESSES, min_size=1, max_size=3, unique=True),
    st.one_of(st.none(), st.integers(1, 4)),
)


@given(FILES, ZONES, WISHES)
def test_whatever_stands_there_the_floor_holds_and_a_second_look_has_nothing_to_write(
    file: Any, before: Seen, wish: Wish
) -> None:
    found = decide(file, before, wish, NOW_S)
    then = after(before, found)
    for family in (False, True):
        had, has = (sum(is_ipv6(each) is family for each in zone.addresses) for zone in (before, then))
        gone = any(is_ipv6(each) is family for each in found.removed)
        assert has >= max(1, file.records_min or 1) or not gone
        assert has >= had or gone
    owned = {address for note in before.notes.values() for address in note.addresses} | set(file.addresses)
    assert found.removed.keys() <= owned
    assert set(found.added) <= set(file.addresses)
    if wish.is_in and not found.is_yielding:
        assert set(file.addresses) <= then.addresses
    settled = decide(file, then, Wish(wish.is_in, False, wish.dead, wish.fleet, wish.is_member), NOW_S)
    assert not settled.added
    assert not settled.removed.keys() - set(found.kept)
