"""The link of an engine to its fleet: the store side that its configuration asks for, or none.

Responsible for making it, for running it while the engine serves, and for putting another in its place when a reload asks for
another. Knows nothing of the store, or of what is done with a view.

Invariants: without `[cluster]` nothing of the store side is made; there is one at a time; whatever it does, the engine goes on.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final

import anyio

from lbapp.engine.supervisor.events import Events, Signal
from lbapp.model.errors import RequestRefused
from lbapp.model.fleet import ALONE, ClusterSettings, Fleet, FleetMaker, FleetView, Node

_log = logging.getLogger("lbapp")
_AGAIN_S: Final = 1.0  # after a store side that has ended by itself


class FleetLink:
    """The link of one engine. `kept`: where the last whole view of a fleet is kept. It outlives generations."""

    def __init__(self, make: FleetMaker, kept: Path, events: Events) -> None:
        self.settings: ClusterSettings | None = None
        self.fleet: Fleet | None = None
        self._make = make
        self._kept = kept
        self._events = events
        self._changed = Signal()
        self._scope: anyio.CancelScope | None = None

    @property
    def name(self) -> str:
        """The name of this node: that of `[cluster]`, or that of the host."""
        return os.uname().nodename if self.settings is None else self.settings.node

    @property
    def view(self) -> FleetView:
        """What is known of the fleet; ALONE where there is none."""
        return ALONE if self.fleet is None else self.fleet.view

    @property
    def age_s(self) -> float | None:
        """How old the view is (seconds); None: there never was one."""
        return None if self.fleet is None else self.fleet.age_s

    def take(self, settings: ClusterSettings | None) -> None:
        """Be part of the fleet that a configuration asks for, and of no other; None: of none."""
        was, self.settings = self.settings, settings
        if settings == was or (settings is not None and was is not None and settings.is_same_link(was)):
            return
        if self.fleet is not None and settings is not None and was is not None and settings.place == was.place:
            self.fleet.give_way()  # or the others would see this node go and come again
            self._say_moved(was, settings)
        self.fleet = None if settings is None else self._make(settings, self._kept)
        self._changed.fire()
        if self._scope is not None:
            self._scope.cancel()

    def _say_moved(self, was: ClusterSettings, now: ClusterSettings) -> None:
        if was.endpoints != now.endpoints:
            asked, before = ", ".join(now.endpoints), ", ".join(was.endpoints)
            what = f"the store of the fleet is asked at {asked}, and was at {before}"
            self._events.add("fleet_endpoints_changed", "node", f"{what}: what is known holds until it has answered")

    def leave(self) -> None:
        """Leave the fleet for good, as the engine ends or has given its place away."""
        self.take(None)

    def joined(self) -> Fleet:
        """Return the store side. Raises RequestRefused 409 no_fleet."""
        if self.fleet is None:
            hint = "Without --fleet it is for this node; for all of them give each node the same [cluster] table"
            raise RequestRefused("no_fleet", "this node is alone: its configuration has no [cluster]", hint, 409)
        return self.fleet

    async def run(self, node: Node) -> None:
        """Keep in touch with whatever fleet there is, until cancelled."""
        while True:
            fleet = self.fleet
            if fleet is None:
                await self._changed.wait()
                continue
            with anyio.CancelScope() as self._scope:
                await self.guarded("the link to the fleet", partial(fleet.run, node))
            if self.fleet is fleet:
                message = "the link to the fleet has ended by itself; it begins anew"
                self._events.add("fleet_link_ended", "node", message)
                await anyio.sleep(_AGAIN_S)

    async def guarded(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do something of the fleet. An error that nobody foresaw is an event, and never the end of the engine."""
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - a connection task
            _log.exception("%s: an error that nobody foresaw", what)
            self._events.add("fleet_problem", "node", f"{what} failed: {error!r}")
