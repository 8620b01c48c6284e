"""The fold: whatever way the same store is seen, the picture is the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from lbapp.cluster import values
from lbapp.cluster.gateway import Event, Pair
from lbapp.cluster.keys import Keys
from lbapp.cluster.view import Fold, Remark, with_gone
from lbapp.model.fleet import FleetConfiguration, FleetIntent, FleetView, Member
from lbapp.model.journal import Setting
from lbapp.model.limits import FLEET_GONE_MAX, FLEET_GONE_S
from tests.cluster.node_double import intent, member_state
from tests.cluster.strategies import NODES, RESULTS, configurations, intents
from tests.cluster.test_gateway import ANY_JSON

KEYS = Keys("f")
WRITES = st.one_of(
    intents().map(lambda each: (KEYS.intent(each.key), values.intent(each))),
    configurations().map(lambda each: (KEYS.current, values.configuration(each))),
    RESULTS.map(lambda each: (KEYS.result(each.node), values.result(each))),
    st.tuples(NODES.map(KEYS.node), st.integers(0, 9).map(lambda each: values.card({"pid": each}))),
    st.tuples(NODES.map(KEYS.state), st.integers(0, 9).map(lambda each: values.state(dict(member_state(each))))),
    st.text(max_size=3).map(lambda each: (KEYS.began, values.began("x", 1.0, "a"))),
)
NONSENSE = st.tuples(
    st.sampled_from([KEYS.current, KEYS.began, KEYS.node("a"), KEYS.state("b"), KEYS.prefix + b"x", b"", b"\xff"]),
    st.binary(max_size=20) | st.sampled_from([b"{}", b"[]", b'{"id":1}', b"[" * 5000]),
)


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Writes and deletions, each at a revision of its own, and sometimes several at one."""
    events: list[Event] = []
    revision = 0
    for key, value in draw(st.lists(WRITES, max_size=25)):
        revision += draw(st.integers(0, 2)) or 1
        is_gone = bool(events) and draw(st.integers(0, 4)) == 0
        chosen = draw(st.sampled_from(events)).key if is_gone else key
        events.append(Event(chosen, None if is_gone else value, revision, draw(st.integers(0, 3))))
    return events


def held(events: Sequence[Event]) -> list[Pair]:
    """Return what a store holds after these events."""
    pairs: dict[bytes, Pair] = {}
    for event in events:
        pairs.pop(event.key, None)
        if event.value is not None:
            pairs[event.key] = Pair(event.key, event.value, event.revision, event.lease)
    return list(pairs.values())


def picture(fold: Fold) -> object:
    return fold.began, fold.leases, fold.members(), fold.intents, fold.configuration, fold.results


@given(histories(), st.data())
def test_a_whole_read_and_any_way_there_by_events_make_the_same_picture(
    events: list[Event], data: st.DataObject
) -> None:
    whole = Fold(KEYS)
    assert whole.read(held(events), 5.0) == []
    split = Fold(KEYS)
    at = data.draw(st.integers(0, len(events)))
    split.read(held(events[:at]), 5.0)
    while at < len(events):
        step = data.draw(st.integers(1, len(events) - at))
        assert split.apply(events[at : at + step], 5.0) == []
        at += step
    assert picture(split) == picture(whole)


@given(histories(), histories())
def test_a_whole_read_leaves_nothing_of_what_was_there_before(events: list[Event], before: list[Event]) -> None:
    fold, fresh = Fold(KEYS), Fold(KEYS)
    fold.apply(before, 5.0)
    fold.read(held(events), 5.0)
    fresh.read(held(events), 5.0)
    assert picture(fold) == picture(fresh)


@given(histories(), st.data())
def test_events_that_come_twice_change_nothing(events: list[Event], data: st.DataObject) -> None:
    fold, twice = Fold(KEYS), Fold(KEYS)
    fold.apply(events, 5.0)
    at = data.draw(st.integers(0, len(events)))
    twice.apply(events, 5.0)
    twice.apply(events[at:], 5.0)
    assert picture(fold) == picture(twice)


@given(histories(), st.lists(NONSENSE, min_size=1, max_size=5))
def test_nonsense_leaves_what_was_known(events: list[Event], nonsense: list[tuple[bytes, bytes]]) -> None:
    fold, spoilt = Fold(KEYS), Fold(KEYS)
    for each in (fold, spoilt):
        each.apply(events, 5.0)
    for key, value in nonsense:
        if not value.strip().startswith(b"{") or key != KEYS.node("a"):  # any object may be the card of a later version
            spoilt.apply([Event(key, value, 999)], 5.0)
    assert (spoilt.began, spoilt.intents, spoilt.configuration, spoilt.results) == (
        fold.began,
        fold.intents,
        fold.configuration,
        fold.results,
    )
    assert spoilt.members().keys() == fold.members().keys()


def test_nonsense_is_named_once_until_it_can_be_read() -> None:
    fold, key = Fold(KEYS), KEYS.current
    wrong, right = Event(key, b"{", 1), Event(key, values.configuration(FleetConfiguration(1)), 2)
    assert fold.apply([wrong], 1.0) == [Remark("/lbapp/f/configuration/current is passed over: it is no JSON")]
    assert fold.apply([wrong], 1.0) == []
    assert fold.apply([right], 1.0) == []
    assert len(fold.apply([wrong], 1.0)) == 1
    assert fold.configuration.number == 1


LATER = {"schedule": "02:00", "of": {"x": [1, None]}}


