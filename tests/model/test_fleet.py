from __future__ import annotations

from lbapp.model.fleet import ALONE, FleetView, Member, StoreState


def test_a_single_node_has_no_store_and_no_members() -> None:
    assert ALONE.state is StoreState.OFF
    assert ALONE.alive == []


def test_members_that_live_come_by_name() -> None:
    names = ("b", "c", "a")
    view = FleetView(members={name: Member(name, {}, is_alive=name != "c") for name in names})
    assert [member.name for member in view.alive] == ["a", "b"]
