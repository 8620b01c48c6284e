"""Following one engine: the newest status, its age, its events, and the short past of each server.

Responsible for the connection to the engine, for coming back when it was lost, and for saying how fresh the figures are.
Knows nothing of screens: it calls `changed` and is read. Everything it hands out is printable.

Invariant: what is shown is the newest whole status that arrived, never a mixture; once it is older than STALE_AFTER_S or
the connection is gone, `is_live` is false until the next one arrives.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from time import monotonic
from typing import Final

import anyio

from lbapp.control.client import AsyncControlClient
from lbapp.control.messages import Event, PoolStatus, ServerStatus, Status
from lbapp.model.errors import EngineUnreachable, LbappError, RequestRefused
from lbapp.tui.cleaning import Target, clean_event, clean_server, clean_status
from lbapp.tui.format import clean, duration
from lbapp.tui.history import History

RETRY_S_MIN: Final = 0.25
RETRY_S_MAX: Final = 2.0
STALE_AFTER_S: Final = 2.5  # the engine sends two a second
EVENTS_KEPT: Final = 500


class Feed:
    """The newest that is known of the engine on one socket.

    `changed` is called after every change, on the event loop that runs `run`.
    """

    def __init__(self, socket_path: Path, changed: Callable[[], None]) -> None:
        self.socket_path = socket_path
        self.status: Status | None = None
        self.events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self.history = History()
        self._changed = changed
        self._targets: dict[str, Target] = {}
        self._is_connected = False
        self._received_at = 0.0
        self._problem = ""

    @property
    def age_s(self) -> float:
        """Seconds since the newest status arrived."""
        return monotonic() - self._received_at

    @property
    def is_live(self) -> bool:
        """Say whether the figures are of now."""
        return self.status is not None and self._is_connected and self.age_s < STALE_AFTER_S

    @property
    def freshness(self) -> str:
        """LIVE, STALE with the age of the figures, or WAITING before there are any."""
        if self.status is None:
            return "WAITING"
        return "LIVE" if self.is_live else f"STALE {duration(self.age_s)}"

    @property
    def problem(self) -> str:
        """Why there is no connection, as one sentence; empty while there is one."""
        return self._problem

    def pool(self, name: str) -> PoolStatus | None:
        """Return the pool of that name."""
        pools = self.status["pools"] if self.status else []
        return next((pool for pool in pools if pool["name"] == name), None)

    def server(self, server_id: str) -> ServerStatus | None:
        """Return the server of that id."""
        return next((server for server in self.servers() if server["id"] == server_id), None)

    def servers(self) -> list[ServerStatus]:
        """Return every server, in the order of the configuration."""
        pools = self.status["pools"] if self.status else []
        return [server for pool in pools for server in pool["servers"]]

    def event(self, seq: int) -> Event | None:
        """Return the event of that number, while it is kept."""
        return next((event for event in self.events if event["seq"] == seq), None)

    def target(self, server_id: str) -> Target | None:
        """Return the names the engine knows a server by."""
        return self._targets.get(server_id)

    def adopt(self, server_id: str, raw: ServerStatus) -> None:
        """Show what a change answered with at once, ahead of the next status."""
        server = clean_server(raw)
        shown = self.server(server_id)
        if shown is not None:
            server["id"], server["pool"] = shown["id"], shown["pool"]
            shown.update(server)
            self._changed()

    async def run(self) -> None:
        """Follow the engine until cancelled."""
        delay_s = RETRY_S_MIN
        while True:
            client = AsyncControlClient(self.socket_path)
            try:
                await self._follow(client)
            except LbappError as error:
                if self._is_connected:
                    delay_s = RETRY_S_MIN
                self._lost(error)
            finally:
                with anyio.CancelScope(shield=True):
                    await client.close()
            await anyio.sleep(delay_s)
            delay_s = min(delay_s * 2, RETRY_S_MAX)

    async def _follow(self, client: AsyncControlClient) -> None:
        last_seq: int | None = None
        async with aclosing(client.watch()) as statuses:  # type: ignore[type-var]  # a generator in fact
            async for raw in statuses:
                self._take(raw)
                last_seq = await self._take_events(client, last_seq)
                self._changed()

    def _take(self, raw: Status) -> None:
        try:
            status, targets = clean_status(raw)
            rates = {server["id"]: server["requests_per_s"] for pool in status["pools"] for server in pool["servers"]}
            rates |= {pool["name"]: pool["requests_per_s"] for pool in status["pools"]}
        except (KeyError, TypeError, ValueError) as error:
            message = f"what answers on {self.socket_path} is no engine of this version"
            raise EngineUnreachable(message, "Restart it with: lbapp run -c FILE") from error
        self.status, self._targets = status, targets
        self.history.add(rates)
        self._received_at, self._is_connected, self._problem = monotonic(), True, ""

    async def _take_events(self, client: AsyncControlClient, last_seq: int | None) -> int:
        """Fetch what happened since `last_seq`; None: this connection has none yet, so begin anew."""
        try:
            new = await client.events(last_seq or 0, EVENTS_KEPT)
        except RequestRefused:
            return last_seq or 0  # the figures matter more; the next status asks again
        if last_seq is None:
            self.events.clear()
        self.events.extend(clean_event(event) for event in new)
        return new[-1]["seq"] if new else last_seq or 0

    def _lost(self, error: LbappError) -> None:
        self._is_connected = False
        hint = f"; {error.hint[0].lower()}{error.hint[1:]}" if error.hint else ""
        self._problem = clean(f"{error.message}{hint}")
        self._changed()
