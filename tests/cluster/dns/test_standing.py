"""When a node counts as ready, and when another counts as dead."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.cluster.dns.standing import Fellows, Standing
from lbapp.control.fleet import FleetStatus
from tests.cluster.dns.support import fleet_status


def test_nothing_is_decided_before_enough_answers_agree() -> None:
    standing = Standing(rise=2, fall=3)
    assert [standing.hear(answer) for answer in (True, False, False, True)] == [False] * 4
    assert standing.is_ready is None


def test_rise_and_fall_are_counted_in_a_row() -> None:
    standing = Standing(rise=2, fall=3)
    heard = [standing.hear(answer) for answer in (True, True, False, False, True, False, False, False, True, True)]
    assert heard == [False, True, False, False, False, False, False, True, False, True]


def test_it_wavers_from_the_first_answer_that_is_other_until_it_has_decided() -> None:
    standing = Standing(rise=2, fall=2)
    wavers = []
    for answer in (True, True, False, True, False, False):
        standing.hear(answer)
        wavers.append(standing.is_wavering)
    assert wavers == [True, False, True, False, True, False]


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 4), st.integers(1, 4))
def test_it_changes_only_after_that_many_answers_of_the_other_kind(answers: list[bool], rise: int, fall: int) -> None:
    standing = Standing(rise, fall)
    for at, answer in enumerate(answers):
        before = standing.is_ready
        if standing.hear(answer):
            needed = rise if answer else fall
            assert before is not answer
            assert answers[at + 1 - needed : at + 1] == [answer] * needed
        assert standing.is_ready in (before, answer)


def fellows(grace_s: float = 10.0) -> Fellows:
    found = Fellows("lb1", grace_s)
    found.noted = frozenset({"lb1", "lb2", "lb3"})
    return found


def test_node_whose_lease_is_gone_is_dead_after_the_grace() -> None:
    judge = fellows()
    judge.hear(fleet_status("lb1", "lb2", "lb3"), 0.0)
    judge.hear(fleet_status("lb1", "lb3", dead=["lb2"]), 5.0)
    judge.hear(fleet_status("lb1", "lb3"), 14.9)
    assert not judge.dead
    judge.hear(fleet_status("lb1", "lb3"), 15.0)
    assert judge.dead == {"lb2"}
    judge.hear(fleet_status("lb1", "lb2", "lb3"), 16.0)
    assert not judge.dead


SILENCES: list[FleetStatus | None] = [
    None,
    fleet_status("lb1", state="stale"),
    fleet_status("lb1", state="starting"),
    fleet_status("lb3"),  # a view without the node itself
    fleet_status("lb1", fleet=""),
    fleet_status("lb1", node="lb9"),
]


@pytest.mark.parametrize("silence", SILENCES)
def test_view_that_is_not_sound_makes_nobody_dead_and_the_grace_begins_anew(silence: FleetStatus | None) -> None:
    judge = fellows()
    judge.hear(fleet_status("lb1"), 0.0)
    judge.hear(fleet_status("lb1"), 100.0)
    assert judge.dead == {"lb2", "lb3"}
    judge.hear(silence, 101.0)
    assert not judge.dead
    assert not judge.is_member
    judge.hear(fleet_status("lb1"), 102.0)
    judge.hear(fleet_status("lb1"), 111.9)
    assert not judge.dead
    judge.hear(fleet_status("lb1"), 112.0)
    assert judge.dead == {"lb2", "lb3"}


def test_whom_another_store_knew_and_this_one_does_not_is_not_dead_by_that() -> None:
    judge = fellows(grace_s=5.0)
    judge.hear(fleet_status("lb1", "lb2", "lb3"), 0.0)
    judge.hear(fleet_status("lb1", dead=["lb3"], unsure=["lb2"]), 1.0)
    judge.hear(fleet_status("lb1", dead=["lb3"], unsure=["lb2"]), 100.0)
    assert judge.dead == {"lb3"}
    judge.hear(fleet_status("lb1", "lb2", dead=["lb3"]), 101.0)  # it has come here
    judge.hear(fleet_status("lb1", dead=["lb2", "lb3"]), 102.0)
    judge.hear(fleet_status("lb1", dead=["lb2", "lb3"]), 107.0)
    assert judge.dead == {"lb2", "lb3"}


def test_who_has_no_note_of_this_fleet_is_nobody_and_the_node_itself_never_dead() -> None:
    judge = fellows(grace_s=0.0)
    judge.noted = frozenset({"lb1"})
    judge.hear(fleet_status("lb1", dead=["lb2", "lb3"]), 0.0)
    assert not judge.dead


def test_engine_that_calls_the_node_otherwise_is_said_and_makes_nobody_dead() -> None:
    judge = fellows(grace_s=0.0)
    wrong = judge.hear(fleet_status("lb9", node="lb9"), 0.0)
    assert wrong == 'the engine calls this node lb9, the file lb1: write node = "lb9"'
    assert (judge.fleet, judge.is_member, judge.dead) == ("", False, frozenset())


def test_silence_leaves_the_name_of_the_fleet() -> None:
    judge = fellows()
    assert judge.fleet is None
    judge.hear(fleet_status("lb1"), 0.0)
    judge.hear(None, 1.0)
    assert judge.fleet == "web"


_STEPS: Any = st.lists(
    st.tuples(
        st.floats(0.1, 7.0),
        st.sampled_from(["synced", "stale"]),
        st.frozensets(st.sampled_from(["lb1", "lb2", "lb3"])),
    ),
    max_size=30,
)


@given(_STEPS)
def test_dead_is_only_who_was_missing_in_sound_views_for_the_whole_grace(
    steps: list[tuple[float, Any, frozenset[str]]],
) -> None:
    judge, now_s = fellows(), 0.0
    past: list[tuple[float, frozenset[str] | None]] = []
    for pause_s, state, alive in steps:
        now_s += pause_s
        judge.hear(fleet_status(*alive, state=state), now_s)
        past.append((now_s, alive if state == "synced" and "lb1" in alive else None))
        for name in judge.dead:
            since_s = now_s
            for at_s, seen in reversed(past):
                if seen is None or name in seen:
                    break
                since_s = at_s
            assert now_s - since_s >= 10.0
