"""The order of those who wait."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.policy.waiting import WaitingLines


@dataclass(eq=False)
class Person:
    wants: Hashable
    arrived_ns: int = field(default=0)


Wants = st.lists(st.sampled_from([None, 1, 2, 3]), max_size=30)


def lines_of(wants: list[int | None]) -> tuple[WaitingLines[Person], list[Person]]:
    people = [Person(want, at) for at, want in enumerate(wants)]
    lines: WaitingLines[Person] = WaitingLines()
    for person in people:
        lines.add(person)
    return lines, people


@given(Wants, st.sets(st.sampled_from([None, 1, 2, 3])), st.integers(0, 30))
def test_who_came_first_is_served_first_of_those_whom_it_suits(
    wants: list[int | None], free: set[int | None], places: int
) -> None:
    lines, people = lines_of(wants)
    done = list(islice(lines.serve(lambda person: person.wants in free), places))
    assert done == [person for person in people if person.wants in free][:places]
    assert lines.length == len(people) - len(done)
    assert sorted(lines.everybody(), key=people.index) == [person for person in people if person not in done]


@given(Wants, st.data())
def test_who_leaves_is_passed_over(wants: list[int | None], data: st.DataObject) -> None:
    lines, people = lines_of(wants)
    gone = data.draw(st.lists(st.sampled_from(people), unique=True)) if people else []
    for person in gone:
        lines.remove(person)
    assert list(lines.serve(lambda _: True)) == [person for person in people if person not in gone]
    assert not lines


@given(st.lists(st.integers(0, 20)), st.integers(0, 20))
def test_overdue_are_those_who_came_before(arrivals: list[int], before: int) -> None:
    lines: WaitingLines[Person] = WaitingLines()
    people = [Person(None, arrived) for arrived in arrivals]  # as when the wishes of many change at once
    for person in people:
        lines.add(person)
    assert set(lines.overdue(before)) == {person for person in people if person.arrived_ns < before}
    first = lines.first_of(None)
    assert first is None or first.arrived_ns == min(arrivals)
    assert lines.first_of(1) is None
