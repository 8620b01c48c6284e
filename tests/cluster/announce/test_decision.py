"""When routers are told that clients may come, and when not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.cluster.announce.decision import Decision, Look, RouteState, Sight
from lbapp.model.announce import AnnounceSettings, RouteBackend, RouteDrain

READY, BAD = Look(Sight.READY, "the node is ready"), Look(Sight.NOT_READY, "no worker serves")
LEAVING, DRAINING = Look(Sight.LEAVING, "the node drains"), Look(Sight.DRAINING, "the node drains")


def decision(*, drain: RouteDrain = RouteDrain.MED, hold_down_s: float = 10.0) -> Decision:
    return Decision(AnnounceSettings(RouteBackend.BIRD, (), rise=2, fall=3, hold_down_s=hold_down_s, drain=drain))


def state_of(found: Decision) -> RouteState:
    return found.state


def announced(*, drain: RouteDrain = RouteDrain.MED) -> Decision:
    found = decision(drain=drain)
    assert found.take(READY, 0) == ""
    assert found.take(READY, 1) == "the node is ready"
    assert found.state is RouteState.ANNOUNCED
    return found


def test_it_starts_withdrawn_and_one_good_answer_is_not_enough() -> None:
    found = decision()
    assert found.state is RouteState.WITHDRAWN
    found.take(READY, 0)
    assert found.state is RouteState.WITHDRAWN
    assert found.is_in_the_air
    found.take(BAD, 1)
    found.take(READY, 2)
    assert found.state is RouteState.WITHDRAWN, "good answers count in a row"


def test_fewer_bad_answers_than_fall_change_nothing() -> None:
    found = announced()
    for now_s in (2, 3, 5, 6):
        assert found.take(BAD, now_s) == ""
        assert found.is_in_the_air
        if now_s == 3:
            found.take(READY, 4)
    assert state_of(found) is RouteState.ANNOUNCED
    assert found.take(BAD, 7) == "no worker serves"
    assert state_of(found) is RouteState.WITHDRAWN


def test_an_address_that_was_lost_is_held_down() -> None:
    found = announced()
    for _ in range(3):
        found.take(BAD, 5)
    assert found.held_s(5) == 10
    for now_s in range(6, 15):
        found.take(READY, now_s)
        assert found.state is RouteState.WITHDRAWN
    assert found.take(READY, 15) == "the node is ready"
    assert found.held_s(15) == 0


def test_a_drain_counts_at_once_and_so_does_its_end() -> None:
    found = announced()
    assert found.take(DRAINING, 2) == "the node drains"
    assert state_of(found) is RouteState.DRAINED
    assert found.take(READY, 3)
    assert state_of(found) is RouteState.ANNOUNCED


def test_a_drain_may_withdraw_and_its_end_is_not_held_down() -> None:
    found = announced(drain=RouteDrain.WITHDRAW)
    found.take(DRAINING, 2)
    assert (found.state, found.held_s(2)) == (RouteState.WITHDRAWN, 0)
    found.take(READY, 3)
    assert found.state is RouteState.ANNOUNCED


def test_before_its_step_a_drain_leaves_routes_as_they_are() -> None:
    found = announced()
    assert found.take(LEAVING, 2) == ""
    assert found.state is RouteState.ANNOUNCED
    starting = decision()
    for now_s in range(5):
        starting.take(LEAVING, now_s)
    assert starting.state is RouteState.WITHDRAWN, "who leaves is not brought in"


def test_a_drained_node_whose_engine_ends_is_withdrawn() -> None:
    found = announced()
    found.take(DRAINING, 2)
    for now_s in (3, 4, 5):
        found.take(BAD, now_s)
    assert found.state is RouteState.WITHDRAWN


def test_an_announcer_that_starts_in_a_drain_offers_the_node_as_the_last_one() -> None:
    found = decision()
    found.take(DRAINING, 0)
    found.take(DRAINING, 1)
    assert found.state is RouteState.DRAINED


@given(
    st.lists(st.tuples(st.sampled_from([READY, BAD, LEAVING, DRAINING]), st.floats(0.01, 5)), max_size=60),
    st.sampled_from(list(RouteDrain)),
)
def test_whatever_the_engine_says_nothing_is_announced_too_early_and_nothing_is_withdrawn_for_one_answer(
    looks: list[tuple[Look, float]], drain: RouteDrain
) -> None:
    found, now_s, lost_at_s = decision(drain=drain), 0.0, float("-inf")
    seen: list[Sight] = []
    for look, gap_s in looks:
        now_s += gap_s
        before = found.state
        why = found.take(look, now_s)
        seen.append(look.sight)
        assert bool(why) is (found.state is not before)
        if before is RouteState.WITHDRAWN and found.state is not before:
            assert Sight.NOT_READY not in seen[-2:]
            assert len(seen) >= 2
            assert now_s - lost_at_s >= 10
        if found.state is RouteState.WITHDRAWN and before is not RouteState.WITHDRAWN and look is BAD:
            assert seen[-3:] == [Sight.NOT_READY] * 3
            lost_at_s = now_s
        if drain is RouteDrain.WITHDRAW:
            assert found.state is not RouteState.DRAINED


@pytest.mark.parametrize("fall", [1, 5])
def test_fall_is_what_the_file_says(fall: int) -> None:
    found = Decision(AnnounceSettings(RouteBackend.BIRD, (), rise=1, fall=fall, hold_down_s=0))
    found.take(READY, 0)
    for count in range(1, fall + 1):
        assert found.state is RouteState.ANNOUNCED
        found.take(BAD, count)
    assert found.state is RouteState.WITHDRAWN
