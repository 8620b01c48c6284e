from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.policy.fleet_intent import (
    Asked,
    Here,
    change_of,
    fleet_key,
    intent_of,
    made_of,
    own_name,
    sort_out,
)
from lbapp.engine.policy.intent import replay, to_undo, worth_keeping
from lbapp.model.fleet import FleetIntent
from lbapp.model.journal import Action, Change, Setting

STATE, WEIGHT = ("app/s1", Setting.STATE), ("app/s1", Setting.WEIGHT)
DRAIN = FleetIntent("app/s1", Setting.STATE, "drain", "ready", "alice", "lb1", 100.0, revision=7)
HERE = Here("lb2", {STATE: "ready", WEIGHT: 100}, {STATE: "ready", WEIGHT: 100}, ("found",), {}, ())


def action(number: int, change: Change, **more: Any) -> Action:
    return Action(number, more.pop("at", 50.0), "bob", 1, 2, "", "", (change,), **more)


def revisions(actions: Sequence[Action]) -> dict[tuple[str, Setting], int]:
    return {key: each.fleet for key, each in made_of(actions).items()}


WEIGHED = Change("app/s1", Setting.WEIGHT, 100, 50, 100)


def test_a_change_is_the_same_after_the_way_through_the_store() -> None:
    change = Change("app/s1", Setting.WEIGHT, 100, 5, 100, 700.0, 2.5, 100)
    intent = intent_of(change, Asked("alice", "lb1", 100.0, "why", True, (3,)))
    assert (intent.by, intent.node, intent.at, intent.reason, intent.is_forced, intent.undoes) == (
        "alice", "lb1", 100.0, "why", True, (3,),
    )  # fmt: skip
    assert change_of(intent, 100) == change


def test_an_intent_is_made_once() -> None:
    (batch,) = sort_out([DRAIN], HERE)
    assert (batch.revision, batch.make) == (7, [Change("app/s1", Setting.STATE, "ready", "drain", "ready")])
    assert sort_out([DRAIN], replace(HERE, made={STATE: 7})) == []
    assert len(sort_out([replace(DRAIN, revision=8)], replace(HERE, made={STATE: 7}))) == 1


def test_what_was_written_together_is_one_batch_and_batches_come_in_order() -> None:
    weight = FleetIntent("app/s1", Setting.WEIGHT, 5, 100, "alice", "lb1", 90.0, revision=6)
    both = replace(weight, revision=7)
    assert [len(each.make) for each in sort_out([DRAIN, both], HERE)] == [2]
    assert [each.revision for each in sort_out([DRAIN, weight], HERE)] == [6, 7]


def test_a_file_that_has_another_value_beats_an_intent() -> None:
    intent = FleetIntent("app/s1", Setting.WEIGHT, 5, 80, "alice", "lb1", 100.0, revision=7)
    (batch,) = sort_out([intent], HERE)
    assert batch.make == []
    assert [(each.is_file, each.why) for each in batch.passed_over] == [
        (True, "the file has 100 here, and had 80 where it was asked for")
    ]


@pytest.mark.parametrize(
    ("seen", "at", "is_made"),
    [
        (0, 99.0, True),  # nobody knows but by the clock
        (0, 101.0, False),
        (6, 101.0, True),  # in sync: the store had it after that, whatever the clock of the other node says
        (7, 101.0, False),
        (7, 99.0, True),  # a store that was emptied has begun to count again
    ],
)
def test_the_later_of_two_decisions_holds(seen: int, at: float, is_made: bool) -> None:
    intent = FleetIntent("app/s1", Setting.WEIGHT, 5, 100, "alice", "lb1", 100.0, revision=7)
    (batch,) = sort_out([intent], replace(HERE, actions=(action(1, WEIGHED, at=at, seen=seen),)))
    assert bool(batch.make) is is_made
    assert [each.why for each in batch.passed_over] == (
        [] if is_made else ["bob has changed it on this node after that"]
    )


def test_what_is_not_here_waits_where_it_may_be_found_and_is_said_elsewhere() -> None:
    (batch,) = sort_out([replace(DRAIN, on="found/x9"), replace(DRAIN, on="app/s9")], HERE)
    assert [each.on for each in batch.later] == ["found/x9"]
    assert [each.on for each in batch.unknown] == ["app/s9"]


def test_a_node_makes_its_own_drain_and_no_other() -> None:
    here = replace(HERE, in_file={("node/lb2", Setting.STATE): "ready"}, now={("node/lb2", Setting.STATE): "ready"})
    (batch,) = sort_out([replace(DRAIN, on="node/lb1"), replace(DRAIN, on="node/lb2")], here)
    assert [each.on for each in batch.make] == ["node/lb2"]
    assert own_name(batch.make[0], "lb2").on == "node"
    assert fleet_key(("node", Setting.STATE), "lb2") == ("node/lb2", Setting.STATE)
    assert fleet_key(("node", Setting.PUBLISHED), "lb2") == ("node", Setting.PUBLISHED)  # a pool of that name


