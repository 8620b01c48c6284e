"""Events about pools as a whole, from states and from the cells that workers write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from lbapp.engine.scoreboard import layout as at
from lbapp.engine.supervisor.pool_watch import PoolWatch, Situation
from lbapp.model.capacity import Capacity
from lbapp.model.entities import Configuration, Pool, Server
from lbapp.model.limits import OVERLOAD_QUIET_S
from lbapp.model.outcomes import Outcome
from lbapp.model.states import AdminState
from tests.engine.supervisor.support import Parts, configured, parts


def pools() -> Configuration:
    """Return app with s1 and a backup b, spare that takes over for it, and last that does for spare."""
    app = Pool(
        "app",
        (Server("app", "s1", "127.0.0.1", 1, connections_max=5), Server("app", "b", "127.0.0.1", 2, is_backup=True)),
        capacity=Capacity(failover="spare"),
    )
    spare = Pool("spare", (Server("spare", "s", "127.0.0.1", 3),), capacity=Capacity(failover="last"))
    last = Pool("last", (Server("last", "s", "127.0.0.1", 4),))
    return replace(configured(), pools=(app, spare, last))


@contextmanager
def watching() -> Iterator[tuple[Parts, PoolWatch, Pool]]:
    with parts(pools()) as own:
        yield own, PoolWatch(own.running, own.states, own.events), own.running.configuration.pools[0]


def set_admin(own: Parts, server: str, admin: AdminState) -> None:
    own.states.set_admin(own.states.by_id[server], admin, None)


def said(own: Parts, watch: PoolWatch) -> str:
    """Return what the next look says, if anything."""
    before = own.events.after(0)[-1]["seq"] if own.events.after(0) else 0
    watch.look(0.0)
    return "; ".join(f"{event['kind']}: {event['message']}" for event in own.events.after(before))


def test_who_serves_a_pool_is_said_when_it_changes() -> None:
    with watching() as (own, watch, app):
        assert said(own, watch) == ""
        assert (watch.situation(app), watch.served_by(app)) == (Situation.SERVERS, "app")
        assert [state.server.name for state in watch.eligible(app)] == ["s1"]
        set_admin(own, "app/s1", AdminState.MAINT)
        assert said(own, watch) == "pool_on_backups: pool app has no eligible server but its backups: they serve it"
        assert [state.server.name for state in watch.eligible(app)] == ["b"]
        assert said(own, watch) == ""
        set_admin(own, "app/b", AdminState.MAINT)
        assert said(own, watch) == "pool_failed_over: pool app has no eligible server: pool spare takes over"
        set_admin(own, "spare/s", AdminState.DRAIN)
        assert said(own, watch) == (
            "pool_failed_over: pool app has no eligible server: pool last takes over; "
            "pool_failed_over: pool spare has no eligible server: pool last takes over"
        )
        assert watch.served_by(app) == "last"
        set_admin(own, "last/s", AdminState.MAINT)
        assert "pool_unserved: pool last has no eligible server: requests get 503" in said(own, watch)
        assert watch.served_by(app) is None
        set_admin(own, "app/s1", AdminState.READY)
        assert said(own, watch) == "pool_recovered: pool app is served by its own servers again"


def test_unpublished_pool_is_taken_over() -> None:
    with watching() as (own, watch, app):
        own.states.set_published(app, own.running.rows.pools["app"], False, None)
        assert said(own, watch) == "pool_failed_over: pool app is unpublished: pool spare takes over"
        own.states.set_published(app, own.running.rows.pools["app"], True, None)
        assert said(own, watch).startswith("pool_recovered")


def test_queue_is_one_event_at_the_beginning_and_one_at_the_end() -> None:
    with watching() as (own, watch, app):
        segment = own.running.segment
        first, second = (segment.layout.pool(slot, own.running.rows.pools["app"]) for slot in (0, 1))
        watch.look(0.0)
        segment.cells[first + at.POOL_QUEUED_TOTAL] += 3
        watch.look(1.0)
        assert own.kinds() == ["pool_queue_began"]
        assert watch.waiting_since(app) is not None
        segment.cells[second + at.POOL_QUEUED_TOTAL] += 4
        segment.cells[second + at.POOL_OUTCOMES + Outcome.QUEUE_FULL] += 1
        segment.cells[first + at.POOL_OUTCOMES + Outcome.QUEUE_TIMEOUT] += 1
        watch.look(3.0)
        watch.look(3.0 + OVERLOAD_QUIET_S)
        assert own.kinds() == ["pool_queue_began", "pool_queue_ended"]
        assert own.events.after(0)[-1]["message"] == (
            "pool app: 7 had to wait within 2.0 s, 2 got 503; nobody waits now"
        )
        assert watch.waiting_since(app) is None
