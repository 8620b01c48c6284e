from __future__ import annotations

import time
from dataclasses import replace

import anyio
import pytest

from lbapp.cluster import values
from lbapp.cluster.gateway import Event, Found, Message, Pair
from lbapp.cluster.kept import Kept
from lbapp.cluster.keys import Keys
from lbapp.cluster.picture import Picture, Since
from lbapp.model.fleet import FleetIntent, FleetView, IntentKey, StoreState
from tests.cluster.node_double import NodeDouble, intent

KEYS = Keys("f")


def member(name: str, lease: int = 5) -> Pair:
    return Pair(KEYS.node(name), b"{}", 3, lease)


def began(name: str) -> Pair:
    return Pair(KEYS.began, values.began(name, 1.0, "a"), 2)


def written(on: str, revision: int) -> Pair:
    each = intent(on)
    return Pair(KEYS.intent(each.key), values.intent(each), revision)


def key(on: str) -> IntentKey:
    return intent(on).key


class Told(NodeDouble):
    """A node double, with the picture that it is told of."""

    def __init__(self) -> None:
        super().__init__("a")
        self.picture = Picture(KEYS, 10.0)

    def whole(self, revision: int, *pairs: Pair) -> None:
        self.picture.take_whole(Found(revision, pairs), self.applied, self.tell)

    def alive(self) -> list[str]:
        return [each.name for each in self.picture.view.alive]

    def newer(self) -> list[str]:
        view = self.picture.view
        return [each.on for each in self.picture.since.newer(view.intents, self.applied(view.began))]


def test_silence_changes_how_sure_a_node_is_and_nothing_else() -> None:
    told = Told()
    told.whole(9, began("x"), member("a"), written("app/s1", 4))
    before = told.picture.view
    told.picture.doubt("gone", told.tell)
    told.picture.doubt("still gone", told.tell)
    after = told.picture.view
    assert (after.state, after.problem) == (StoreState.STALE, "still gone")
    assert replace(after, state=before.state, problem="") == before
    assert told.events == [("fleet_stale", "gone; what was known last holds")]
    told.picture.confirm(told.tell)
    assert told.picture.view.state is StoreState.SYNCED
    assert told.events[1:] == [("fleet_synced", "the store answers again")]


def test_a_store_that_is_not_there_at_the_start_is_said_once() -> None:
    told = Told()
    for _ in range(3):
        told.picture.doubt("gone", told.tell)
    assert told.picture.view.state is StoreState.STARTING
    assert len(told.events) == 1


def test_the_age_does_not_follow_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    assert told.picture.age_s is None
    told.whole(9, began("x"))
    monkeypatch.setattr(time, "time", lambda: 5e9)
    assert (told.picture.age_s or 0.0) < 5
    monkeypatch.setattr(time, "time", lambda: 1.0)
    assert (told.picture.age_s or 0.0) >= 0


def test_a_view_that_was_kept_is_as_old_as_it_says() -> None:
    told = Told()
    told.picture.recall(Kept(FleetView(confirmed_at=time.time() - 100)))
    assert 99 < (told.picture.age_s or 0.0) < 110
    assert told.picture.view.state is StoreState.STARTING


def test_what_is_wrong_although_the_store_answers_stands_beside_the_view() -> None:
    told = Told()
    told.whole(9, began("x"))
    for _ in range(2):
        told.picture.complain("x", "broken", told.tell)
    assert (told.picture.view.state, told.picture.view.problem) == (StoreState.SYNCED, "broken")
    told.picture.complain("x", "", told.tell)
    assert told.picture.view.problem == ""
    assert told.told("fleet_problem") == ["broken"]


def test_a_message_goes_only_as_far_as_its_events() -> None:
    told = Told()
    told.whole(9, began("x"))
    event = Event(KEYS.node("a"), b"{}", 12, 5)
    told.picture.take(Message(20, (event,), is_part=True), told.tell)
    assert (told.alive(), told.picture.view.revision) == (["a"], 9)
    told.picture.take(Message(20, (event,)), told.tell)
    assert told.picture.view.revision == 12
    told.picture.take(Message(30), told.tell)
    assert told.picture.view.revision == 12


def test_an_emptied_store_ends_nobodys_membership_until_they_had_time_to_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = Told()
    told.whole(9, began("x"), member("a"), member("b"), member("c"))
    told.whole(1)
    assert told.alive() == ["a", "b", "c"]
    assert told.picture.losses == 1
    told.picture.take(Message(2, (Event(KEYS.node("b"), b"{}", 2, 6),)), told.tell)
    told.picture.take(Message(3, (Event(KEYS.node("b"), None, 3),)), told.tell)
    assert told.alive() == ["a", "c"]
    told.picture.take(Message(4, (Event(KEYS.node("a"), b"{}", 4, 6),)), told.tell)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 60)
    told.picture.expire()
    assert told.alive() == ["a"]
    assert "at revision 1 and was at 9" in told.told("fleet_store_lost")[0]


