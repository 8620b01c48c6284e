"""The store side of an engine: what keeps one node in touch with its fleet.

Responsible for making the parts and for having each begin again after a failure. Knows nothing of what any of them does.

Invariants: `run` never raises; whatever fails, the view stays; leaving ends the node's lease.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from lbapp.cluster import kept
from lbapp.cluster.etcd import Etcd, StoreError, StoreRefused
from lbapp.cluster.follow import Follower
from lbapp.cluster.handing import Handing
from lbapp.cluster.keeping import Keeper
from lbapp.cluster.kept import Kept, KeptDamaged
from lbapp.cluster.keys import Keys
from lbapp.cluster.membership import ABOUT as MEMBERSHIP
from lbapp.cluster.membership import Membership
from lbapp.cluster.pauses import Pauses
from lbapp.cluster.picture import Picture
from lbapp.cluster.publishing import Publisher
from lbapp.cluster.rolling import Roller
from lbapp.cluster.writing import Writer, unreachable
from lbapp.model.errors import RequestRefused
from lbapp.model.fleet import ClusterSettings, FleetConfiguration, FleetIntent, FleetView, IntentKey, Node
from lbapp.model.limits import STORE_RETRY_MAX_S, STORE_SILENCE_S

_log: Final = logging.getLogger(__name__)
_TELL_INTERVAL_S: Final = 60.0  # between two events of one error that nobody foresaw
Work = Callable[[], Awaitable[None]]


class StoreFleet:
    """A `Fleet` by etcd. `path`: where the last whole view is kept."""

    def __init__(self, settings: ClusterSettings, path: Path) -> None:
        self._settings = settings
        self._path = path
        self._keys = Keys(settings.name)
        self._picture = Picture(self._keys, settings.lease_s, settings.endpoints)
        self._writer: Writer | None = None
        self._publisher: Publisher | None = None
        self._membership: Membership | None = None

    @property
    def view(self) -> FleetView:
        """What is known of the fleet."""
        return self._picture.view

    @property
    def age_s(self) -> float | None:
        """How old the view is; None: there never was one."""
        return self._picture.age_s

    async def run(self, node: Node) -> None:
        """Keep in touch until cancelled."""
        former = await self._recall(node)
        while True:  # until the client itself can be made
            try:
                async with Etcd(self._settings) as etcd:
                    await self._run(etcd, node, former)
            except StoreError as error:
                self._picture.doubt(str(error), node.tell)
            finally:
                self._writer = self._publisher = None
            await anyio.sleep(STORE_RETRY_MAX_S)

    def give_way(self) -> None:
        """Have the end of `run` not leave the fleet: what follows takes the place over by the lease that is kept."""
        if self._membership is not None:
            self._membership.is_followed = True

    async def propose(self, intents: Sequence[FleetIntent], seen: Mapping[IntentKey, int]) -> list[FleetIntent]:
        """Write intents, all or none."""
        return await self._writing().propose(intents, seen)

    async def publish(self, configuration: FleetConfiguration, text: str) -> FleetConfiguration:
        """Have all nodes serve by a text."""
        return await self._publishing().publish(configuration, text)

    async def stop_roll(self, reason: str, by: str) -> FleetConfiguration:
        """Let a roll go no further."""
        return await self._publishing().stop_roll(reason, by)

    async def text_of(self, number: int) -> str:
        """Return the text of a configuration of the fleet."""
        return await self._publishing().text_of(number)

    def _writing(self) -> Writer:
        if self._writer is None:
            raise self._not_running()
        return self._writer

    def _publishing(self) -> Publisher:
        if self._publisher is None:
            raise self._not_running()
        return self._publisher

    def _not_running(self) -> RequestRefused:
        return unreachable(self._picture.view.problem or "the store side is not running", is_unknown=False)

    async def _recall(self, node: Node) -> Kept:
        """Begin with what was known when the node ran last."""
        try:
            found = await anyio.to_thread.run_sync(kept.read, self._path, self._settings.name)
        except KeptDamaged as error:
            node.tell("fleet_view_damaged", str(error))
            found = None
        if found is None:
            return Kept()
        self._picture.recall(found)
        return found

    async def _run(self, etcd: Etcd, node: Node, former: Kept) -> None:
        keys, picture = self._keys, self._picture
        self._membership = membership = Membership(etcd, keys, picture, node, self._settings.lease_s, former.lease)
        handing = Handing(picture, node)
        roller = Roller(etcd, keys, picture, node, membership)
        self._writer = Writer(etcd, keys)
        self._publisher = Publisher(etcd, keys, picture, node.name)
        work: dict[str, Work] = {
            "the view of the fleet": Follower(etcd, keys, picture, node).run,
            MEMBERSHIP: membership.run,
            "members of the fleet": handing.members,
            "intents of the fleet": handing.intents,
            "configurations of the fleet": roller.take,
            "a roll of the fleet": roller.move_on,
            "the kept view": Keeper(self._path, self._settings, picture, membership, node).run,
        }
        async with anyio.create_task_group() as tasks:
            for name, each in work.items():
                tasks.start_soon(self._again, name, each, node)

    async def _again(self, name: str, work: Work, node: Node) -> None:
        """Do something again whenever it has ended, after a pause that grows while it fails at once."""
        pauses, told_at = Pauses(), -math.inf
        while True:
            began = time.monotonic()
            try:
                await work()
            except StoreRefused as error:
                self._picture.complain(name, str(error), node.tell)
            except StoreError as error:
                self._picture.doubt(str(error), node.tell)
            except Exception as error:  # noqa: BLE001 - a connection task
                _log.exception("%s: an error that nobody foresaw", name)
                if began - told_at > _TELL_INTERVAL_S:
                    told_at = began
                    node.tell("fleet_problem", f"{name} failed and is begun again: {error!r}")
            if time.monotonic() - began > STORE_SILENCE_S:
                pauses.begin_again()
            await anyio.sleep(pauses.next_s())


def make(settings: ClusterSettings, path: Path) -> StoreFleet:
    """Return the store side of an engine: a `FleetMaker`."""
    return StoreFleet(settings, path)
