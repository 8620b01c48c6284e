from __future__ import annotations

from typing import Any

import pytest

from lbapp.tui.audit import NEAR_S, Audit
from tests.tui.happened import AT, BOB, ENGINE, action, event

BACK = [{"on": "app/s1", "setting": "state", "before": "drain", "after": "ready"}]


def test_action_of_an_event_has_its_number_and_reason() -> None:
    journal = Audit([action()])
    assert journal.word(event()) == "no. 7"
    assert journal.lines(event()) == [("action", "no. 7"), ("reason", "kernel update"), ("undone", "no")]


@pytest.mark.parametrize(
    "more",
    [
        {"subject": "app/s2"},
        {"after": "maint"},
        {"before": "maint"},
        {"actor": BOB},
        {"actor": None},
        {"actor": ENGINE},
        {"kind": "weight_changed"},
        {"kind": "server_went_down"},
        {"at": AT + 2 * NEAR_S},
    ],
)
def test_event_that_differs_in_anything_is_of_no_action(more: dict[str, Any]) -> None:
    journal = Audit([action()])
    assert journal.action_of(event(**more)) is None
    assert journal.word(event(**more)) == ""
    assert journal.lines(event(**more)) == []


def test_of_two_that_are_alike_the_nearest_is_meant() -> None:
    journal = Audit([action(7, at=AT - 3), action(8, at=AT)])
    assert journal.word(event()) == "no. 8"


def test_undone_action_says_by_which() -> None:
    undo = action(9, actor=BOB, changes=BACK, undoes=[7], at=AT + 60)
    journal = Audit([action(is_undone=True), undo])
    assert journal.word(event()) == "undone"
    assert ("undone", "by no. 9 of bob") in journal.lines(event())
    back = event(2, actor=BOB, before="drain", after="ready", at=AT + 60)
    assert journal.word(back) == "undid 7"
    assert ("takes back", "no. 7") in journal.lines(back)


def test_action_that_was_undone_by_one_that_is_not_known_is_still_undone() -> None:
    assert ("undone", "yes") in Audit([action(is_undone=True)]).lines(event())


def test_weights_are_found_although_one_is_a_number_and_one_text() -> None:
    change = [{"on": "app/s1", "setting": "weight", "before": 100, "after": 50}]
    journal = Audit([action(changes=[*change, *BACK])])
    found = event(kind="weight_changed", before="100", after=50)
    assert journal.word(found) == "no. 7"
    assert ("with it", "2 settings were changed") in journal.lines(found)
