"""Writing the view to the node's disk as it changes, so that the next start has it.

Responsible for when that is done. Knows nothing of the form of the file.

Invariants: one write at a time, off the event loop but for the last; what only figures changed in is written seldom; a disk that
fails stops nothing.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from lbapp.cluster import kept
from lbapp.cluster.kept import Kept
from lbapp.cluster.membership import Membership
from lbapp.cluster.picture import Picture
from lbapp.model.fleet import ClusterSettings, Node
from lbapp.model.limits import FLEET_KEEP_INTERVAL_S, FLEET_KEEP_STATE_INTERVAL_S

_ABOUT = "kept"


@dataclass(slots=True)
class Keeper:
    """Keeps one picture in one file."""

    path: Path
    settings: ClusterSettings
    picture: Picture
    membership: Membership
    node: Node

    async def run(self) -> None:
        """Write whenever there is something to write, until cancelled, and then what has come since."""
        turns, was, written_at = self.picture.turns, None, 0.0
        try:
            while True:
                now = self._kept()
                is_due = time.monotonic() - written_at > FLEET_KEEP_STATE_INTERVAL_S
                if now.view.confirmed_at and (_matters(now) != was or is_due):
                    if await self._write(now):
                        was, written_at = _matters(now), time.monotonic()
                    await anyio.sleep(FLEET_KEEP_INTERVAL_S)
                turns = await self.picture.wait(turns)
        finally:
            last = self._kept()
            if last.view.confirmed_at and _matters(last) != was:
                with suppress(OSError):  # it has been said, or nobody is there any more to be told
                    kept.write(self.path, self.settings.name, last)

    async def _write(self, now: Kept) -> bool:
        """Write it; say whether that was done."""
        try:
            await anyio.to_thread.run_sync(kept.write, self.path, self.settings.name, now)
        except OSError as error:
            message = f"the view of the fleet cannot be kept in {self.path}: {error.strerror}"
            self.picture.complain(_ABOUT, message, self.node.tell)
            return False
        self.picture.complain(_ABOUT, "", self.node.tell)
        return True

    def _kept(self) -> Kept:
        picture = self.picture
        since, lease = picture.since, self.membership.lease or self.membership.former
        # What has come of the store that is asked now has come of it as soon as that has answered.
        endpoints = picture.came_from or self.settings.endpoints
        return Kept(picture.view, picture.began, lease, since.floor, since.former, endpoints)


def _matters(now: Kept) -> object:
    """Return what is written at once when it changes."""
    view = now.view
    members = {name: (member.card, member.is_alive) for name, member in view.members.items()}
    return now.began, now.lease, now.floor, members, view.intents, view.configuration, view.results
