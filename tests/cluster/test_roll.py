from __future__ import annotations

from collections.abc import Collection, Sequence

from hypothesis import given
from hypothesis import strategies as st

from lbapp.cluster.roll import is_over, may_take, moved_on, mover
from lbapp.model.fleet import ConfigurationResult, FleetConfiguration, RollMode

ORDER = ("a", "b", "c")
ROLL = FleetConfiguration(5, RollMode.ROLLING, "alice", "a", order=ORDER, reached=1)


def results(*served: str, failed: Sequence[str] = (), number: int = 5) -> dict[str, ConfigurationResult]:
    every = [*served, *failed]
    return {node: ConfigurationResult(number, node, 1.0, "no" if node in failed else "") for node in every}


def takers(roll: FleetConfiguration, found: dict[str, ConfigurationResult], alive: Collection[str]) -> list[str]:
    return [node for node in (*ORDER, "new") if may_take(roll, found, alive, node)]


def test_at_once_everybody_may_take_it_once() -> None:
    at_once = FleetConfiguration(5)
    assert takers(at_once, {}, ORDER) == ["a", "b", "c", "new"]
    assert takers(at_once, results("a", failed=["b"]), ORDER) == ["c", "new"]
    assert takers(at_once, results("a", number=4), ORDER) == ["a", "b", "c", "new"]
    assert moved_on(at_once, {}, ORDER) is None


def test_of_no_configuration_nobody_takes_anything() -> None:
    assert takers(FleetConfiguration(), {}, ORDER) == []


def test_a_roll_goes_on_when_its_node_serves() -> None:
    assert takers(ROLL, {}, ORDER) == ["a"]
    assert moved_on(ROLL, {}, ORDER) is None
    second = moved_on(ROLL, results("a"), ORDER)
    assert second is not None
    assert second.reached == 2
    assert takers(second, results("a"), ORDER) == ["b"]


def test_a_roll_is_stopped_by_the_first_that_does_not_serve() -> None:
    stopped = moved_on(ROLL, results(failed=["a"]), ORDER)
    assert stopped is not None
    assert stopped.stopped == "a does not serve by it: no"
    assert takers(stopped, results(failed=["a"]), ORDER) == []
    assert moved_on(stopped, results(failed=["a"]), ORDER) is None
    assert is_over(stopped, {}, ORDER)


def test_who_is_dead_is_passed_over_and_takes_it_when_it_comes_back() -> None:
    third = moved_on(ROLL, results("a"), ["a", "c"])
    assert third is not None
    assert third.reached == 3
    assert takers(third, results("a"), ["a", "c"]) == ["b", "c"]  # b is dead and asks for nothing
    assert not is_over(third, results("a"), ["a", "c"])
    assert is_over(third, results("a", "c"), ["a", "c"])
    assert takers(third, results("a", "c"), ORDER) == ["b", "new"]


def test_a_roll_stops_at_a_node_that_dies_while_it_begins_to_serve() -> None:
    begun = {**results("a"), "b": ConfigurationResult(5, "b", 1.0, has_only_begun=True)}
    second = FleetConfiguration(5, RollMode.ROLLING, order=ORDER, reached=2)
    assert moved_on(second, begun, ORDER) is None
    assert takers(second, begun, ORDER) == ["b"]
    stopped = moved_on(second, begun, ["a", "c"])
    assert stopped is not None
    assert (stopped.stopped, stopped.reached) == ("b is gone since it began to serve by it", 2)
    last = FleetConfiguration(5, RollMode.ROLLING, order=("a", "b"), reached=2)
    assert moved_on(last, begun, ["a"]) is not None
    earlier = {"b": ConfigurationResult(4, "b", 1.0, has_only_begun=True)}
    assert moved_on(second, {**results("a"), **earlier}, ["a", "c"]) == FleetConfiguration(
        5, RollMode.ROLLING, order=ORDER, reached=3
    )


def test_who_comes_back_and_does_not_serve_ends_it_for_others_that_are_still_away() -> None:
    last = FleetConfiguration(5, RollMode.ROLLING, order=ORDER, reached=3)
    after = moved_on(last, results("a", failed=["b"]), ["a", "b"])
    assert after is not None
    assert takers(after, results("a", failed=["b"]), ORDER) == []


def test_who_is_new_waits_for_the_end_of_a_roll() -> None:
    last = FleetConfiguration(5, RollMode.ROLLING, order=ORDER, reached=3)
    assert "new" not in takers(last, results("a", "b"), ORDER)
    assert "new" in takers(last, results("a", "b", "c"), ORDER)


def test_a_roll_is_moved_by_who_published_or_the_first_that_lives() -> None:
    assert mover(ROLL, {"a", "b"}) == "a"
    assert mover(ROLL, {"c", "b"}) == "b"
    assert mover(ROLL, set()) == ""


@given(st.data())
def test_in_any_roll_nobody_serves_before_those_before_it_and_all_that_live_do_in_the_end(data: st.DataObject) -> None:
    roll, found = ROLL, dict[str, ConfigurationResult]()
    alive = data.draw(st.sets(st.sampled_from(ORDER)))
    for _ in range(2 * len(ORDER) + 2):
        for node in sorted(alive):
            if may_take(roll, found, alive, node):
                before = ORDER[: ORDER.index(node)]
                assert all(each in found for each in before if each in alive)
                found |= results(node)
        roll = moved_on(roll, found, alive) or roll
    assert set(found) == alive
    assert is_over(roll, found, alive)
