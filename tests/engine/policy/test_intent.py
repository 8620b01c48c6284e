"""What still holds of a journal, and what an undo does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.policy.intent import (
    NothingToUndo,
    last_wishes,
    redone,
    replay,
    reversal,
    to_undo,
    undone_by,
    with_times,
    worth_keeping,
)
from lbapp.model.journal import Action, Change, RampLeft, Setting

WEIGHT = Setting.WEIGHT
NOW_S = 5000.0


def action(number: int, *changes: Change, group: str = "", undoes: tuple[int, ...] = ()) -> Action:
    return Action(number, 1000.0 + number, "eve", 7, 1, "", group, changes, undoes)


def weight(on: str, before: int, after: int, in_file: int = 100) -> Change:
    return Change(on, WEIGHT, before, after, in_file)


def test_last_change_of_a_setting_holds_and_what_the_file_says_anyway_is_no_wish() -> None:
    actions = [
        action(1, weight("a", 100, 50)),
        action(2, weight("a", 50, 60), weight("b", 100, 1)),
        action(3, weight("b", 1, 100)),
    ]
    found = replay(actions, {("a", WEIGHT): 100, ("b", WEIGHT): 100}, NOW_S)
    assert [(each.change.after, each.action.number) for each in found.intents] == [(60, 2)]
    assert not found.overruled
    assert not found.missing


def test_file_that_was_changed_afterwards_overrules() -> None:
    found = replay([action(1, weight("a", 100, 50))], {("a", WEIGHT): 80}, NOW_S)
    assert not found.intents
    assert [each.change.after for each in found.overruled] == [50]


def test_change_of_what_is_not_there_is_missing() -> None:
    assert [each.change.on for each in replay([action(1, weight("a", 100, 50))], {}, NOW_S).missing] == ["a"]


def test_group_is_undone_together_and_an_undo_is_no_action_to_undo() -> None:
    actions = [
        action(1, weight("a", 100, 50)),
        action(2, weight("b", 100, 9), group="g"),
        action(3, weight("c", 100, 9), group="g"),
    ]
    assert [each.number for each in to_undo(actions)] == [3, 2]
    assert [each.number for each in to_undo(actions, 1)] == [1]
    actions.append(action(4, weight("c", 9, 100), weight("b", 9, 100), undoes=(3, 2)))
    assert [each.number for each in to_undo(actions)] == [1]
    for number, said in ((2, "undone already"), (5, "no action 5")):
        with pytest.raises(NothingToUndo, match=said):
            to_undo(actions, number)


def test_every_other_one_of_undos_of_undos_without_end_is_a_redo() -> None:
    actions = [action(1), *(action(number, undoes=(number - 1,)) for number in range(2, 2001))]
    assert redone(actions) == {number: (number - 2,) for number in range(3, 2001, 2)}


def test_undo_of_an_undo_makes_its_actions_again_which_can_be_undone_then() -> None:
    actions = [
        action(1, weight("a", 100, 50), group="g"),
        action(2, weight("b", 100, 9), group="g"),
        action(3, weight("b", 9, 100), weight("a", 50, 100), undoes=(2, 1)),
    ]
    assert undone_by(actions) == {1, 2}
    assert to_undo(actions, 3) == [actions[2]]
    changes = reversal(to_undo(actions, 3), {("a", WEIGHT): 100, ("b", WEIGHT): 100}, NOW_S)
    assert sorted((each.on, each.after) for each in changes) == [("a", 50), ("b", 9)]
    actions.append(action(4, *changes, undoes=(3,)))
    assert (undone_by(actions), redone(actions)) == ({3}, {4: (2, 1)})
    with pytest.raises(NothingToUndo, match="action 3 is undone already"):
        to_undo(actions, 3)
    assert [each.number for each in to_undo(actions)] == [2, 1]
    assert [each.number for each in to_undo(actions, 4)] == [4]
    actions.append(action(5, undoes=(4,)))
    assert (undone_by(actions), redone(actions)) == ({1, 2, 4}, {4: (2, 1)})
    with pytest.raises(NothingToUndo, match="nothing to undo"):
        to_undo(actions)


def test_redo_of_a_ramp_goes_on_with_what_was_left_of_it() -> None:
    back = replace(weight("a", 0, 100), ramp_left=RampLeft(60.0, 2.0))
    (change,) = reversal([action(2, back, undoes=(1,))], {("a", WEIGHT): 100}, NOW_S)
    assert (change.before, change.after, change.until, change.abort_percent) == (100, 0, NOW_S + 60, 2.0)


def test_a_drain_that_an_undo_brings_back_has_the_time_again_that_was_asked_for() -> None:
    state = Setting.STATE
    drain = Change("node", state, "ready", "drain", "ready", until=1001.0 + 1200)
    back = Change("node", state, "drain", "ready", "ready")
    actions = [action(1, drain), action(2, back, undoes=(1,))]

    def undone(number: int, now: str) -> list[float | None]:
        taken_back = to_undo(actions, number)
        changes = reversal(taken_back, {("node", state): now}, NOW_S)
        return [each.until for each in with_times(changes, taken_back, actions, NOW_S)]

    assert undone(2, "ready") == [NOW_S + 1200]
    actions.append(action(3, replace(drain, until=NOW_S + 1200), undoes=(2,)))
    assert undone(3, "drain") == [None], "who is ready has no time"
    actions.append(action(4, replace(drain, before="drain", until=1004.0 + 60)))
    actions.append(action(5, back))
    assert undone(5, "ready") == [NOW_S + 60], "the last that was asked for"
    actions[3] = action(4, replace(drain, before="drain", until=None))
    assert undone(5, "ready") == [None], "nobody has asked for any"
    actions[3] = action(4, replace(drain, before="drain", after="maint", until=1004.0 + 60))
    assert undone(5, "ready") == [None], "it comes back from something else"


def test_reversal_goes_back_through_several_changes_of_one_setting() -> None:
    actions = [action(2, weight("a", 50, 60)), action(1, weight("a", 100, 50))]
    assert reversal(actions, {("a", WEIGHT): 60}, NOW_S) == [weight("a", 60, 100)]
    with pytest.raises(NothingToUndo, match="a is not there any more"):
        reversal(actions, {}, NOW_S)


Steps = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.sampled_from(("do", "undo", "redo"))), max_size=25
)


@given(Steps)
def test_undoing_everything_leads_back_to_the_beginning(steps: list[tuple[str, int, str]]) -> None:
    now = {(name, WEIGHT): 3 for name in "abc"}
    start = dict(now)
    actions: list[Action] = []
    for name, after, step in steps:
        if step == "redo" and not (actions and actions[-1].undoes):
            continue
        if step != "do":
            try:
                back = to_undo(actions, actions[-1].number if step == "redo" else None)
            except NothingToUndo:
                assert now == start
                continue
            changes = reversal(back, now, NOW_S)
            actions.append(action(len(actions) + 1, *changes, undoes=tuple(each.number for each in back)))
        else:
            changes = [weight(name, int(now[name, WEIGHT]), after, 3)]
            actions.append(action(len(actions) + 1, *changes))
        for change in changes:
            now[change.key] = int(change.after)
        intents = replay(actions, start, NOW_S).intents
        assert {each.change.key: each.change.after for each in intents} == {
            key: value for key, value in now.items() if value != start[key]
        }
    for _ in actions:
        try:
            back = to_undo(actions)
        except NothingToUndo:
            break
        changes = reversal(back, now, NOW_S)
        actions.append(action(len(actions) + 1, *changes, undoes=tuple(each.number for each in back)))
        for change in changes:
            now[change.key] = int(change.after)
    assert now == start


@given(st.lists(st.sampled_from("abcdef"), max_size=30), st.integers(0, 10))
def test_shorter_journal_says_the_same(names: list[str], count: int) -> None:
    actions = [action(number, weight(name, number, number + 1)) for number, name in enumerate(names, 1)]
    kept = worth_keeping(actions, count)
    assert {key: each.change for key, each in last_wishes(kept).items()} == {
        key: each.change for key, each in last_wishes(actions).items()
    }
    assert kept[len(kept) - min(count, len(actions)) :] == actions[len(actions) - min(count, len(actions)) :]
    assert len(kept) <= count + 6


def test_values_are_kept_as_they_are() -> None:
    change = Change("app", Setting.PUBLISHED, True, False, True)
    assert reversal([action(1, change)], {("app", Setting.PUBLISHED): False}, NOW_S) == [
        replace(change, before=False, after=True)
    ]


def test_weight_on_its_way_to_what_the_file_says_is_a_wish_until_it_is_there() -> None:
    ramp = replace(weight("a", 0, 100), until=6000.0)
    actions = [action(1, weight("a", 100, 0)), action(2, ramp)]
    assert [each.change for each in replay(actions, {("a", WEIGHT): 100}, NOW_S).intents] == [ramp]
    assert replay(actions, {("a", WEIGHT): 100}, 6000.0).intents == []
    assert replay(actions, {("a", WEIGHT): 90}, NOW_S).overruled[0].change == ramp, "the file is newer"


def test_undo_of_what_ended_a_ramp_has_the_weight_go_on_with_what_was_left() -> None:
    ramp = replace(weight("a", 100, 0), until=4600.0, abort_percent=2.0)
    stop = replace(weight("a", 0, 100), ramp_left=RampLeft(540.0, 2.0))
    actions = [action(1, ramp), action(2, stop)]
    (back,) = reversal(to_undo(actions), {("a", WEIGHT): 100}, NOW_S)
    assert back == replace(weight("a", 100, 0), until=NOW_S + 540.0, abort_percent=2.0)
    assert reversal([actions[1], actions[0]], {("a", WEIGHT): 100}, NOW_S) == [], "both together change nothing"


def test_undo_of_the_same_goal_at_once_goes_there_little_by_little_again() -> None:
    at_once = replace(weight("a", 0, 0), ramp_left=RampLeft(30.0))
    (back,) = reversal([action(1, at_once)], {("a", WEIGHT): 0}, NOW_S)
    assert (back.after, back.until) == (0, NOW_S + 30.0)
