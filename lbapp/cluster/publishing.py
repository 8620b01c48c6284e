"""Configurations of a fleet, as operators publish, stop and read them.

Responsible for writing a text with what nodes are to do with it, at one stroke, for removing old texts, and for stopping a
roll. Knows nothing of how a node serves by one.

Invariants: a configuration that is to be served has its text beside it; two that are published at once are one and a refusal;
what this version does not understand is neither written over nor stopped.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, replace

from lbapp.cluster import gateway, values
from lbapp.cluster.etcd import Etcd, StoreError
from lbapp.cluster.gateway import Body, Committed
from lbapp.cluster.keys import Keys
from lbapp.cluster.picture import Picture
from lbapp.cluster.roll import is_over
from lbapp.cluster.writing import refused, transact, unreachable
from lbapp.model.errors import RequestRefused
from lbapp.model.file_digest import file_digest
from lbapp.model.fleet import FleetConfiguration, RollMode
from lbapp.model.limits import FLEET_TEXT_BYTES_MAX, FLEET_TEXTS_KEPT, FLEET_TRIES


@dataclass(frozen=True, slots=True)
class Publisher:
    """Publishes to one fleet, from one node."""

    etcd: Etcd
    keys: Keys
    picture: Picture
    node: str

    async def publish(self, configuration: FleetConfiguration, text: str) -> FleetConfiguration:
        """Do as `Fleet.publish`."""
        data = text.encode()
        if len(data) > FLEET_TEXT_BYTES_MAX:
            message = f"the configuration has {len(data)} bytes, and the store takes {FLEET_TEXT_BYTES_MAX}"
            raise RequestRefused("too_long", f"{message}; nothing was changed", "Make it shorter", 413)
        view = self.picture.view
        if not is_over(view.configuration, view.results, self._alive()):
            raise _rolling(view.configuration)
        seen, number = configuration.revision, self.picture.number_max + 1
        for _ in range(FLEET_TRIES):
            written = self._as_written(configuration, number, file_digest(data))
            done = await transact(self.etcd, self._writing(written, data, seen))
            if done.has_held:
                return replace(written, revision=done.revision)
            now = self._current(done)
            if replace(now, revision=0) == written:
                return now  # an answer that was lost on its way: this is what was written the first time
            if now.revision != seen:
                raise _changed(seen, now)
            # One that nobody knows any more has had this number: its text is there, and what says so was deleted.
            number = await self._last_number() + 1
        raise unreachable("the numbers of configurations are taken faster than they can be read", is_unknown=False)

    def _writing(self, written: FleetConfiguration, data: bytes, seen: int) -> Body:
        """Return the transaction that writes a configuration with its text, where the one that was seen stands there."""
        key = self.keys.text(written.number)
        steps = [gateway.to_put(key, data), gateway.to_put(self.keys.current, _value_of(written))]
        if written.number > FLEET_TEXTS_KEPT:
            old = gateway.to_delete(self.keys.text(0), self.keys.text(written.number - FLEET_TEXTS_KEPT + 1))
            steps.append(old)
        compare = [gateway.is_at(self.keys.current, seen), gateway.is_at(key, 0)]
        return gateway.transaction(compare, steps, [gateway.to_range(self.keys.current)])

    async def _last_number(self) -> int:
        """Return the highest number of which there is a text."""
        look = gateway.to_last(self.keys.text(0), self.keys.texts_end)
        done = await transact(self.etcd, gateway.transaction([], [look]))
        numbers = [self.keys.number_of_text(pair.key) for found in done.found for pair in found.pairs]
        return max(self.picture.number_max, *numbers, 0)

    async def stop_roll(self, reason: str, by: str) -> FleetConfiguration:
        """Do as `Fleet.stop_roll`."""
        why = f"{by} at {self.node} has stopped it" + (f": {values.shown(reason)}" if reason else "")
        now = await self._read()
        for _ in range(FLEET_TRIES):
            if is_over(now, self.picture.view.results, self._alive()):
                raise RequestRefused("not_rolling", "no configuration is rolling; nothing was changed", status=409)
            stopped = replace(now, stopped=why)
            compare = [gateway.is_at(self.keys.current, now.revision)]
            steps = [gateway.to_put(self.keys.current, _value_of(stopped))]
            done = await transact(self.etcd, gateway.transaction(compare, steps, [gateway.to_range(self.keys.current)]))
            if done.has_held:
                return replace(stopped, revision=done.revision)
            now = self._current(done)  # it has gone on to the next node just now
            if now.stopped == why:
                return now
        raise unreachable("the roll goes on faster than it can be stopped", is_unknown=False)

    async def text_of(self, number: int) -> str:
        """Do as `Fleet.text_of`."""
        try:
            found = await self.etcd.range(self.keys.text(number))
            text = values.read_text(found.pairs[0].value) if found.pairs else None
        except StoreError as error:
            raise refused(error) from error
        except ValueError as error:
            raise RequestRefused(
                "damaged", f"the text of configuration {number} is damaged: {error}", "", 502
            ) from error
        if text is None:
            message = f"the fleet has no configuration {number}, or not its text any more"
            raise RequestRefused("unknown_configuration", message, f"The last {FLEET_TEXTS_KEPT} are kept", 404)
        return text

    async def _read(self) -> FleetConfiguration:
        look = gateway.transaction([], [gateway.to_range(self.keys.current)])
        return self._current(await transact(self.etcd, look))

    def _current(self, done: Committed) -> FleetConfiguration:
        """Return the configuration that a transaction has found. Raises RequestRefused 409 not_understood."""
        for found in done.found:
            for pair in found.pairs:
                try:
                    return values.read_configuration(pair.value, pair.revision)
                except ValueError as error:
                    raise self._not_understood(pair.value, str(error)) from error
        return FleetConfiguration()

    def _not_understood(self, value: bytes, why: str) -> RequestRefused:
        key, node = self.keys.shown(self.keys.current), values.author(value)
        who = f" that {node} has published" if node else ""
        message = f"the configuration of the fleet{who} is none that this version of lbapp understands ({why})"
        hint = f"Do it at a node of the version that wrote it; where nobody did on purpose, delete {key} from the store"
        return RequestRefused("not_understood", f"{message}; nothing was changed", hint, 409)

    def _as_written(self, configuration: FleetConfiguration, number: int, digest: str) -> FleetConfiguration:
        is_rolling = configuration.mode is RollMode.ROLLING
        order = (configuration.order or tuple(sorted(self._alive()))) if is_rolling else ()
        return replace(
            configuration,
            number=number,
            node=self.node,
            at=configuration.at or time.time(),
            reason=values.shown(configuration.reason),
            order=order,
            reached=min(1, len(order)),
            stopped="",
            digest=digest,
            revision=0,
        )

    def _alive(self) -> Collection[str]:
        return {member.name for member in self.picture.view.alive}


def _changed(seen: int, now: FleetConfiguration) -> RequestRefused:
    if now.number:
        what = f"configuration {now.number} was published by {now.by} at {now.node} meanwhile"
    else:
        what = f"the configuration of the fleet as it was seen (revision {seen}) was deleted from the store, and not by lbapp"
    return RequestRefused("changed", f"{what}; nothing was changed", "Look at it, then repeat", 409)


def _value_of(configuration: FleetConfiguration) -> bytes:
    try:
        return values.configuration(configuration)
    except ValueError as error:
        message = f"configuration {configuration.number} cannot be written: {error}; nothing was changed"
        raise RequestRefused("unwritable", message) from error


def _rolling(configuration: FleetConfiguration) -> RequestRefused:
    done, of = configuration.reached, len(configuration.order)
    message = f"configuration {configuration.number} is at node {done} of {of} of its roll; nothing was changed"
    return RequestRefused("rolling", message, "Wait for its end, or stop it", 409)
