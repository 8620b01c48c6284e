"""A store side that keeps its fleet in a folder, so that real engines can be one without an etcd.

The folder is named by the environment. What stands in it is changed under a lock; a file `down` in it is a store that is silent.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio

from lbapp.model.errors import RequestRefused
from lbapp.model.fleet import (
    ClusterSettings,
    ConfigurationResult,
    FleetConfiguration,
    FleetIntent,
    FleetView,
    IntentKey,
    Member,
    Node,
    RollMode,
    StoreState,
)
from lbapp.model.journal import Setting

ENVIRONMENT = "LBAPP_TEST_STORE"
_SILENT_S = 2.0  # after which a member lives no more
_LOOK_S = 0.05


@dataclass
class Folder:
    """What the nodes share."""

    path: Path

    @contextmanager
    def held(self) -> Iterator[dict[str, Any]]:
        """Give what is there, alone, and keep what becomes of it. Raises RequestRefused 503 while it is down."""
        if (self.path / "down").exists():
            raise RequestRefused("fleet_unreachable", "the store does not answer; nothing was changed", "", 503)
        with (self.path / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            file = self.path / "store.json"
            data: dict[str, Any] = json.loads(file.read_text()) if file.exists() else _empty()
            before = json.dumps(data)
            yield data
            if json.dumps(data) != before:
                beside = self.path / "store.new"
                beside.write_text(json.dumps(data))
                beside.replace(file)

    def intents(self) -> list[FleetIntent]:
        with self.held() as data:
            return [intent_of(each) for each in data["intents"]]

    def put(self, *intents: FleetIntent) -> list[FleetIntent]:
        """Write intents, whatever stands there."""
        with self.held() as data:
            data["revision"] += 1
            written = [replace(each, revision=data["revision"]) for each in intents]
            keys = {each.key for each in written}
            data["intents"] = [each for each in data["intents"] if intent_of(each).key not in keys]
            data["intents"] += [asdict(each) for each in written]
            return written

    def member(self, name: str, **state: Any) -> None:
        """Have a member live that is no engine."""
        with self.held() as data:
            data["members"][name] = {"card": {}, "state": state, "at": time.time() + 3600}

    def take_down(self) -> None:
        (self.path / "down").touch()

    def bring_back(self) -> None:
        (self.path / "down").unlink()


def _empty() -> dict[str, Any]:
    return {"revision": 0, "intents": [], "members": {}, "configuration": None, "texts": {}, "results": {}}


def intent_of(read: Mapping[str, Any]) -> FleetIntent:
    return FleetIntent(**{**read, "setting": Setting(read["setting"]), "undoes": tuple(read["undoes"])})


def configuration_of(read: Mapping[str, Any] | None) -> FleetConfiguration:
    if read is None:
        return FleetConfiguration()
    return FleetConfiguration(**{**read, "mode": RollMode(read["mode"]), "order": tuple(read["order"])})


@dataclass
class FolderFleet:
    """The Fleet of one engine."""

    settings: ClusterSettings
    kept: Path
    folder: Folder = field(default_factory=lambda: Folder(Path(os.environ[ENVIRONMENT])))
    view: FleetView = field(default_factory=lambda: FleetView(StoreState.STARTING))

    @property
    def age_s(self) -> float | None:
        return max(0.0, time.time() - self.view.confirmed_at) if self.view.confirmed_at else None

    def give_way(self) -> None:
        """Leave nothing: who is a member is known by when it was here last."""

    async def run(self, node: Node) -> None:
        told: list[str] = []
        while True:
            try:
                self._look(node)
            except RequestRefused as error:
                self.view = replace(self.view, state=StoreState.STALE, problem=error.message)
                await anyio.sleep(_LOOK_S)
                continue
            applied = node.applied(self.view.began)
            newer = [each for key, each in self.view.intents.items() if each.revision > applied.get(key, 0)]
            if newer:
                await node.take_intents(newer)
            alive = [member.name for member in self.view.alive]
            if alive != told:
                told = alive
                node.take_members(alive)
            await self._take_configuration(node)
            await anyio.sleep(_LOOK_S)

    def _look(self, node: Node) -> None:
        now = time.time()
        with self.folder.held() as data:
            data["members"][node.name] = {"card": node.card(), "state": node.state(), "at": now}
            members = {
                name: Member(name, each["card"], each["state"], now - each["at"] < _SILENT_S, each["at"])
                for name, each in data["members"].items()
            }
            intents = [intent_of(each) for each in data["intents"]]
            results = {name: ConfigurationResult(**each) for name, each in data["results"].items()}
            self.view = FleetView(
                StoreState.SYNCED, "", now, data["revision"], members, {each.key: each for each in intents},
                configuration_of(data["configuration"]), results,
            )  # fmt: skip

    async def _take_configuration(self, node: Node) -> None:
        wanted, known = self.view.configuration, self.view.results.get(node.name)
        if not wanted.number or (known is not None and known.number == wanted.number):
            return
        with self.folder.held() as data:
            text = data["texts"][str(wanted.number)]
        result = await node.take_configuration(wanted, text)
        with self.folder.held() as data:
            data["results"][node.name] = asdict(result)

    async def propose(self, intents: Sequence[FleetIntent], seen: Mapping[IntentKey, int]) -> list[FleetIntent]:
        with self.folder.held() as data:
            there = {each.key: each for each in map(intent_of, data["intents"])}
        for each in intents:
            known = there.get(each.key)
            if known is not None and known.revision != seen.get(each.key, 0):
                message = f"{known.by}@{known.node} has changed {each.on} meanwhile"
                raise RequestRefused("changed", message, "Look at it again, then repeat", 409)
        return self.folder.put(*intents)

    async def publish(self, configuration: FleetConfiguration, text: str) -> FleetConfiguration:
        with self.folder.held() as data:
            data["revision"] += 1
            there = configuration_of(data["configuration"])
            if there.revision != configuration.revision:
                raise RequestRefused("changed", "another was published meanwhile", "Look at it, then repeat", 409)
            number = there.number + 1
            written = replace(configuration, number=number, revision=data["revision"])
            data["texts"][str(number)] = text
            data["configuration"] = asdict(written)
            return written

    async def stop_roll(self, reason: str, by: str) -> FleetConfiguration:
        with self.folder.held() as data:
            there = configuration_of(data["configuration"])
            if there.mode is not RollMode.ROLLING:
                raise RequestRefused("not_rolling", "no configuration is being rolled out", "", 409)
            stopped = replace(there, stopped=f"{by}: {reason}")
            data["configuration"] = asdict(stopped)
            return stopped

    async def text_of(self, number: int) -> str:
        with self.folder.held() as data:
            text: str = data["texts"][str(number)]
            return text


def make(settings: ClusterSettings, kept: Path) -> FolderFleet:
    return FolderFleet(settings, kept)