@given(
    intents(), configurations(), st.dictionaries(st.text(st.characters(categories=["L", "N"])), ANY_JSON, max_size=4)
)
def test_what_a_later_version_says_besides_changes_nothing_that_is_known_and_is_written_again(
    intent: FleetIntent, configuration: FleetConfiguration, more: dict[str, object]
) -> None:
    written = (KEYS.intent(intent.key), values.intent(intent)), (KEYS.current, values.configuration(configuration))
    for key, data in written:
        plain, later = Fold(KEYS), Fold(KEYS)
        known = json.loads(data)
        whole = {**more, **known}
        plain.apply([Event(key, data, 7)], 1.0)
        remarks = later.apply([Event(key, json.dumps(whole).encode(), 7)], 1.0)
        if any(remark.is_nonsense for remark in remarks):
            continue  # nobody could show it: it is passed over as a whole
        assert [replace(each, more={}) for each in later.intents.values()] == list(plain.intents.values())
        assert replace(later.configuration, more={}) == plain.configuration
        again = values.intent(later.intents[intent.key]) if later.intents else values.configuration(later.configuration)
        assert json.loads(again) == whole
        assert bool(remarks) is bool(whole.keys() - known.keys())


@given(st.dictionaries(st.text(st.characters(categories=["L", "N"])), ANY_JSON, max_size=4), st.booleans())
def test_a_member_of_a_later_version_is_one_whatever_it_says_besides(more: dict[str, object], is_state: bool) -> None:
    fold = Fold(KEYS)
    known = member_state() if is_state else {"version": "9.9"}
    key = KEYS.state("b") if is_state else KEYS.node("b")
    fold.apply([Event(KEYS.node("b"), b"{}", 1, 5)], 1.0)
    for remark in fold.apply([Event(key, json.dumps({**more, **known}).encode(), 2, 5)], 1.0):
        assert remark.is_nonsense, "only what nobody could show"
    assert fold.members().keys() == {"b"}


def test_what_a_later_version_says_besides_is_said_once_of_each_node_with_its_version() -> None:
    fold = Fold(KEYS)
    body = {**json.loads(values.intent(intent("app/s1"))), **LATER, "node": "b"}
    pairs = [Pair(KEYS.intent((on, Setting.STATE)), json.dumps(body).encode(), 3) for on in ("app/s1", "app/s2")]
    pairs.append(Pair(KEYS.node("b"), values.card({"version": "9.9"}), 1, 5))
    said = (
        "/lbapp/f/intents/state, which b (lbapp 9.9) has written, says more than is known (of, schedule) to this version of "
        "lbapp: that is left as it is, and nothing is made of it"
    )
    assert fold.read(pairs, 1.0) == [Remark(said, is_nonsense=False)]
    assert fold.read(pairs, 1.0) == []
    assert {key for key, _ in fold.intents} == {"app/s1", "app/s2"}


def test_kinds_of_a_later_version_are_said_once_however_many_keys_there_are() -> None:
    fold = Fold(KEYS)
    keys = [KEYS.prefix + b"intents/colour/app/s%d" % at for at in range(50)] + [KEYS.prefix + b"marks/1"]
    events = [Event(key, b'{"node": "b", "value": "red"}', 3) for key in keys]
    for expected in (["intents/colour", "marks"], []):
        remarks = fold.apply(events, 1.0)
        assert [remark.sentence.split(",")[0].removeprefix("/lbapp/f/") for remark in remarks] == expected
        assert all(
            "which b has written, is not known to this version of lbapp" in remark.sentence for remark in remarks
        )
    assert fold.intents == {}


def test_names_of_nonsense_do_not_grow_without_end() -> None:
    fold = Fold(KEYS)
    for key in (KEYS.prefix + b"x%d", KEYS.node("n%d"), KEYS.prefix + b"configuration/x%d"):
        named = fold.apply([Event(key % at, b"", 1) for at in range(5_000)], 1.0)
        assert len(named) == 1_000
        fold = Fold(KEYS)


def test_a_state_without_a_member_is_nobody() -> None:
    fold = Fold(KEYS)
    fold.apply([Event(KEYS.state("a"), values.state(dict(member_state())), 1)], 1.0)
    assert fold.members() == {}


def test_what_was_kept_is_a_beginning_that_a_read_replaces() -> None:
    fold, known = Fold(KEYS), Fold(KEYS)
    known.apply([Event(KEYS.intent(("a/b", intent("a/b").setting)), values.intent(intent("a/b")), 3)], 1.0)
    fold.recall(FleetView(intents=known.intents), "x")
    assert (fold.intents, fold.began) == (known.intents, "x")
    fold.read([], 1.0)
    assert (fold.intents, fold.began) == ({}, "")


def test_who_has_gone_is_shown_for_a_while_and_so_many_at_most() -> None:
    def member(name: str, seen_at: float) -> Member:
        return Member(name, {"pid": 1}, {}, True, seen_at)

    now = FLEET_GONE_S + 1000
    before = {str(at): member(str(at), now - at) for at in range(2 * FLEET_GONE_MAX)}
    found = with_gone(before, {"0": member("0", now)}, now)
    assert found["0"].is_alive
    assert len(found) == FLEET_GONE_MAX + 1
    assert not any(member.is_alive for name, member in found.items() if name != "0")
    assert found["1"].card == {"pid": 1}
    assert with_gone({"old": member("old", 0.0)}, {}, now) == {}
