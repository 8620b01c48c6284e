"""Following one engine: the newest scene, its age, its events, and the short past of each server.

Responsible for the connection to the engine, for coming back when it was lost, and for saying how fresh the figures are.
Knows nothing of screens: it calls `changed` and is read. Everything it keeps is printable.

Invariant: what is shown is the newest whole scene that arrived, never a mixture; once it is older than STALE_AFTER_S or
the connection is gone, `is_live` is false until the next one arrives.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from time import monotonic, time
from typing import Final

import anyio

from lbapp.control import calls
from lbapp.control.calls import Answer, Call
from lbapp.control.client import AsyncControlClient
from lbapp.control.looking import LogLine, Skipped
from lbapp.control.messages import Event, ServerStatus, Status
from lbapp.model.errors import EngineUnreachable, LbappError, RequestRefused
from lbapp.tui.format import clean, duration
from lbapp.tui.scene import Scene, Target
from lbapp.tui.staging import adopt, clean_event, scene_of
from lbapp.tui.trends import Trends

RETRY_S_MIN: Final = 0.25
RETRY_S_MAX: Final = 2.0
STALE_AFTER_S: Final = 2.0  # the engine sends two a second
EVENTS_KEPT: Final = 1_000


class Feed:
    """The newest that is known of the engine on one socket.

    `changed` is called after every change, on the event loop that runs `run`. `name`: what it is to people.
    """

    def __init__(self, socket_path: Path, changed: Callable[[], None], name: str = "") -> None:
        self.socket_path = socket_path
        self.name = name or str(socket_path)
        self.scene: Scene | None = None
        self.events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self.trends = Trends()
        self._changed = changed
        self._is_connected = False
        self._received_at = 0.0
        self._problem = ""

    @property
    def age_s(self) -> float:
        """Seconds since the newest scene arrived."""
        return monotonic() - self._received_at

    @property
    def is_live(self) -> bool:
        """Say whether the figures are of now."""
        return self.scene is not None and self._is_connected and self.age_s < STALE_AFTER_S

    @property
    def freshness(self) -> str:
        """LIVE, STALE with the age of the figures, or WAITING before there are any."""
        if self.scene is None:
            return "WAITING"
        return "LIVE" if self.is_live else f"STALE {duration(self.age_s)}"

    def now(self) -> float:
        """Return the time by the engine's clock (Unix seconds)."""
        return self.scene.at + self.age_s if self.scene is not None else time()

    @property
    def problem(self) -> str:
        """Why there is no connection, as one sentence; empty while there is one."""
        return self._problem

    async def ask(self, call: Call[Answer]) -> Answer:
        """Carry a call out. Raises RequestRefused, EngineUnreachable."""
        client = AsyncControlClient(self.socket_path)
        try:
            return await client.ask(call)
        finally:
            with anyio.CancelScope(shield=True):
                await client.close()

    async def follow_log(self, query: Mapping[str, str]) -> AsyncIterator[LogLine | Skipped]:
        """Yield exchanges as they end. Raises RequestRefused, EngineUnreachable."""
        client = AsyncControlClient(self.socket_path)
        try:
            async with aclosing(client.follow_log(query)) as lines:  # type: ignore[type-var]  # a generator in fact
                async for line in lines:
                    yield line
        finally:
            with anyio.CancelScope(shield=True):
                await client.close()

    def adopt(self, raw: ServerStatus) -> None:
        """Show what a change answered with at once, ahead of the next scene."""
        shown = self.scene and self.scene.by_target(Target(raw["pool"], raw["name"]))
        if self.scene is not None and shown:
            adopt(shown, raw, self.scene.at)
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
            scene = scene_of(raw)
        except (KeyError, TypeError, ValueError) as error:
            message = f"what answers on {self.name} is no engine of this version"
            raise EngineUnreachable(message, "Restart it with: lbapp run -c FILE") from error
        self.scene = scene
        self.trends.add(
            {server.id: server.requests_per_s or 0.0 for server in scene.servers()}
            | {pool.name: pool.requests_per_s or 0.0 for pool in scene.pools}
        )
        self._received_at, self._is_connected, self._problem = monotonic(), True, ""

    async def _take_events(self, client: AsyncControlClient, last_seq: int | None) -> int:
        """Fetch what happened since `last_seq`; None: this connection has none yet, so begin anew."""
        try:
            new = (await client.ask(calls.events(last_seq or 0, EVENTS_KEPT)))["events"]
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
