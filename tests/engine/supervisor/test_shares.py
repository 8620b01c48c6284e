from __future__ import annotations

from dataclasses import replace

from lbapp.engine.policy.shares import Place
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.supervisor.shares import Shares
from lbapp.model.admission import Admission
from lbapp.model.capacity import Capacity
from lbapp.model.entities import Configuration
from tests.engine.supervisor.support import Parts, configured, parts


def shared() -> Configuration:
    plain = configured()
    pool = plain.pools[0]
    one = replace(pool.servers[0], connections_max=3, fleet_connections_max=9)
    pool = replace(pool, servers=(one, pool.servers[1]), capacity=Capacity(fleet_connections_max=10))
    listener = replace(plain.listeners[0], admission=Admission(connections_max=100, fleet_connections_max=100))
    return replace(plain, pools=(pool,), listeners=(listener,))


def limits(own: Parts) -> tuple[int, int, int, int]:
    segment = own.running.segment
    return (
        segment.cells[segment.layout.pool_connections_max(0)],
        own.state_cell("s1", at.STATE_CONNECTIONS_MAX),
        own.state_cell("s2", at.STATE_CONNECTIONS_MAX),
        segment.cells[segment.layout.listener_connections_max(0)],
    )


def test_limits_are_others_from_the_moment_in_which_the_members_are() -> None:
    with parts(shared()) as own:
        shares = Shares(own.running, own.states, own.events)
        shares.begin(Place(0, 1))
        assert limits(own) == (10, 3, 0, 100)  # of the server its own limit is the smaller one
        before = own.pool_version()
        shares.take(Place(1, 4))
        assert limits(own) == (3, 2, 0, 25)
        assert own.pool_version() > before  # or who waits would not be told
        assert [event["after"] for event in own.events.after(0)] == [4]
        shares.take(Place(1, 4))
        assert own.kinds() == ["shares_changed"]


def test_nothing_is_said_where_nothing_is_shared() -> None:
    with parts() as own:
        shares = Shares(own.running, own.states, own.events)
        shares.begin(Place(0, 1))
        shares.take(Place(1, 4))
        assert own.kinds() == []
        assert limits(own) == (0, 0, 0, 0)
