"""This node as the other nodes of its fleet know it, and what they want of it.

Responsible for what the store side asks of the engine: who the node is, how it stands, and what it is to make of intents,
configurations and members. Knows nothing of the store, nor of how a change is made.

Invariants: nothing here waits for the store; generations come and go meanwhile, and each call is of the one that serves.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lbapp import __version__
from lbapp.control.fleet import MemberState
from lbapp.engine.supervisor.fleet_configurations import FleetConfigurations
from lbapp.engine.supervisor.fleet_link import FleetLink
from lbapp.engine.supervisor.generation import Generation, Lasting
from lbapp.engine.supervisor.reload import Reloads
from lbapp.engine.supervisor.traffic import of_listener, traffic
from lbapp.model.fleet import ConfigurationResult, FleetConfiguration, FleetIntent, IntentKey


class EngineNode:
    """The `Node` of one engine. `generation`: returns the one that serves."""

    def __init__(
        self, generation: Callable[[], Generation], reloads: Reloads, lasting: Lasting, link: FleetLink
    ) -> None:
        self.reports = lasting.reports
        self._lasting = lasting
        self.changes = lasting.fleet
        self.configurations = FleetConfigurations(reloads, link, lasting.events)
        self._generation = generation
        self._reloads = reloads
        self._link = link
        self._events = lasting.events

    @property
    def name(self) -> str:
        """The name of this node."""
        return self._link.name

    @property
    def fleet_configuration(self) -> int:
        """The number of the fleet's configuration that serves here; 0: none does, or one of another fleet."""
        applied, began = self._reloads.applied, self._link.view.began
        is_of_another = applied is not None and bool(applied.store) and began not in ("", applied.store)
        return 0 if applied is None or is_of_another else applied.fleet

    def card(self) -> dict[str, Any]:
        """Return who this node is, as JSON."""
        running, listening = self._generation().running, self._generation().reader.listening
        return {
            "version": __version__,
            "started_at": running.started_at,
            "host": os.uname().nodename,
            "pid": running.pid,
            "listeners": {
                each.name: [str(bind) for bind in listening.binds(each.name)]
                for each in running.configuration.listeners
            },
            "configuration_path": str(running.path),
        }

    def state(self) -> dict[str, Any]:
        """Return what this node carries, as JSON: a MemberState."""
        self.changes.note_sync()
        return dict(self.member_state())

    def member_state(self) -> MemberState:
        """Return what this node carries."""
        generation = self._generation()
        reader, configuration = generation.reader, generation.running.configuration
        now, earlier = reader.history.now(), reader.history.earlier()
        rows = [generation.running.rows.listeners[listener.name] for listener in configuration.listeners]
        carried = [
            traffic(of_listener(now.listeners[row]), of_listener(earlier.listeners[row]), now.at_s - earlier.at_s)
            for row in rows
        ]
        per_s = sum(each["requests_per_s"] for each in carried)
        failed = [(each["error_rate"], each["requests_per_s"]) for each in carried]
        cpu, memory = reader.cost()
        found, states = reader.readiness(), list(generation.states.by_id.values())
        applied = self._reloads.applied
        return {
            "at": time.time(),
            "phase": reader.life.phase,
            "ready": found["ready"],
            "reasons": found["reasons"],
            "drain": found["drain"],
            "connections": sum(each["connections"] for each in carried),
            "in_flight": sum(each["in_flight"] for each in carried),
            "requests_total": sum(each["requests_total"] for each in carried),
            "requests_per_s": round(per_s, 3),
            "error_rate": round(sum((rate or 0.0) * of for rate, of in failed) / per_s, 6) if per_s else None,
            "cpu_percent": None if cpu is None else cpu / 10,
            "memory_bytes": memory,
            "servers_eligible": sum(state.is_eligible for state in states),
            "servers_total": len(states),
            "configuration": 0 if applied is None else applied.number,
            "fleet_configuration": self.fleet_configuration,
            "differs": len(self.changes.differing()),
            "fleet_revision": self.changes.revision,
            "announce": self.reports.announce(),
            "dns": self.reports.dns(),
        }

    def applied(self, began: str) -> Mapping[IntentKey, int]:
        """See Node."""
        return self.changes.applied(began)

    async def take_intents(self, intents: Sequence[FleetIntent]) -> None:
        """See Node."""
        await self.changes.take(intents)

    async def take_configuration(
        self, configuration: FleetConfiguration, text: str, *, has_ended: bool = False, was_away: bool = False
    ) -> ConfigurationResult:
        """See Node."""
        return await self.configurations.take(configuration, text, has_ended=has_ended, was_away=was_away)

    def take_members(self, names: Sequence[str]) -> None:
        """See Node."""
        self._lasting.members = tuple(names)
        self._generation().shares.take(self._lasting.place())

    def tell(self, kind: str, message: str) -> None:
        """Make an event of something about the fleet."""
        self._events.add(kind, "node", message)
