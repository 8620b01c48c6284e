"""Following one engine: the newest scene, its age, its events, and the short past of each server.

Responsible for the connection to the engine, for coming back when it was lost, and for saying how fresh the figures are.
Knows nothing of screens: it calls `changed` and is read. Everything it keeps is printable.

Invariants: what is shown is the scene as of the newest line that arrived, whole; once that is older than STALE_AFTER_S or
the connection is gone, `is_live` is false until the next one arrives. While it rests, states go on coming in as they change, and
`has_figures` is false: those that there are, are of before.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from contextvars import copy_context
from pathlib import Path
from time import monotonic, time
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from lbapp.control import calls
from lbapp.control.calls import Answer, Call
from lbapp.control.client import AsyncControlClient
from lbapp.control.config_file import ConfigFile, LocalFile
from lbapp.control.live import Line
from lbapp.control.looking import LogLine, Skipped
from lbapp.control.messages import Event, ServerStatus
from lbapp.model.errors import EngineUnreachable, LbappError
from lbapp.tui.clock import EngineClock
from lbapp.tui.format import clean, duration
from lbapp.tui.live import LiveScene
from lbapp.tui.scene import Scene, Target
from lbapp.tui.staging import adopt, clean_event
from lbapp.tui.trends import Trends

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from lbapp.control.ssh import Link

RETRY_S_MIN: Final = 0.25
RETRY_S_MAX: Final = 0.5  # here: a millisecond each, and an engine that is back is shown within a second
RETRY_S_MAX_AWAY: Final = 2.0  # each is a login there
STALE_AFTER_S: Final = 2.0  # the engine sends two a second
EVENTS_KEPT: Final = 1_000
FIGURES_WITHIN_S: Final = 2.0  # after a rest
_TREND_S: Final = 0.4  # between two readings for sparklines: a change of state brings a line in between
_TREND_GAP_S: Final = 5.0  # behind which readings do not go on from where they were


class Feed:
    """The newest that is known of the engine on one socket.

    `changed` is called after every change, on the event loop that runs `run`. `link`: what brings the socket here, when
    the engine is on another host.
    """

    def __init__(self, socket_path: Path, changed: Callable[[], None], link: Link | None = None) -> None:
        self.socket_path = socket_path
        self.name = str(link.host if link else socket_path)
        self._link = link
        self.scene: Scene | None = None
        self.events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self.trends = Trends()
        self._changed = changed
        self._is_connected = False
        self._is_resting = self._has_figures = False
        self._may_rest = False  # nobody sees figures
        self._waiting = 0  # for figures: it does not rest meanwhile, whoever sees them
        self._counted_at = 0.0  # by the engine's clock: the newest figures
        self._took = anyio.Event()  # a line; another one for each
        self._streams: Sequence[anyio.CancelScope] = ()
        self._listen_anew: Callable[[], None] | None = None
        self._lost_by: LbappError | None = None
        self._clock = EngineClock()
        self._trends_at = 0.0  # by the engine's clock
        self._problem = ""
        self._context = copy_context()

    @property
    def title(self) -> str:
        """The node, as soon as it is known, and the host where that is another one."""
        engine = self.scene.engine if self.scene else None
        words = [engine["node"]] if engine else []
        return " at ".join([*words, clean(self._link.host.name)] if self._link else words)

    @property
    def is_of_now(self) -> bool:
        """Yes: time passes at an engine."""
        return True

    @property
    def turns(self) -> int:
        """Never: it is always now."""
        return 0

    @property
    def age_s(self) -> float:
        """Seconds since the engine made the newest scene: what a slow link brings late is old when it comes."""
        return self._clock.age_s(monotonic())

    @property
    def is_live(self) -> bool:
        """Say whether the figures are of now."""
        return self.scene is not None and self._is_connected and self.age_s < STALE_AFTER_S

    @property
    def freshness(self) -> str:
        """LIVE, STALE with the age of the figures, or WAITING before there are any."""
        if self.scene is None:
            return "WAITING"
        return "LIVE" if self.is_live else f"STALE {duration(self.now() - self._counted_at)}"

    def now(self) -> float:
        """Return the time by the engine's clock (Unix seconds)."""
        return self.scene.at + self.age_s if self.scene is not None else time()

    @property
    def has_figures(self) -> bool:
        """Say whether figures are as new as states."""
        return self._has_figures

    def rest(self, *, is_resting: bool) -> None:
        """Follow states alone, for nobody sees figures; or figures, too."""
        self._may_rest = is_resting
        self._rest_if_possible()

    def _rest_if_possible(self) -> None:
        is_resting = self._may_rest and not self._waiting
        if is_resting is not self._is_resting:
            self._is_resting = is_resting
            if self._listen_anew is not None:
                self._listen_anew()

    async def have_figures(self) -> None:
        """Follow figures, too, and return when they are there. Raises EngineUnreachable when they do not come in time."""
        self._waiting += 1
        self.rest(is_resting=False)
        try:
            with anyio.move_on_after(FIGURES_WITHIN_S):
                while not self._has_figures:
                    await self._took.wait()
            has_figures = self._has_figures
        finally:
            self._waiting -= 1
            self._rest_if_possible()
        if not has_figures:
            raise EngineUnreachable(f"no figures came from {self.name} in time", "Try again when they are LIVE")

    @property
    def problem(self) -> str:
        """Why there is no connection, as one sentence; empty while there is one."""
        return self._problem

    def config_file(self, path: str) -> ConfigFile:
        """Return the configuration file at a path of the engine's machine, with the rights of the operator there."""
        return LocalFile(Path(path)) if self._link is None else self._link.file(path)

    async def ask(self, call: Call[Answer]) -> Answer:
        """Carry a call out. Raises RequestRefused, EngineUnreachable.

        Not in the context of who asks: a timeout stays with the event loop until its time would have come, and would keep alive
        whatever dialog it was asked for.
        """
        return await asyncio.get_running_loop().create_task(self._carry_out(call), context=self._context)

    async def _carry_out(self, call: Call[Answer]) -> Answer:
        client = self._client()
        try:
            return await client.ask(call)
        finally:
            with anyio.CancelScope(shield=True):
                await client.close()

    async def follow_log(self, query: Mapping[str, str]) -> AsyncIterator[LogLine | Skipped]:
        """Yield exchanges as they end. Raises RequestRefused, EngineUnreachable."""
        client = self._client()
        try:
            async with aclosing(client.follow_log(query)) as lines:
                async for line in lines:
                    yield line
        finally:
            with anyio.CancelScope(shield=True):
                await client.close()

    def _client(self) -> AsyncControlClient:
        return AsyncControlClient(self.socket_path, self.name)

    def adopt(self, raw: ServerStatus) -> None:
        """Show what a change answered with at once, ahead of the next scene."""
        shown = self.scene and self.scene.by_target(Target(raw["pool"], raw["name"]))
        if self.scene is not None and shown:
            adopt(shown, raw, self.scene.at)
            self._changed()

    async def run(self) -> None:
        """Follow the engine until cancelled."""
        delay_s, most_s = RETRY_S_MIN, RETRY_S_MAX if self._link is None else RETRY_S_MAX_AWAY
        while True:
            client = self._client()
            try:
                if self._link is not None:
                    await anyio.to_thread.run_sync(self._link.ensure, abandon_on_cancel=True)
                await self._follow(client)
            except LbappError as error:
                if self._is_connected:
                    delay_s = RETRY_S_MIN
                self._lost(error)
            finally:
                with anyio.CancelScope(shield=True):
                    await client.close()
            await anyio.sleep(delay_s)
            delay_s = min(delay_s * 2, most_s)

    async def _follow(self, client: AsyncControlClient) -> None:
        """Take in lines until there are no more. Raises EngineUnreachable, RequestRefused."""
        live = LiveScene()
        self._clock.restart()
        self._lost_by, self._streams = None, ()
        try:
            async with anyio.create_task_group() as tasks:

                def listen() -> None:
                    tasks.start_soon(self._listen, client, live, tasks)

                self._listen_anew = listen
                listen()
        finally:  # also when it is cancelled: nobody can listen any more
            self._listen_anew = None
        if self._lost_by is not None:
            raise self._lost_by

    async def _listen(self, client: AsyncControlClient, live: LiveScene, tasks: TaskGroup) -> None:
        """Take in lines until there are no more, or until others are listened to.

        What was listened to before is left when the first of these lines is here, and not heard any more: so the engine need
        not begin anew, and no line comes in behind one that is newer.
        """
        has_figures = not self._is_resting
        after = live.counted if has_figures else live.look
        with anyio.CancelScope() as scope:
            before = self._streams
            self._streams = (*before, scope)
            try:
                async with aclosing(client.watch_changes(after, has_figures=has_figures)) as lines:
                    async for line in lines:
                        if self._streams[-1] is not scope:
                            continue
                        for each in before:
                            each.cancel()
                        before, self._streams = (), (scope,)
                        is_first = live.scene is None
                        self._take(live, line, has_figures=has_figures)
                        self._changed()
                        if is_first:  # the figures are not to wait for the events
                            tasks.start_soon(self._follow_events, client)
            except LbappError as error:
                if self._streams[-1] is scope:
                    self._lost_by = error
                    tasks.cancel_scope.cancel()

    def _take(self, live: LiveScene, line: Line, *, has_figures: bool) -> None:
        try:
            live.take(line, has_figures=has_figures)
        except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
            message = f"what answers on {self.name} is no engine of this version"
            raise EngineUnreachable(message, "Restart it with: lbapp run -c FILE") from error
        scene = self.scene = live.scene
        if scene is not None and has_figures and abs(scene.at - self._trends_at) >= _TREND_S:
            if abs(scene.at - self._trends_at) > _TREND_GAP_S:
                self.trends.forget()
            self._trends_at = scene.at
            self.trends.add(live.rated, live.rates())
        if scene is not None:
            self._clock.hear(scene.at, monotonic())
            self._counted_at = scene.at if has_figures else self._counted_at
        self._has_figures = has_figures
        self._is_connected, self._problem = True, ""
        self._took.set()
        self._took = anyio.Event()

    async def _follow_events(self, client: AsyncControlClient) -> None:
        """Take in what has happened, and then what happens. It is shown with the next line, which comes at once or soon."""
        while True:
            with suppress(LbappError):  # the figures matter more: it is they that a connection is lost with
                found = (await client.ask(calls.events(0, EVENTS_KEPT)))["events"]
                self.events.clear()
                self.events.extend(clean_event(event) for event in found)
                self._changed()
                async with aclosing(client.follow_events(found[-1]["seq"] if found else 0)) as events:
                    async for event in events:
                        self.events.append(clean_event(event))
            await anyio.sleep(RETRY_S_MAX_AWAY)

    def _lost(self, error: LbappError) -> None:
        self._is_connected = False
        hint = f"; {error.hint[0].lower()}{error.hint[1:]}" if error.hint else ""
        self._problem = clean(f"{error.message}{hint}")
        self._changed()
