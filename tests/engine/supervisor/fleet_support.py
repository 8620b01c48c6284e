"""A node of a fleet on a supervisor's parts: what the store says is what a test has put there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import anyio

from lbapp.engine.supervisor.commands import Commands
from lbapp.engine.supervisor.drains import Drains
from lbapp.engine.supervisor.fleet_changes import FleetChanges
from lbapp.engine.supervisor.fleet_link import FleetLink
from lbapp.engine.supervisor.generation import Generation
from lbapp.engine.supervisor.intents import Intents
from lbapp.engine.supervisor.journal import Journal
from lbapp.engine.supervisor.making import Making
from lbapp.engine.supervisor.reading import StatusReader
from lbapp.engine.supervisor.running import Running
from lbapp.engine.supervisor.state import ServerStates
from lbapp.model.fleet import (
    ClusterSettings,
    Fleet,
    FleetConfiguration,
    FleetIntent,
    FleetView,
    IntentKey,
    Member,
    Node,
    StoreState,
)
from tests.engine.supervisor.support import Parts, reading


@dataclass
class StoreSide:
    """The Fleet of one engine. `fails`: what `run` ends with; `seen`: what each writing was to be about, `written` so far."""

    view: FleetView = field(default_factory=lambda: FleetView(StoreState.SYNCED, revision=1))
    fails: BaseException | None = None
    age_s: float | None = 0.0
    gave_way: int = 0
    written: int = 1
    seen: list[Mapping[IntentKey, int]] = field(default_factory=list)
    runs: int = 0

    def give_way(self) -> None:
        self.gave_way += 1

    async def run(self, node: Node) -> None:
        self.runs += 1
        if self.fails is not None:
            raise self.fails
        await anyio.sleep_forever()

    async def propose(self, intents: Sequence[FleetIntent], seen: Mapping[IntentKey, int]) -> list[FleetIntent]:
        """Write what is asked for; the view does not have it until it is `put` there."""
        self.written += 1
        self.seen.append(seen)
        return [replace(each, revision=self.written) for each in intents]

    async def publish(self, configuration: FleetConfiguration, text: str) -> FleetConfiguration:
        raise NotImplementedError

    async def stop_roll(self, reason: str, by: str) -> FleetConfiguration:
        raise NotImplementedError

    async def text_of(self, number: int) -> str:
        raise NotImplementedError

    def put(self, *intents: FleetIntent) -> None:
        """Have the store say that these are wanted, too."""
        self.view = replace(self.view, intents={**self.view.intents, **{each.key: each for each in intents}})

    def know(self, *members: Member) -> None:
        self.view = replace(self.view, members={each.name: each for each in members})


@dataclass
class Serving:
    """The parts of a generation that a fleet changes."""

    running: Running
    states: ServerStates
    drains: Drains
    reader: StatusReader
    intents: Intents
    making: Making


@dataclass
class Joined:
    """The node `lb1`, with two servers."""

    own: Parts
    store: StoreSide
    link: FleetLink
    changes: FleetChanges
    serving: Serving
    commands: Commands

    @property
    def generation(self) -> Generation:
        return cast(Generation, self.serving)

    def messages(self, kind: str) -> list[str]:
        return [event["message"] for event in self.own.events.after(0) if event["kind"] == kind]


@contextmanager
def joined() -> Iterator[Joined]:
    store = StoreSide()
    with reading() as (own, reader), TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal")
        journal.open()
        intents = Intents(own.running, own.states, own.drains, own.events, journal)
        making = Making(own.running, own.states, own.drains)
        serving = Serving(own.running, own.states, own.drains, reader, intents, making)
        link = FleetLink(lambda *_: cast(Fleet, store), Path(folder) / "fleet", own.events)
        link.take(ClusterSettings(node="lb1"))
        changes = FleetChanges(link, own.events, lambda: cast(Generation, serving))
        commands = Commands(own.running, own.states, own.drains, reader, intents)
        commands.fleet = changes
        try:
            yield Joined(own, store, link, changes, serving, commands)
        finally:
            journal.close()
