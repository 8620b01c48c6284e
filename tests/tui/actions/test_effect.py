from __future__ import annotations

from typing import Any

import pytest

from lbapp.control.changes import PoolPlan
from lbapp.tui.actions.effect import effect_of, first_grade, node_effect, reload_effect, word_to_type
from lbapp.tui.actions.order import weight_wish
from tests.tui.actions.rows import order, scene


def plan(after: int, of: int = 3, **more: Any) -> PoolPlan:
    shares: Any = [
        {"server": f"app/s{number}", "before": 1 / of, "after": 1 / after if after and number <= after else 0.0}
        for number in range(1, of + 1)
    ]
    found: PoolPlan = {
        "pool": "app", "requests_per_s": 36.0, "eligible_before": of, "eligible_after": after, "leaves_nobody": not after,
        "failover": None, "peak_in_flight": 0, "peak_at": None, "too_little": "", "keys_moved": None, "shares": shares,
    }  # fmt: skip
    return found | more  # type: ignore[return-value]  # fields of a plan


def test_drain_is_told_in_numbers() -> None:
    shown = scene()
    found = effect_of(order("server.drain", shown, "app/s3", state="drain"), [plan(2, keys_moved=0.25)], shown)
    assert found.lines == (
        "3 in flight finish within the timeout, 12 req/s move to 2 other servers.",
        "2 of 3 servers of app stay for new clients (3 now).",
        "Shares: s1 33.3% -> 50.0%, s2 33.3% -> 50.0%",
        "25.0% of the keys move to another server.",
    )
    assert (found.grade, found.needs_force) == ("B", False)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (plan(0), "! NONE stays: new clients get 503."),
        (plan(0, failover="spare"), "! NONE stays: pool spare takes over."),
        (plan(2, too_little="app/s1 would get 90"), "! Too few are left: app/s1 would get 90."),
    ],
)
def test_what_the_engine_refuses_is_typed_and_alone_needs_force(found: PoolPlan, words: str) -> None:
    shown = scene()
    told = effect_of(order("server.drain", shown, "app/s3", state="drain"), [found], shown)
    assert words in told.lines
    assert (told.grade, told.needs_force) == ("C", True)


def test_a_quarter_of_a_pool_from_two_servers_on_and_more_than_ten_are_typed() -> None:
    shown = scene(app=12)
    for ids, grade in ((1, "B"), (3, "B"), (4, "C")):
        some = order("server.drain", shown, *(f"app/s{number}" for number in range(1, ids + 1)), state="drain")
        told = effect_of(some, [plan(12 - ids, 12)], shown)
        assert (told.grade, told.needs_force) == (grade, False)
    many = order("server.ready", shown, *(f"app/s{number}" for number in range(1, 12)), state="ready")
    assert effect_of(many, [plan(12, 12)], shown).grade == "C"


def test_one_server_of_two_is_asked_about_and_not_typed() -> None:
    shown = scene(app=2)
    assert effect_of(order("server.maint", shown, "app/s1", state="maint"), [plan(1, 2)], shown).grade == "B"


def test_kill_is_always_typed_and_never_forced() -> None:
    shown = scene()
    told = effect_of(order("server.kill", shown, "app/s1", "app/s2"), [], shown)
    assert told.lines[0] == "6 in flight are ended now, by force; their clients see an error."
    assert (told.grade, told.needs_force) == ("C", False)


def test_class_before_anything_is_known_follows_the_weight() -> None:
    shown = scene(app=12)
    ids = [f"app/s{number}" for number in range(1, 13)]
    assert first_grade(order("server.weight", shown, "app/s1", weight=weight_wish("5"))) == "A"
    assert first_grade(order("server.weight", shown, "app/s1", weight=weight_wish("0"))) == "B"
    assert first_grade(order("server.weight", shown, *ids, weight=weight_wish("5"))) == "B"
    assert first_grade(order("server.kill", shown, "app/s1")) == "C"


def test_word_is_the_pool_of_all_servers_or_their_number() -> None:
    shown = scene(img=1)
    assert word_to_type(order("server.drain", shown, "app/s1", "app/s2")) == "app"
    assert word_to_type(order("server.drain", shown, "app/s1", "img/i1")) == "2"


def test_rollback_lists_what_changes_and_the_node_whom_it_asks() -> None:
    changes: Any = [{"what": f"server {number}", "kind": "removed", "how": "", "details": []} for number in range(10)]
    done: Any = {"applied": False, "number": 3, "confirm_by": None, "changes": changes, "warnings": ["old"]}
    assert reload_effect(done).lines[-2:] == ("and 2 more", "! old")
    done["changes"], done["warnings"] = [], []
    assert reload_effect(done).lines == ("Nothing changes.",)
    assert "7 connections" in node_effect(scene()).lines[0]
