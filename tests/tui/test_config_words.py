from __future__ import annotations

from lbapp.control.changes import ConfigurationKept, PlannedChange, ReloadDone
from lbapp.model.errors import Problem
from lbapp.tui.config_words import (
    apply_words,
    count_changes,
    diff_lines,
    in_the_way,
    kept_text,
    plan_lines,
    problem_lines,
)
from lbapp.tui.editing import Checked
from lbapp.tui.glyphs import FULL
from lbapp.tui.tones import plain

RUNNING = "".join(f"line{number} = {number}\n" for number in range(1, 30))


def test_difference_has_its_lines_what_was_what_is_and_what_stands_around() -> None:
    draft = RUNNING.replace("line10 = 10\n", "line10 = 11\n").replace("line20 = 20\n", "")
    lines = diff_lines(RUNNING, draft)
    assert [plain(line) for line in lines[:7]] == [
        " line 8", "   line8 = 8", "   line9 = 9", " - line10 = 10", " + line10 = 11", "   line11 = 11", "   line12 = 12",
    ]  # fmt: skip
    assert lines[3][0][1] == "bad"
    assert lines[4][0][1] == "good"
    assert count_changes(RUNNING, draft) == 2


def test_place_far_down_in_thousands_of_lines_that_are_alike_is_found_by_its_line() -> None:
    lines = ["[[pool.server]]", "weight = 100"] * 10_000
    changed = [*lines]
    changed[15_001] = "weight = 50"
    running, draft = "\n".join(lines), "\n".join(changed)
    assert count_changes(running, draft) == count_changes(draft, running) == 1
    assert [plain(line) for line in diff_lines(running, draft)] == [
        " line 15000", "   weight = 100", "   [[pool.server]]", " - weight = 100", " + weight = 50", "   [[pool.server]]",
        "   weight = 100",
    ]  # fmt: skip


def test_lines_at_the_beginning_the_end_and_all_of_them_can_be_other() -> None:
    assert count_changes("a\nb\nc", "x\nb\nc") == count_changes("a\nb\nc", "a\nb\nx") == 1
    assert count_changes("", "a\nb") == count_changes("a\nb", "") == count_changes("a\na\na", "a\na") == 1
    assert [plain(line) for line in diff_lines("a", "a\nb")] == [" line 1", "   a", " + b"]


def test_same_text_has_no_difference() -> None:
    assert diff_lines(RUNNING, RUNNING) == []
    assert count_changes(RUNNING, RUNNING) == 0


def test_what_a_terminal_might_act_on_is_not_in_the_difference() -> None:
    assert plain(diff_lines("", "a = '\x1b[2J'\n")[-1]) == " + a = '·[2J'"


def test_plan_says_what_changes_how_and_what_it_warns_of() -> None:
    plan: ReloadDone = {
        "applied": False, "number": 3, "confirm_by": None, "warnings": ["two servers share an address"],
        "changes": [{"what": "pool app", "kind": "changed", "how": "at once", "details": ["algorithm: a -> b"]},
                    {"what": "listener x", "kind": "added", "how": "", "details": []}],
    }  # fmt: skip
    assert [plain(line) for line in plan_lines(plan, FULL)] == [
        " · pool app: changed, at once", "     algorithm: a -> b", " + listener x: added", " ! two servers share an address",
    ]  # fmt: skip
    plan["changes"], plan["warnings"] = [], []
    assert "changes nothing" in plain(plan_lines(plan, FULL)[0])


def test_problems_stand_with_their_lines() -> None:
    problems = [Problem("f", 4, "pool[0].name", "is \x1bmissing"), Problem("f", 0, "", "cannot be read")]
    assert [plain(line) for line in problem_lines(problems, FULL)] == [
        " ▼ line 4: pool[0].name: is ·missing", " ▼ the file: cannot be read",
    ]  # fmt: skip


def test_configuration_that_was_applied_says_who_and_what_became_of_it() -> None:
    kept: ConfigurationKept = {
        "number": 7, "at": 0.0, "user": "alice", "reason": "more servers", "state": "reverted", "confirm_by": None,
        "is_serving": False,
    }  # fmt: skip
    assert kept_text(kept).startswith("   7  01-01 ")
    assert kept_text(kept).endswith("alice      reverted, more servers")
    assert kept_text({**kept, "is_serving": True}).endswith("alice      serves, more servers")


def test_before_a_draft_is_applied_one_reads_how_much_changes_for_how_long_and_what_is_in_the_way() -> None:
    change: PlannedChange = {"what": "pool b", "kind": "added", "how": "", "details": []}
    plan: ReloadDone = {"applied": False, "number": 1, "confirm_by": None, "changes": [change], "warnings": []}
    found = apply_words(plan, 60.0, "").split("\n")
    assert found[0] == "1 thing that serves will change."
    assert found[1:] == ["The file is written, and served on trial: it is taken back after 60 s", "unless you keep it."]
    assert apply_words({**plan, "changes": []}, 60.0, "").endswith(
        "Nothing that serves will change, so there is no trial."
    )
    assert apply_words(None, 60.0, "this is old").endswith("\n! this is old: what was written there since is lost.")
    assert in_the_way(Checked("", problems=[Problem("f", 1, "a", "is wrong")])) == "1 problem in the way: n goes there"
    assert in_the_way(Checked("", refusal="no engine answers")) == "no engine answers"
