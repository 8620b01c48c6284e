from __future__ import annotations

import time

import pytest

from lbapp.engine.supervisor.quorum_check import check_quorum
from lbapp.model.errors import RequestRefused
from lbapp.model.fleet import FleetIntent, Member
from lbapp.model.journal import Setting
from tests.engine.supervisor.fleet_support import Joined, joined

pytestmark = pytest.mark.anyio


def asked(node: str, value: str = "drain", revision: int = 5) -> FleetIntent:
    return FleetIntent("node/" + node, Setting.STATE, value, "ready", "carol", "lb1", time.time(), revision=revision)


def fleet_of_three(node: Joined, **state: object) -> None:
    node.store.know(*(Member(name, {}, {"ready": True, "fleet_revision": 4, **state}) for name in ("lb2", "lb3")))


@pytest.mark.parametrize(
    ("value", "known", "may"),
    [
        ("drain", 4, False),  # it does not say yet what it makes of that
        ("drain", 5, True),  # it knows, and says that it is ready: somebody has ended that there
        ("ready", 4, True),
    ],
)
async def test_a_member_that_is_about_to_drain_is_not_counted_as_ready(value: str, known: int, may: bool) -> None:
    with joined() as node:
        fleet_of_three(node, fleet_revision=known)
        check_quorum(node.link, "lb3", is_self_ready=True)
        node.store.put(asked("lb2", value))
        if may:
            check_quorum(node.link, "lb3", is_self_ready=True)
            return
        with pytest.raises(RequestRefused, match="1 of 3 members would be ready without lb3"):
            check_quorum(node.link, "lb3", is_self_ready=True)