def test_an_undo_takes_back_what_the_same_revision_was_here() -> None:
    drained = action(3, Change("app/s1", Setting.STATE, "ready", "drain", "ready"), fleet=7)
    undo = replace(DRAIN, value="ready", undoes=(7,), revision=9)
    (batch,) = sort_out([undo], replace(HERE, actions=(action(2, WEIGHED), drained)))
    assert batch.undoes == (3,)


def test_what_was_taken_in_is_known_from_the_journal_also_what_was_passed_over() -> None:
    made = action(1, Change("app/s1", Setting.STATE, "ready", "drain", "ready"), fleet=7)
    passed = Action(2, 60.0, "bob", 1, 2, "", "", (), fleet=9, passed_over=(WEIGHT,))
    assert revisions([made, action(3, WEIGHED), passed]) == {STATE: 7, WEIGHT: 9}
    again = action(
        4, Change("app/s1", Setting.STATE, "drain", "ready", "ready"), fleet=2
    )  # of a store that was emptied
    assert revisions([made, passed, again]) == {STATE: 2, WEIGHT: 9}
    assert len(sort_out([replace(DRAIN, revision=3)], replace(HERE, made={STATE: 7}))) == 1


def test_what_was_seen_of_another_store_says_nothing_of_this_one() -> None:
    seen = action(1, Change("app/s1", Setting.STATE, "drain", "ready", "ready"), at=150.0, seen=3, store="x")
    (batch,) = sort_out([DRAIN], replace(HERE, actions=(seen,), store="y"))
    assert (batch.make, [each.why for each in batch.passed_over], batch.store) == (
        [], ["bob has changed it on this node after that"], "y",
    )  # fmt: skip
    assert sort_out([DRAIN], replace(HERE, actions=(seen,), store="x"))[0].make != []


def test_a_journal_that_is_shortened_keeps_what_the_fleet_has_asked_for_last() -> None:
    weighed = [action(number, WEIGHED, fleet=number if number < 3 else 0) for number in range(1, 9)]
    assert [each.number for each in worth_keeping(weighed, 2)] == [2, 7, 8]


def test_what_was_asked_of_another_node_is_no_wish_of_this_one_also_where_a_pool_has_such_a_name() -> None:
    asked = action(1, Change("node/lb2", Setting.STATE, "ready", "drain", "ready"), fleet=7)
    found = replay([asked], {("node/lb2", Setting.STATE): "ready"}, 200.0)
    assert (found.intents, found.overruled, found.missing) == ([], [], [])
    assert to_undo([asked]) == [asked]
    local = action(2, Change("node/lb2", Setting.STATE, "ready", "drain", "ready"))
    assert len(replay([local], {("node/lb2", Setting.STATE): "ready"}, 200.0).intents) == 1


def test_an_action_of_the_fleet_of_which_nothing_was_made_is_nothing_to_undo() -> None:
    passed = Action(2, 60.0, "bob", 1, 2, "", "", (), fleet=9, passed_over=(WEIGHT,))
    assert [each.number for each in to_undo([action(1, WEIGHED), passed])] == [1]


DECISIONS = st.lists(st.tuples(st.booleans(), st.integers(0, 256)), min_size=1, max_size=8)


@given(DECISIONS, st.data())
def test_a_node_has_the_last_decision_however_often_and_in_whichever_parts_it_hears_of_the_fleets(
    decisions: list[tuple[bool, int]], data: st.DataObject
) -> None:
    actions: list[Action] = []
    now, file = 100, 100
    written: FleetIntent | None = None
    wanted = 100
    for number, (is_of_fleet, weight) in enumerate(decisions, 1):
        wanted = weight
        at = float(number)
        if is_of_fleet:
            written = FleetIntent("app/s1", Setting.WEIGHT, weight, file, "alice", "lb1", at, revision=number)
        else:
            change = Change("app/s1", Setting.WEIGHT, now, weight, file)
            actions.append(Action(len(actions) + 1, at, "bob", 1, 2, "", "", (change,), seen=number))
            now = weight
        # This node hears of the fleet's last intent now, twice, or later.
        is_last = number == len(decisions)
        for _ in range(data.draw(st.integers(1 if is_last else 0, 2))):
            here = Here("lb2", {WEIGHT: file}, {WEIGHT: now}, (), revisions(actions), actions)
            for batch in sort_out([written] if written else [], here):
                passed = tuple((each.intent.on, each.intent.setting) for each in batch.passed_over)
                actions.append(
                    Action(
                        len(actions) + 1, at, "alice@lb1", None, None, "", "", tuple(batch.make), fleet=batch.revision,
                        passed_over=passed,
                    )
                )  # fmt: skip
                now = int(batch.make[0].after) if batch.make else now
    assert now == wanted
    restored = replay(actions, {WEIGHT: file}, 1e9).intents
    assert (int(restored[0].change.after) if restored else file) == wanted
