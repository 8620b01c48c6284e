"""Configurations of a fleet, as operators publish, stop and read them.

Responsible for writing a text with what nodes are to do with it, at one stroke, for removing old texts, and for stopping a
roll. Knows nothing of how a node serves by one.

Invariants: a configuration that is to be served has its text beside it; two that are published at once are one and a refusal.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, replace

from lbapp.cluster import gateway, values
from lbapp.cluster.etcd import Etcd, StoreError
from lbapp.cluster.gateway import Committed
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
        seen = configuration.revision
        written = self._as_written(configuration, file_digest(data))
        key = self.keys.text(written.number)
        steps = [gateway.to_put(key, data), gateway.to_put(self.keys.current, _value_of(written))]
        if written.number > FLEET_TEXTS_KEPT:
            old = gateway.to_delete(self.keys.text(0), self.keys.text(written.number - FLEET_TEXTS_KEPT + 1))
            steps.append(old)
        compare = [gateway.is_at(self.keys.current, seen), gateway.is_at(key, 0)]
        done = await transact(self.etcd, gateway.transaction(compare, steps, [gateway.to_range(self.keys.current)]))
        if done.has_held:
            return replace(written, revision=done.revision)
        now = _current(done)
        if replace(now, revision=0) == written:
            return now  # an answer that was lost on its way: this is what was written the first time
        what = f"configuration {now.number} was published by {now.by} at {now.node} meanwhile; nothing was changed"
        raise RequestRefused("changed", what, "Look at it, then repeat", 409)

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
            now = _current(done)  # it has gone on to the next node just now
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
        return _current(await transact(self.etcd, look))

    def _as_written(self, configuration: FleetConfiguration, digest: str) -> FleetConfiguration:
        is_rolling = configuration.mode is RollMode.ROLLING
        order = (configuration.order or tuple(sorted(self._alive()))) if is_rolling else ()
        return replace(
            configuration,
            number=self.picture.number_max + 1,
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


def _current(done: Committed) -> FleetConfiguration:
    """Return the configuration that a transaction has found. One that cannot be read is one that is not there."""
    for found in done.found:
        for pair in found.pairs:
            try:
                return values.read_configuration(pair.value, pair.revision)
            except ValueError:
                return FleetConfiguration(revision=pair.revision)
    return FleetConfiguration()


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
