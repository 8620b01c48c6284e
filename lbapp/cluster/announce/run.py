"""`lbapp announce`: the process that tells routers whether clients may come to this node.

Responsible for its loop: ask the engine, decide, have the backend make it so, report, wait; and for telling its warden and the
service manager at each turn that it still turns. Knows nothing of any daemon's language.

Invariants: what the backend is told is what was decided last; every change is a line of the log and of the report; however it
ends, but by SIGKILL, the addresses are withdrawn first, or it is said that they are not. Where it has ended otherwise, or hangs,
the warden withdraws them, and the unit's watchdog and ExecStopPost where the warden is gone as well.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from lbapp.cluster.announce.asking import ask, follow
from lbapp.cluster.announce.backend import SETTLE_TIMEOUT_S, Backend, BackendEnded, BackendFailed, Found
from lbapp.cluster.announce.decision import Decision, RouteState
from lbapp.cluster.announce.report import SEND_TIMEOUT_S, Reporter, report_of
from lbapp.cluster.announce.watched import watched
from lbapp.control.client import AsyncControlClient
from lbapp.control.notify import notify, watchdog_s
from lbapp.control.paths import default_socket
from lbapp.model.announce import AnnounceSettings

_log: Final = logging.getLogger("lbapp.announce")
_WAKE_GAP_S: Final = 0.05  # events may come by the hundred; so often is enough
_PATIENCE: Final = 1.5  # so many times as long as a turn may take, the warden waits for the next one
_WATCHDOG_PARTS: Final = 3  # so many times as often as has to be, it is said that the loop turns


async def run(settings: AnnounceSettings, backend: Backend, socket: Path | None) -> None:
    """Announce until SIGTERM, SIGINT or SIGHUP. `socket`: of the engine, before what the file says.

    Raises BackendEnded, and BackendFailed where the addresses are not withdrawn at the end.
    """
    path = socket or (Path(settings.socket) if settings.socket else default_socket())
    async with AsyncExitStack() as stack:
        engine = AsyncControlClient(path)
        stack.push_async_callback(engine.close)
        await stack.enter_async_context(backend)
        beat = await stack.enter_async_context(watched(backend.will, _PATIENCE * turn_s(settings)))
        announcer = Announcer(settings, backend, engine, beat)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_end_on_signal, tasks)
                tasks.start_soon(follow, engine, announcer.wake)
                tasks.start_soon(backend.watch, announcer.wake)
                tasks.start_soon(announcer.run, tasks)
        finally:
            with anyio.move_on_after(2 * SETTLE_TIMEOUT_S, shield=True):
                await anyio.to_thread.run_sync(notify, "STOPPING=1")
                await announcer.withdraw()
        if announcer.ended is not None:
            raise announcer.ended


async def withdraw(backend: Backend) -> None:
    """Withdraw what another process has announced, without an engine. Raises BackendFailed."""
    async with backend:
        await backend.settle(RouteState.WITHDRAWN)


def turn_s(settings: AnnounceSettings) -> float:
    """Return how long one turn of the loop may take, where both the engine and the backend are silent."""
    return 2 * settings.interval_s + SETTLE_TIMEOUT_S + SEND_TIMEOUT_S


async def _end_on_signal(tasks: TaskGroup) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async for number in signals:
            _log.info("stopping: %s", signal.Signals(number).name)
            tasks.cancel_scope.cancel()
            return


class Announcer:
    """The loop, and what it knows. `ended`: why the backend has ended, once it has, or has not withdrawn at the end."""

    def __init__(
        self, settings: AnnounceSettings, backend: Backend, engine: AsyncControlClient, beat: Callable[[], None]
    ) -> None:
        """`beat`: to be called at each turn of the loop."""
        self._settings = settings
        self._beat = beat
        self._backend = backend
        self._engine = engine
        self._decision = Decision(settings)
        self.ended: BackendEnded | BackendFailed | None = None
        self._awake = anyio.Event()
        self._looked_s = 0.0
        self._found = Found(())
        self._has_looked = False
        self._since = time.time()
        self._problem = ""
        self._reporter = Reporter(engine)
        self._watchdog_s = watchdog_s()
        self._fed_s = float("-inf")

    def wake(self) -> None:
        """Have the next look come at once."""
        self._awake.set()

    async def run(self, tasks: TaskGroup) -> None:
        """Look, decide and tell, until cancelled, or until the backend has ended: then nothing is left to do in `tasks`."""
        try:
            await self._go_on()
        except BackendEnded as error:
            self.ended = error
            tasks.cancel_scope.cancel()

    async def _go_on(self) -> None:
        _log.info("announcing %s by %s: withdrawn", ", ".join(self._settings.addresses), self._settings.backend.value)
        self._check_watchdog()
        await self._settle()
        await anyio.to_thread.run_sync(notify, "READY=1")
        while True:
            self._beat()
            await self._feed_watchdog()
            self._awake = anyio.Event()
            self._looked_s = anyio.current_time()
            look = await ask(self._engine, self._settings.interval_s)
            before = self._decision.state
            why = self._decision.take(look, time.monotonic())
            if self._decision.state is not before:
                self._since = time.time()
                _log.info("%s -> %s: %s", before.value, self._decision.state.value, why)
            self._has_looked = True
            await self._settle()
            await self._report()
            await self._pause()

    def _check_watchdog(self) -> None:
        """Say so where the unit would kill what is well, but has a silent engine and a silent backend."""
        most_s = turn_s(self._settings)
        if self._watchdog_s is not None and self._watchdog_s <= most_s:
            message = "WatchdogSec of the unit is %g s, and a look may take %g s: make it longer, or interval shorter"
            _log.warning(message, self._watchdog_s, most_s)

    async def _feed_watchdog(self) -> None:
        now_s = anyio.current_time()
        if self._watchdog_s is not None and now_s - self._fed_s >= self._watchdog_s / _WATCHDOG_PARTS:
            self._fed_s = now_s
            await anyio.to_thread.run_sync(notify, "WATCHDOG=1")

    async def withdraw(self) -> None:
        """Withdraw the addresses, and say so, or why they are not."""
        self._decision = Decision(self._settings)
        self._since = time.time()
        try:
            await self._settle()
        except BackendEnded:
            return  # with it, its sessions and routes are gone
        if self._problem:
            _log.error("not withdrawn: %s", self._problem)
            self.ended = self.ended or BackendFailed(f"not withdrawn: {self._problem}")
        else:
            _log.info("withdrawn")
        await self._report()

    async def _pause(self) -> None:
        is_close = self._decision.is_in_the_air or bool(self._problem)
        with anyio.move_on_after(self._settings.fast_interval_s if is_close else self._settings.interval_s):
            await self._awake.wait()
            await anyio.sleep_until(self._looked_s + _WAKE_GAP_S)

    async def _settle(self) -> None:
        problem = ""
        try:
            with anyio.fail_after(SETTLE_TIMEOUT_S):
                self._found = await self._backend.settle(self._decision.state)
        except BackendFailed as error:
            problem, self._found = str(error), Found(())
        except TimeoutError:
            problem, self._found = f"{self._settings.backend.value} does not answer", Found(())
        for note in self._found.notes:
            _log.warning("%s", note)
        if problem != self._problem:
            self._problem = problem
            _log.log(
                logging.ERROR if problem else logging.INFO, "%s", problem or "the backend does as it is told again"
            )

    async def _report(self) -> None:
        held_s = self._decision.held_s(time.monotonic())
        held = f"held down until {time.strftime('%H:%M:%S', time.localtime(time.time() + held_s))}" if held_s else ""
        state = self._decision.state if self._has_looked else None
        report = report_of(self._settings, state, self._found, self._problem, self._since)
        report["problem"] = report["problem"] or held
        await self._reporter.tell(report)
