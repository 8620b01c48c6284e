from __future__ import annotations

from typing import Any

from lbapp.control.changes import ActionDone
from lbapp.tui.actions.undoing import UNDO_S, changed_since, redo_reason, to_redo, to_undo, told, told_since

ALICE, BOB = 1, 2


def action(number: int, uid: int = ALICE, *ids: str, after: str = "drain", **more: Any) -> ActionDone:
    changes = [{"on": each, "setting": "state", "before": "ready", "after": after} for each in ids or ("app/s1",)]
    found: Any = {
        "number": number, "at": 100.0, "actor": {"uid": uid, "user": {1: "alice", 2: "bob"}[uid], "pid": 1}, "reason": "",
        "group": "", "changes": changes, "undoes": [], "is_undone": False,
    }  # fmt: skip
    return found | more  # type: ignore[no-any-return]


def test_my_newest_action_that_is_not_undone_is_taken_back() -> None:
    actions = [action(1), action(2), action(3, is_undone=True), action(4, BOB), action(5, undoes=[3])]
    found = to_undo(actions, ALICE, 200.0)
    assert found is not None
    assert found["number"] == 2
    assert to_undo(actions, 77, 200.0) is None


def test_nothing_older_than_half_an_hour_is_taken_back_or_done_again() -> None:
    assert to_undo([action(1)], ALICE, 100.0 + UNDO_S) is not None
    assert to_undo([action(1)], ALICE, 101.0 + UNDO_S) is None
    undo = action(2, undoes=[1])
    assert to_redo([action(1, is_undone=True), undo], ALICE, 100.0 + UNDO_S) == undo
    assert to_redo([action(1, is_undone=True), undo], ALICE, 101.0 + UNDO_S) is None


def test_undo_is_done_again_once_and_not_behind_something_else_of_mine() -> None:
    undo = action(2, undoes=[1])
    actions = [action(1, is_undone=True), undo, action(3, BOB)]
    assert to_redo(actions, ALICE, 200.0) == undo
    assert to_redo([*actions, action(4, reason=redo_reason(undo))], ALICE, 200.0) is None
    assert to_redo([*actions, action(4)], ALICE, 200.0) is None


def test_what_was_done_again_elsewhere_or_changed_nothing_is_not_done_again() -> None:
    """The engine's own redo is an undo of an undo: to do that again would take back what it made again."""
    undone = [action(1), action(2, undoes=[1], is_undone=True)]
    assert to_redo([*undone, action(3, undoes=[2], redoes=[1])], ALICE, 200.0) is None
    assert to_redo([action(1, is_undone=True), action(2, undoes=[1], changes=[])], ALICE, 200.0) is None


def test_two_undos_are_done_again_one_after_the_other() -> None:
    first, second = action(3, undoes=[2]), action(4, undoes=[1])
    actions = [action(1, is_undone=True), action(2, is_undone=True), first, second]
    assert to_redo(actions, ALICE, 200.0) == second
    assert to_redo([*actions, action(5, reason=redo_reason(second))], ALICE, 200.0) == first


def test_who_changed_it_since_is_named() -> None:
    mine, other = action(1), action(3, BOB, after="maint")
    assert changed_since([mine, action(2, BOB, "app/s9")], mine) is None
    by = changed_since([mine, other], mine)
    assert by == other
    assert told_since(mine, other, 110.0) == "app/s1 was changed by bob 10s ago (maint app/s1); nothing was done"


def test_action_is_told_in_a_few_words() -> None:
    assert told(action(1, ALICE, "app/s1", "app/s2", "app/s3", after="hard_drain")) == "hard drain app/s1 and 2 more"
    change: Any = {"on": "app", "setting": "published", "before": True, "after": False}
    assert told(action(1, changes=[change])) == "unpublish app"
    assert told(action(1, changes=[{**change, "on": "app/s1", "setting": "weight", "after": 5}])) == "weight 5 app/s1"


def test_what_is_of_the_whole_fleet_is_mine_by_my_name_on_whichever_node() -> None:
    by_alice = action(1, fleet=12, actor={"uid": None, "user": "alice@lb2", "pid": None})
    by_bob = action(2, fleet=13, actor={"uid": None, "user": "bob@lb1", "pid": None})
    assert to_undo([by_alice, by_bob], ALICE, 200.0, "alice") == by_alice
    assert to_undo([by_bob], ALICE, 200.0, "alice") is None
    assert to_undo([by_alice], ALICE, 200.0) is None  # whose name is not known
    assert told(by_alice) == "drain app/s1 on all nodes"
    of_node = action(4, fleet=15, changes=[{"on": "node/lb2", "setting": "state", "before": "ready", "after": "drain"}])
    assert told(of_node) == "drain node/lb2"
    undo = action(3, fleet=14, undoes=[1], actor={"uid": None, "user": "alice@lb1", "pid": None})
    assert to_redo([by_alice, undo], ALICE, 200.0, "alice") == undo
