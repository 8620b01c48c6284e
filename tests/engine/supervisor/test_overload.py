"""Events about clients that are turned away, from the cells that workers write."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from lbapp.engine.scoreboard import layout as at
from lbapp.engine.supervisor.overload import OverloadWatch, warnings
from lbapp.model.admission import TurnedAway
from lbapp.model.descriptors import room_for_clients
from lbapp.model.limits import OVERLOAD_QUIET_S, Limits
from lbapp.model.outcomes import Outcome
from tests.engine.supervisor.support import Parts, configured, parts


@contextmanager
def watching() -> Iterator[tuple[Parts, OverloadWatch]]:
    with parts() as own:
        yield own, OverloadWatch(own.running, own.events)


def count(own: Parts, cell: int, by: int, slot: int = 0) -> None:
    segment = own.running.segment
    segment.cells[segment.layout.listener(slot, own.running.rows.listeners["web"]) + cell] += by


def last(own: Parts) -> str:
    event = own.events.after(0)[-1]
    return f"{event['subject']}: {event['message']}"


def test_clients_turned_away_make_one_event_at_the_beginning_and_one_at_the_end() -> None:
    with watching() as (own, watch):
        listener = own.running.configuration.listeners[0]
        watch.look(0.0)
        assert own.kinds() == []
        count(own, at.LISTENER_TURNED_AWAY + TurnedAway.NODE_FULL, 3)
        watch.look(1.0)
        count(own, at.LISTENER_TURNED_AWAY + TurnedAway.LISTENER_FULL, 4, slot=1)
        watch.look(2.0)
        assert own.kinds() == ["overload_began"]
        assert "limits.connections_max is 20000" in last(own)
        assert watch.overloaded_since(listener) is not None
        watch.look(2.0 + OVERLOAD_QUIET_S)
        assert own.kinds() == ["overload_began", "overload_ended"]
        assert last(own) == (
            "listener web: 7 clients were turned away for want of room; all are let in again, within 1.0 s"
        )
        assert watch.overloaded_since(listener) is None


@pytest.mark.parametrize(
    "cell", [at.LISTENER_TURNED_AWAY + TurnedAway.CLIENT_FULL, at.LISTENER_OUTCOMES + Outcome.RATE_LIMITED]
)
def test_client_that_wants_too_much_is_an_event_of_its_own_and_no_overload(cell: int) -> None:
    with watching() as (own, watch):
        count(own, cell, 1)
        watch.look(1.0)
        watch.look(1.0 + OVERLOAD_QUIET_S)
        assert own.kinds() == ["client_limit_reached", "client_limit_over"]
        assert watch.overloaded_since(own.running.configuration.listeners[0]) is None


def test_networks_kept_out_are_counted_and_are_no_event() -> None:
    with watching() as (own, watch):
        count(own, at.LISTENER_TURNED_AWAY + TurnedAway.NETWORK, 5)
        watch.look(1.0)
        assert own.kinds() == []
        assert watch.totals(own.running.configuration.listeners[0]).turned_away[TurnedAway.NETWORK] == 5


def test_shortage_of_descriptors_says_what_to_do() -> None:
    with watching() as (own, watch):
        segment = own.running.segment
        segment.cells[segment.layout.worker(0) + at.WORKER_SHORTAGES] += 2
        watch.look(1.0)
        assert own.kinds() == ["descriptors_ran_out"]
        assert "ulimit -n" in last(own)
        assert watch.shortages == 2
        watch.look(1.0 + OVERLOAD_QUIET_S)
        assert own.kinds() == ["descriptors_ran_out", "descriptors_recovered"]


def test_limit_that_the_descriptors_do_not_allow_is_said_at_the_start() -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = room_for_clients(soft)
    fits = replace(configured(workers=2), limits=Limits(connections_max=2 * room))
    assert warnings(fits) == []
    (said,) = warnings(replace(fits, limits=Limits(connections_max=2 * room + 2)))
    assert said.startswith(f"{soft} open files (ulimit -n) are enough for {room} clients of each worker")
    assert said.endswith(f"{2 * room} are served at a time")