def test_a_store_with_another_name_is_another_whatever_its_revision() -> None:
    told = Told()
    told.whole(9, began("x"), member("b"))
    told.whole(9000, began("y"))
    assert told.picture.losses == 1
    assert told.alive() == ["b"]


def test_in_an_emptied_store_every_intent_is_newer_than_what_was_made_before() -> None:
    told = Told()
    told.whole(900, began("x"), written("app/s1", 800), written("app/s2", 850))
    told.done = {key("app/s1"): 800, key("app/s2"): 850}
    told.whole(2, written("app/s1", 2))
    assert told.newer() == ["app/s1"]
    told.done[key("app/s1")] = 2
    assert told.newer() == []
    told.whole(5, began("y"), written("app/s1", 2), written("app/s2", 5))
    assert told.newer() == ["app/s2"]


def test_in_a_store_that_was_put_back_old_intents_stay_old_and_later_ones_are_newer() -> None:
    told = Told()
    told.whole(900, began("x"), written("app/s1", 800), written("app/s2", 850))
    told.done = {key("app/s1"): 800, key("app/s2"): 850}
    told.whole(500, began("x"), written("app/s1", 400), written("app/s3", 450))
    assert told.newer() == []
    told.whole(502, began("x"), written("app/s1", 501), written("app/s2", 502))
    assert told.newer() == ["app/s1", "app/s2"]


@pytest.mark.parametrize(
    ("revision", "pairs", "has_lost"),
    [
        (9, (began("x"),), False),
        (8, (began("x"),), True),
        (9000, (began("y"),), True),  # behind a gateway that hung meanwhile it may be further than it was
        (9000, (), True),
        (9, (Pair(KEYS.began, b"{", 9),), True),
    ],
)
def test_after_a_silence_other_data_are_known_by_their_name(
    revision: int, pairs: tuple[Pair, ...], has_lost: bool
) -> None:
    told = Told()
    told.whole(9, began("x"))
    assert told.picture.has_lost(Found(revision, pairs)) is has_lost


def test_that_a_store_was_emptied_is_known_after_a_restart() -> None:
    told = Told()
    told.picture.recall(Kept(FleetView(revision=900), "x", 0))
    told.done = {key("app/s1"): 800}
    told.whole(3, began("y"), written("app/s1", 3))
    assert told.newer() == ["app/s1"]
    after = Told()
    since = told.picture.since
    after.picture.recall(Kept(told.picture.view, "y", 0, since.floor, since.former))
    after.done = {key("app/s1"): 800}
    assert after.newer() == ["app/s1"]
    after.whole(4, began("y"), written("app/s1", 3))
    assert after.picture.losses == 0


def test_what_was_made_of_another_fleet_counts_for_nothing_where_no_view_of_this_one_was_kept() -> None:
    told = Told()
    told.done, told.done_of = {key("app/s1"): 800}, {key("app/s1"): "x"}
    told.whole(9, began("y"), written("app/s1", 7))
    assert told.newer() == ["app/s1"]
    assert (told.picture.losses, told.picture.view.began) == (0, "y")


def test_what_was_made_of_this_very_store_counts_where_no_view_of_it_was_kept() -> None:
    told = Told()
    told.done, told.done_of = {key("app/s1"): 7}, {key("app/s1"): "x"}
    told.whole(9, began("x"), written("app/s1", 7))
    assert told.newer() == []
    assert told.picture.losses == 0


def test_that_a_store_was_put_back_is_known_where_no_view_was_kept() -> None:
    told = Told()
    told.done, told.done_of = {key("app/s1"): 800}, {key("app/s1"): "x"}
    told.whole(500, began("x"), written("app/s1", 400), written("app/s2", 450))
    assert (told.picture.losses, told.newer()) == (1, [])
    told.whole(501, began("x"), written("app/s1", 501))
    assert told.newer() == ["app/s1"]
    assert "at revision 500 and was at 800" in told.told("fleet_store_lost")[0]


def test_a_name_of_the_data_that_somebody_deletes_is_still_its_name_while_the_watch_goes_on() -> None:
    told = Told()
    told.whole(9, began("x"), written("app/s1", 4))
    told.done, told.done_of = {key("app/s1"): 4}, {key("app/s1"): "x"}
    told.picture.take(Message(10, (Event(KEYS.began, None, 10),)), told.tell)
    assert (told.picture.view.began, told.newer()) == ("x", [])


