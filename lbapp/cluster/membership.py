"""A node's own place in the fleet: its key, the lease that it lives by, and what it carries.

Responsible for joining, for keeping the lease alive, for joining again when store or network have ended it, and for leaving so
that others see it at once. Knows nothing of intents or configurations.

Invariants: a node never writes over the name of another living process; what it writes of itself goes when its lease goes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import anyio

from lbapp.cluster import gateway, values
from lbapp.cluster.etcd import Etcd, LeaseGone, StoreError, StoreUnreachable
from lbapp.cluster.gateway import Pair
from lbapp.cluster.keys import Keys
from lbapp.cluster.pauses import Pauses
from lbapp.cluster.picture import Picture
from lbapp.model.fleet import Node
from lbapp.model.limits import FLEET_STATE_INTERVAL_S, FLEET_TRIES, STORE_LEAVE_TIMEOUT_S, STORE_RETRY_MAX_S

Work = Callable[[], Awaitable[None]]
ABOUT: Final = "membership of the fleet"
NOTHING: Final = b"{}"
OWN: Final = "what this node says of itself"


@dataclass(slots=True)
class Membership:
    """One node's membership. `lease`: by which it is a member; 0: it is none. `former`: that of the process before. `since`: the
    store's revision at which it became a member last.

    `is_followed`: what comes after it in this process takes the place over by its lease. `busy`: is set when what others would
    take for a death, were it gone before, is over; None: there is nothing.
    """

    etcd: Etcd
    keys: Keys
    picture: Picture
    node: Node
    lease_s: float
    former: int = 0
    lease: int = 0
    since: int = 0
    is_followed: bool = False
    busy: anyio.Event | None = None
    _granted: int = field(default=0, init=False)  # a lease that is to be ended
    _joined_at: int = field(default=0, init=False)  # the store's revision, when its key was written last
    _card: bytes = field(default=b"", init=False)  # as it was written

    @property
    def is_member(self) -> bool:
        """Say whether the node is a member, as far as it knows."""
        return self.lease != 0

    async def run(self) -> None:
        """Join, and stay until that is over. Raises StoreError."""
        try:
            taken_by = await self._join()
            if taken_by is None:
                self.picture.complain(ABOUT, "", self.node.tell)
                await self._stay()
                return
        except anyio.get_cancelled_exc_class():
            with anyio.move_on_after(STORE_LEAVE_TIMEOUT_S, shield=True):
                if self.busy is not None:
                    await self.busy.wait()
            raise
        finally:
            await self._leave()
        self.picture.complain(ABOUT, self._taken(taken_by), self.node.tell)
        await self._until_free()

    async def _join(self) -> Pair | None:
        """Become a member; return who has the name, where another process has it."""
        self._granted = lease = await self.etcd.grant(self.lease_s)
        key, self._card = self.keys.node(self.node.name), self._own(values.card, self.node.card)
        state = self._own(values.state, self.node.state)
        steps = [gateway.to_put(key, self._card, lease)]
        steps += [gateway.to_put(self.keys.state(self.node.name), state, lease)] if state != NOTHING else []
        revision = 0
        for _ in range(FLEET_TRIES):
            body = gateway.transaction([gateway.is_at(key, revision)], steps, [gateway.to_range(key)])
            done = await self.etcd.txn(body)
            pair = next((pair for found in done.found for pair in found.pairs), None)
            if done.has_held or (pair is not None and pair.lease == lease):
                # Where an answer was lost the key is its own already: it was written when the pair says.
                self.since = self._joined_at = done.revision if done.has_held or pair is None else pair.revision
                self.lease = lease
                self.picture.touch()
                return None
            if pair is None:
                revision = 0  # whoever had it has left just now
            elif pair.lease in (0, self.former):
                revision = pair.revision  # nobody lives by it, or this node did before it was started again
            else:
                return pair
        raise StoreUnreachable("the name of this node changes hands faster than it can be taken", is_unknown=False)

    def _own(self, write: Callable[[Mapping[str, Any]], bytes], say: Callable[[], Mapping[str, Any]]) -> bytes:
        """Return what the node says of itself as it is kept; what nobody could read is not said: it is a member all the same."""
        try:
            written = write(say())
        except ValueError as error:
            self.picture.complain(OWN, f"this node cannot say what it is or carries: {error}", self.node.tell)
            return NOTHING
        self.picture.complain(OWN, "", self.node.tell)
        return written

    async def _stay(self) -> None:
        losses = self.picture.losses
        async with anyio.create_task_group() as tasks:
            scope = tasks.cancel_scope
            tasks.start_soon(self._until_gone, self._keep_alive, self.lease_s / 3, scope)
            tasks.start_soon(self._until_gone, self._say_state, FLEET_STATE_INTERVAL_S, scope)
            await self._until_other(losses)
            scope.cancel()

    async def _until_free(self) -> None:
        """Return when the name is free, or may be so."""
        turns = self.picture.turns
        with anyio.move_on_after(self.lease_s):
            while self.picture.lease_of(self.node.name) is not None:
                turns = await self.picture.wait(turns)

    async def _until_gone(self, work: Work, interval_s: float, scope: anyio.CancelScope) -> None:
        """Do something every so often, whatever the store says, until the lease is gone."""
        pauses, pause_s = Pauses(min(STORE_RETRY_MAX_S, interval_s)), interval_s
        while True:
            await anyio.sleep(pause_s)
            try:
                await work()
            except LeaseGone:
                scope.cancel()
                return
            except StoreUnreachable as error:
                self.picture.doubt(str(error), self.node.tell)
                pause_s = pauses.next_s()
            except StoreError as error:
                self.picture.complain(ABOUT, f"this node cannot stay a member: {error}", self.node.tell)
                pause_s = STORE_RETRY_MAX_S
            else:
                pauses.begin_again()
                pause_s = interval_s

    async def _keep_alive(self) -> None:
        await self.etcd.keep_alive(self.lease)

    async def _say_state(self) -> None:
        state = self._own(values.state, self.node.state)
        if state != NOTHING:
            await self.etcd.put(self.keys.state(self.node.name), state, self.lease)
        await self._renew_card()
        self.picture.complain(ABOUT, "", self.node.tell)

    async def _renew_card(self) -> None:
        """Say anew who the node is, where a reload has changed that, unless another process has its name by now."""
        card, key = self._own(values.card, self.node.card), self.keys.node(self.node.name)
        if card == self._card:
            return
        steps = [gateway.to_put(key, card, self.lease)]
        body = gateway.transaction([gateway.is_at(key, self._joined_at)], steps, [gateway.to_range(key)])
        done = await self.etcd.txn(body)
        pair = next((pair for found in done.found for pair in found.pairs), None)
        if done.has_held:
            self._card, self._joined_at = card, done.revision
        elif pair is not None and pair.lease == self.lease:  # an answer that was lost on its way: the key is its own
            self._card, self._joined_at = pair.value, pair.revision

    async def _until_other(self, losses: int) -> None:
        """Return when the node is not a member by its lease any more: that has ended, or another process has its name."""
        picture, turns = self.picture, self.picture.turns
        while True:
            has_seen = picture.view.revision >= self._joined_at or picture.losses != losses
            if has_seen and picture.lease_of(self.node.name) != self.lease:
                return
            turns = await picture.wait(turns)

    async def _leave(self) -> None:
        """End the lease, so that nobody has to wait for its end; without an answer it ends by itself."""
        lease, self._granted = self._granted, 0
        if self.lease:
            self.former, self.lease = self.lease, 0
        if lease and not self.is_followed:
            with anyio.move_on_after(STORE_LEAVE_TIMEOUT_S, shield=True):
                try:
                    await self.etcd.revoke(lease)
                except StoreError:
                    return

    def _taken(self, pair: Pair) -> str:
        try:
            card = values.read_card(pair.value)
        except ValueError:
            card = {}
        host = f" on {card['host']}" if card.get("host") else ""
        return (
            f"this node does not join the fleet, as another process{host} has its name, {self.node.name}; give one of the two "
            f'another one: [cluster] node = "..."'
        )
