"""What still holds of a journal, and what an undo does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.policy.intent import NothingToUndo, last_wishes, replay, reversal, to_undo, worth_keeping
from lbapp.model.journal import Action, Change, Setting

WEIGHT = Setting.WEIGHT


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
    found = replay(actions, {("a", WEIGHT): 100, ("b", WEIGHT): 100})
    assert [(each.change.after, each.action.number) for each in found.intents] == [(60, 2)]
    assert not found.overruled
    assert not found.missing


def test_file_that_was_changed_afterwards_overrules() -> None:
    found = replay([action(1, weight("a", 100, 50))], {("a", WEIGHT): 80})
    assert not found.intents
    assert [each.change.after for each in found.overruled] == [50]


def test_change_of_what_is_not_there_is_missing() -> None:
    assert [each.change.on for each in replay([action(1, weight("a", 100, 50))], {}).missing] == ["a"]


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
    for number, said in ((2, "undone already"), (4, "is an undo itself"), (5, "no action 5")):
        with pytest.raises(NothingToUndo, match=said):
            to_undo(actions, number)


def test_reversal_goes_back_through_several_changes_of_one_setting() -> None:
    actions = [action(2, weight("a", 50, 60)), action(1, weight("a", 100, 50))]
    assert reversal(actions, {("a", WEIGHT): 60}) == [weight("a", 60, 100)]
    with pytest.raises(NothingToUndo, match="a is not there any more"):
        reversal(actions, {})


Steps = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.booleans()), max_size=25)


@given(Steps)
def test_undoing_everything_leads_back_to_the_beginning(steps: list[tuple[str, int, bool]]) -> None:
    now = {(name, WEIGHT): 3 for name in "abc"}
    start = dict(now)
    actions: list[Action] = []
    for name, after, is_undo in steps:
        if is_undo:
            try:
                back = to_undo(actions)
            except NothingToUndo:
                assert now == start
                continue
            changes = reversal(back, now)
            actions.append(action(len(actions) + 1, *changes, undoes=tuple(each.number for each in back)))
        else:
            changes = [weight(name, int(now[name, WEIGHT]), after, 3)]
            actions.append(action(len(actions) + 1, *changes))
        for change in changes:
            now[change.key] = int(change.after)
        intents = replay(actions, start).intents
        assert {each.change.key: each.change.after for each in intents} == {
            key: value for key, value in now.items() if value != start[key]
        }
    for _ in actions:
        try:
            back = to_undo(actions)
        except NothingToUndo:
            break
        changes = reversal(back, now)
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
    assert reversal([action(1, change)], {("app", Setting.PUBLISHED): False}) == [
        replace(change, before=False, after=True)
    ]
