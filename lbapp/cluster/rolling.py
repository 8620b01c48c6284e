"""A node's part in the configurations of its fleet: taking one when it may, saying what came of it, and moving a roll on.

Responsible for doing what `roll` decides. Knows nothing of how a node serves by a configuration.

Invariants: a node takes a configuration once, and only while the store says that it still may; it says so before, so that
others know what it does, and in a roll what it has died of; what came of it is written, however long the store does not answer;
two nodes that move a roll on at once move it once.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import anyio

from lbapp.cluster import gateway, values
from lbapp.cluster.etcd import Etcd, StoreError
from lbapp.cluster.keys import Keys
from lbapp.cluster.membership import Membership
from lbapp.cluster.picture import Picture
from lbapp.cluster.roll import has_begun, may_take, moved_on, mover
from lbapp.model.file_digest import file_digest
from lbapp.model.fleet import ConfigurationResult, FleetConfiguration, Node, RollMode, StoreState
from lbapp.model.limits import STORE_LEAVE_TIMEOUT_S


@dataclass(slots=True)
class Roller:
    """One node's part."""

    etcd: Etcd
    keys: Keys
    picture: Picture
    node: Node
    membership: Membership
    _result: ConfigurationResult | None = field(default=None, init=False)  # of what was taken last
    _is_written: bool = field(default=True, init=False)
    _losses: int = field(default=0, init=False)
    _begun: int = field(default=0, init=False)  # the number that this process has begun with; 0: none

    async def take(self) -> None:
        """Take each configuration when its turn comes. Raises StoreError."""
        turns = self.picture.turns
        while True:
            await self._say_result()
            if self._is_turn(self.picture.view.configuration):
                await self._take()
            else:
                turns = await self.picture.wait(turns)

    async def move_on(self) -> None:
        """Move a roll on whenever that is this node's to do. Raises StoreError."""
        turns = self.picture.turns
        while True:
            view = self.picture.view
            alive = {member.name for member in view.alive}
            now = view.configuration
            after = moved_on(now, view.results, alive)
            is_sure = view.state is StoreState.SYNCED and self.membership.is_member
            if after is not None and is_sure and mover(now, alive) == self.node.name:
                compare = [gateway.is_at(self.keys.current, now.revision)]
                await self.etcd.txn(
                    gateway.transaction(compare, [gateway.to_put(self.keys.current, values.configuration(after))])
                )
            turns = await self.picture.wait(turns)

    def _is_turn(self, configuration: FleetConfiguration) -> bool:
        """Say whether this node may take a configuration now, by a view that is sure, and has not."""
        view = self.picture.view
        if self._losses != self.picture.losses:
            self._losses, self._result, self._is_written = self.picture.losses, None, True
        if self._result is not None and self._result.number == configuration.number:
            return False
        if view.state is not StoreState.SYNCED or not self.membership.is_member:
            return False
        return may_take(configuration, view.results, {member.name for member in view.alive}, self.node.name)

    async def _take(self) -> None:
        """Take the configuration that the store has now, if it is still this node's turn."""
        turns, configuration = self.picture.turns, self.picture.view.configuration
        number = configuration.number
        looks = [gateway.to_range(self.keys.current), gateway.to_range(self.keys.text(number))]
        done = await self.etcd.txn(gateway.transaction([], looks))
        pairs = {pair.key: pair for found in done.found for pair in found.pairs}
        current, text = pairs.get(self.keys.current), pairs.get(self.keys.text(number))
        if current is None or current.revision != configuration.revision:
            await self.picture.wait(turns)  # the watch is about to say what it is now
            return
        async with self._beginning(configuration) as has_ended:
            data = text.value if text is not None else None
            self._result = await self._result_of(configuration, data, has_ended=has_ended)
            self._is_written = False
            await self._say_result()

    async def _say_result(self) -> None:
        """Write what came of the configuration that was taken last, if that has not been done. Raises StoreError."""
        if self._result is not None and not self._is_written:
            await self.etcd.put(self.keys.result(self.node.name), values.result(self._result))
            self._is_written = True

    @asynccontextmanager
    async def _beginning(self, configuration: FleetConfiguration) -> AsyncIterator[bool]:
        """Say that this node begins, as long as it does; return whether in a roll one before this process ended while it did."""
        number, name, done = configuration.number, self.node.name, anyio.Event()
        is_first = self._begun != number and configuration.mode is RollMode.ROLLING
        has_ended = is_first and has_begun(configuration, self.picture.view.results, name)
        self._begun = number
        begun = ConfigurationResult(number, name, time.time(), has_only_begun=True)
        await self.etcd.put(self.keys.result(name), values.result(begun))
        self.membership.busy = done
        try:
            yield has_ended
        except anyio.get_cancelled_exc_class():
            # It leaves in order, and the next one begins anew: nobody has died of it.
            with anyio.move_on_after(STORE_LEAVE_TIMEOUT_S, shield=True), suppress(StoreError):
                await self.etcd.delete(self.keys.result(name))
            raise
        finally:
            done.set()

    async def _result_of(
        self, configuration: FleetConfiguration, data: bytes | None, *, has_ended: bool
    ) -> ConfigurationResult:
        error = ""
        if data is None:
            error = f"the store has no text of configuration {configuration.number}"
        elif file_digest(data) != configuration.digest:
            error = f"the text of configuration {configuration.number} is not the one that was published"
        if error or data is None:
            return ConfigurationResult(configuration.number, self.node.name, time.time(), error)
        was_away = self.membership.since > configuration.revision or (
            configuration.mode is RollMode.ROLLING and self.node.name not in configuration.order
        )
        text = values.read_text(data)
        return await self.node.take_configuration(configuration, text, has_ended=has_ended, was_away=was_away)
