"""An engine as the store side knows it, that writes down what it is given."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio

from lbapp.control.fleet import MemberState
from lbapp.model.fleet import ConfigurationResult, FleetConfiguration, FleetIntent, IntentKey
from lbapp.model.journal import Setting, Value


def member_state(at: float = 1.0) -> MemberState:
    return {
        "at": at,
        "phase": "serving",
        "ready": True,
        "reasons": [],
        "drain": None,
        "connections": 3,
        "in_flight": 2,
        "requests_total": 100,
        "requests_per_s": 10.5,
        "error_rate": None,
        "cpu_percent": 1.0,
        "memory_bytes": 1000,
        "servers_eligible": 2,
        "servers_total": 2,
        "configuration": 1,
        "fleet_configuration": 0,
        "differs": 0,
        "announce": None,
        "dns": None,
    }


def intent(on: str, value: Value = "drain", setting: Setting = Setting.STATE, *, by: str = "alice") -> FleetIntent:
    files: dict[Setting, Value] = {Setting.STATE: "ready", Setting.WEIGHT: 100, Setting.PUBLISHED: True}
    in_file = files[setting]
    return FleetIntent(on, setting, value, in_file, by, "n1", 1_700_000_000.0, "a reason")


@dataclass
class NodeDouble:
    """`made`: intents that were made, in their order. `errors`, `gates`: what comes of configurations, and what they wait for."""

    name: str
    made: list[FleetIntent] = field(default_factory=list)
    made_at: list[float] = field(default_factory=list)  # monotonic
    members: list[list[str]] = field(default_factory=list)
    events: list[tuple[str, str]] = field(default_factory=list)
    configurations: list[tuple[int, str]] = field(default_factory=list)
    late: list[int] = field(default_factory=list)  # numbers of configurations that were written while it was away
    errors: dict[int, str] = field(default_factory=dict)
    odd: dict[str, Any] = field(default_factory=dict)  # of its state
    listeners: list[str] = field(default_factory=list)
    gates: dict[int, anyio.Event] = field(default_factory=dict)
    done: dict[IntentKey, int] = field(default_factory=dict)
    done_of: dict[IntentKey, str] = field(default_factory=dict)  # of which data, where that is not any

    def card(self) -> dict[str, Any]:
        return {"version": "0.1", "started_at": 1.0, "host": f"host-of-{self.name}", "listeners": self.listeners}

    def state(self) -> dict[str, Any]:
        return {**member_state(time.time()), **self.odd}

    def applied(self, began: str) -> Mapping[IntentKey, int]:
        return {key: revision for key, revision in self.done.items() if self.done_of.get(key, began) == began}

    async def take_intents(self, intents: Sequence[FleetIntent]) -> None:
        self.made_at += [time.monotonic()] * len(intents)
        self.made += intents
        self.done |= {each.key: each.revision for each in intents}

    async def take_configuration(
        self, configuration: FleetConfiguration, text: str, *, has_ended: bool = False, was_away: bool = False
    ) -> ConfigurationResult:
        if was_away:
            self.late.append(configuration.number)
        if has_ended:
            return ConfigurationResult(configuration.number, self.name, time.time(), "it ended meanwhile")
        self.configurations.append((configuration.number, text))
        if configuration.number in self.gates:
            await self.gates[configuration.number].wait()
        error = self.errors.get(configuration.number, "")
        return ConfigurationResult(configuration.number, self.name, time.time(), error)

    def take_members(self, names: Sequence[str]) -> None:
        self.members.append(list(names))

    def tell(self, kind: str, message: str) -> None:
        self.events.append((kind, message))

    def told(self, kind: str) -> list[str]:
        return [message for each, message in self.events if each == kind]
