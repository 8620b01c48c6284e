"""Asking several hosts about themselves, each by itself.

Responsible for one connection to each and for the last answer of it. Knows nothing of screens. Invariants: no host waits for
another; what does not answer keeps its last answer and says why there is no newer one; nothing is asked on the terminal; what
is kept is printable.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final

import anyio
import anyio.to_thread

from lbapp.control import calls
from lbapp.control.client import AsyncControlClient
from lbapp.control.fleet import FleetStatus
from lbapp.control.hosts import HostAnswer, Place
from lbapp.control.ssh import Link
from lbapp.model.errors import LbappError
from lbapp.tui.format import clean
from lbapp.tui.staging import clean_value

EVERY_S: Final = 2.0


class HostWatch:
    """One host. `origin`: what a console of it is opened with."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.origin: Path | Link = place if isinstance(place, Path) else Link(place)
        self.answer = HostAnswer(place, problem="it has not answered yet")

    async def run(self, changed: Callable[[], None], threads: anyio.CapacityLimiter) -> None:
        """Ask until cancelled; `changed` is called behind each answer and each failure. `threads`: has one for each host."""
        while True:
            try:
                self.answer = HostAnswer(self.place, await self._ask(threads), time.time())
            except (LbappError, OSError) as error:  # such as: no ssh here, or no room for its socket
                self.answer = replace(self.answer, problem=clean(str(error)))
            changed()
            await anyio.sleep(EVERY_S)

    async def _ask(self, threads: anyio.CapacityLimiter) -> FleetStatus:
        link = self.origin if isinstance(self.origin, Link) else None
        if link is not None:
            await anyio.to_thread.run_sync(link.ensure, abandon_on_cancel=True, limiter=threads)
        socket, name = (link.socket, str(link.host)) if link else (Path(str(self.place)), "")
        client = AsyncControlClient(socket, name)
        try:
            return clean_value(await client.ask(calls.fleet()))  # type: ignore[no-any-return]  # of the shape that came
        finally:
            with anyio.CancelScope(shield=True):
                await client.close()

    def close(self) -> None:
        """End its connection."""
        if isinstance(self.origin, Link):
            self.origin.close()


class HostsWatch:
    """All hosts of a list."""

    def __init__(self, places: Sequence[Place]) -> None:
        self.hosts = [HostWatch(place) for place in places]

    def __enter__(self) -> HostsWatch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for host in self.hosts:
            host.close()

    @property
    def answers(self) -> list[HostAnswer]:
        """The last answer of each, in the order of the list."""
        return [host.answer for host in self.hosts]

    async def run(self, changed: Callable[[], None]) -> None:
        """Ask all of them until cancelled."""
        threads = anyio.CapacityLimiter(max(1, len(self.hosts)))
        async with anyio.create_task_group() as tasks:
            for host in self.hosts:
                tasks.start_soon(host.run, changed, threads)