def test_newer_intents_come_in_the_order_in_which_they_were_written() -> None:
    found: dict[IntentKey, FleetIntent] = {}
    for on, revision in (("a/1", 9), ("a/2", 3), ("a/3", 5)):
        found[key(on)] = replace(intent(on), revision=revision)
    assert [each.on for each in Since().newer(found, {key("a/3"): 5})] == ["a/2", "a/1"]


def test_numbers_of_configurations_count_up_over_a_loss() -> None:
    told = Told()
    configuration = values.configuration(replace(FleetView().configuration, number=7))
    told.whole(9, began("x"), Pair(KEYS.current, configuration, 4))
    told.whole(1)
    assert told.picture.view.configuration.number == 0
    assert told.picture.number_max == 7


def moved(*endpoints: str) -> Told:
    """Return one that has known b and an intent by the store `old`, and asks `endpoints` now."""
    told, before = Told(), Told()
    before.whole(900, began("x"), member("a"), member("b"), written("app/s1", 800))
    told.picture = Picture(KEYS, 10.0, endpoints)
    told.done = {key("app/s1"): 800}
    told.picture.recall(Kept(before.picture.view, "x", endpoints=("old",)))
    return told


def test_another_store_is_said_to_be_one_and_nobody_is_taken_for_dead_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert moved("new").picture.came_from == ("old",)
    told = moved("new")
    assert list(told.picture.view.intents) == [key("app/s1")]
    told.whole(9000, began("y"), member("a"), written("app/s2", 7))
    (said,) = told.told("fleet_store_changed")
    assert said.startswith(
        "the store at new is another one than that at old: 1 intents of the fleet are in it, and 1 of the"
    )
    assert not told.told("fleet_store_lost")
    assert not told.picture.came_from
    assert told.newer() == ["app/s2"]
    assert told.alive() == ["a", "b"]
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 60)
    told.picture.expire()
    assert (told.alive(), told.picture.view.members["b"].is_unsure) == (["a"], True)
    told.picture.take(Message(9001, (Event(KEYS.node("b"), b"{}", 9001, 6),)), told.tell)
    assert (told.alive(), told.picture.view.members["b"].is_unsure) == (["a", "b"], False)
    told.picture.take(Message(9002, (Event(KEYS.node("b"), None, 9002),)), told.tell)
    assert (told.alive(), told.picture.view.members["b"].is_unsure) == (["a"], False), "here it was seen to go"


def test_more_ways_to_the_same_store_are_no_other_store() -> None:
    told = moved("older", "old")
    told.whole(901, began("x"), member("a"), written("app/s1", 800))
    assert (told.events, told.newer(), told.picture.losses) == ([], [], 0)
    emptied = moved("older", "old")
    emptied.whole(2, began("y"), member("a"))
    assert [kind for kind, _ in emptied.events] == ["fleet_store_lost"]
    assert emptied.picture.view.members["b"].is_unsure is False


def published(number: int) -> Pair:
    configuration = replace(FleetView().configuration, number=number, by="alice", node="lb1")
    return Pair(KEYS.current, values.configuration(configuration), 4)


@pytest.mark.parametrize("is_watched", [True, False])
def test_a_configuration_that_somebody_deletes_is_said_until_there_is_another(is_watched: bool) -> None:
    told = Told()
    told.whole(9, began("x"), published(3))
    for revision in (10, 11):
        if is_watched:
            told.picture.take(Message(revision, (Event(KEYS.current, None, revision),)), told.tell)
        else:
            told.whole(revision, began("x"))
    (said,) = told.told("fleet_problem")
    assert said.startswith("configuration 3 of the fleet, which alice at lb1 has published, was deleted from the store")
    assert "(/lbapp/f/configuration/current)" in said
    assert "every node serves on as it does" in said
    assert "lbapp reload --fleet" in said
    view = told.picture.view
    assert (view.configuration.number, view.problem, view.state) == (0, said, StoreState.SYNCED)
    assert told.picture.number_max == 3
    told.whole(12, began("x"), published(4))
    assert told.picture.view.problem == ""


def test_of_a_store_that_was_emptied_it_is_not_said_as_well_that_its_configuration_is_gone() -> None:
    told = Told()
    told.whole(9, began("x"), published(3))
    told.whole(1)
    assert [kind for kind, _ in told.events] == ["fleet_store_lost"]


@pytest.mark.anyio
async def test_who_waits_for_a_change_misses_none() -> None:
    told = Told()
    seen = told.picture.turns
    told.whole(9, began("x"))
    with anyio.fail_after(5):
        turns = await told.picture.wait(seen)
        assert turns > seen
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(told.picture.wait, turns)
            await anyio.wait_all_tasks_blocked()
            told.picture.touch()
