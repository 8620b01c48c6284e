"""Keeping the picture of the fleet as the store has it.

Responsible for reading everything once, for the watch from there on, and for what to do when that ends: a watch that is silent is
opened again where it was, whatever else happens everything is read again. Knows nothing of what a node does about it.

Invariants: no event is missed; nothing is asked for by the clock while the watch speaks.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass

from lbapp.cluster import gateway, values
from lbapp.cluster.etcd import Compacted, Etcd, Silent, StoreRefused, StoreUnreachable
from lbapp.cluster.gateway import Found, Pair
from lbapp.cluster.keys import Keys
from lbapp.cluster.picture import Picture
from lbapp.model.fleet import Node
from lbapp.model.limits import STORE_BYTES_MAX, STORE_KEYS_MAX, STORE_PAGE_KEYS


@dataclass(frozen=True, slots=True)
class Follower:
    """Follows one fleet for a node."""

    etcd: Etcd
    keys: Keys
    picture: Picture
    node: Node

    async def run(self) -> None:
        """Read, then watch, until something is wrong. Raises StoreUnreachable also where the store refuses."""
        try:
            await self._follow()
        except StoreRefused as error:
            raise StoreUnreachable(str(error), is_unknown=False) from error

    async def _follow(self) -> None:
        while True:
            found = await self._read()
            self.picture.take_whole(found, self.node.applied, self.node.tell)
            if not self.picture.began:
                await self._begin()
            await self._watch()

    async def _read(self) -> Found:
        """Return everything but texts as it is at one revision."""
        pairs: list[Pair] = []
        first, revision, length = self.keys.first, 0, 0
        while True:
            page = await self.etcd.range(first, self.keys.end, limit=STORE_PAGE_KEYS, revision=revision)
            revision = revision or page.revision
            pairs += page.pairs
            length += sum(len(pair.key) + len(pair.value) for pair in page.pairs)
            if len(pairs) > STORE_KEYS_MAX or length > STORE_BYTES_MAX:
                most = f"{STORE_KEYS_MAX} keys or {STORE_BYTES_MAX} bytes"
                message = f"the store holds more than {most} below {self.keys.shown(self.keys.prefix)}"
                raise StoreUnreachable(message, is_unknown=False)
            if len(page.pairs) >= page.count or not page.pairs:
                return Found(revision, tuple(pairs), len(pairs))
            first = page.pairs[-1].key + b"\0"

    async def _begin(self) -> None:
        """Give the store's data a name, unless another node has done so just now: without it a loss could go unseen."""
        name = values.began(uuid.uuid4().hex, time.time(), self.node.name)
        step = gateway.to_put(self.keys.began, name)
        await self.etcd.txn(gateway.transaction([gateway.is_at(self.keys.began, 0)], [step]))

    async def _watch(self) -> None:
        """Follow changes until everything has to be read again. Raises StoreError."""
        while True:
            revision = self.picture.view.revision
            try:
                async with self.etcd.watch(self.keys.first, self.keys.end, revision + 1) as messages:
                    async for message in messages:
                        if message.revision < revision:
                            return  # the store is not as far as it was
                        self.picture.take(message, self.node.tell)
                        self.picture.expire()
            except Compacted:
                return
            except Silent:
                self.picture.expire()
                found = await self.etcd.range(self.keys.began)
                if self.picture.has_lost(found):
                    return
                self.picture.confirm(self.node.tell)
