"""`lbapp upgrade`: the code that is on disk now, on the same sockets, without a request that fails.

Responsible for the order in which an engine gives its place to the next one, and for going on as before when that one does not
come to serve. Knows nothing of HTTP. Invariants: while the next engine starts nothing is changed by operators, so that nothing
acknowledged is lost; the journal is written by one engine at a time; this engine leaves only after the other has said that it
serves.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any, Final

import anyio.to_thread

from lbapp import __version__
from lbapp.control.changes import UpgradeDone
from lbapp.control.messages import Actor
from lbapp.control.notify import fall_silent, notify
from lbapp.engine.supervisor.control_socket import ControlSocket
from lbapp.engine.supervisor.event_log import EventLog
from lbapp.engine.supervisor.generation import Generation, Lasting
from lbapp.engine.supervisor.handover import HandoverFailed, Line, Successor, start_successor
from lbapp.engine.supervisor.inherited import CONTROL
from lbapp.model.errors import RequestRefused
from lbapp.model.limits import UPGRADE_STEP_TIMEOUT_S

_END_S: Final = 5.0


class Upgrades:
    """Gives an engine's place away. `generation` returns the present one."""

    def __init__(
        self, lasting: Lasting, control: ControlSocket, event_log: EventLog, generation: Callable[[], Generation]
    ) -> None:
        self._lasting = lasting
        self._control = control
        self._event_log = event_log
        self._generation = generation

    async def upgrade(self, actor: Actor, reason: str) -> UpgradeDone:
        """Start the next engine and return when it serves; `leave` is to follow.

        Raises RequestRefused 409 upgrade_failed, cannot_upgrade.
        """
        events = self._lasting.events
        if os.getpid() == 1:
            message = "this engine is the first process of its container, which ends with it; nothing was changed"
            raise RequestRefused("cannot_upgrade", message, "Start another container, then stop this one", 409)
        async with self._lasting.changing:
            self._lasting.check_serving()
            events.add(
                "upgrade_began", "node", "the next engine starts" + (f": {reason}" if reason else ""), actor=actor
            )
            try:
                successor, line = await anyio.to_thread.run_sync(start_successor, UPGRADE_STEP_TIMEOUT_S)
            except OSError as error:
                raise self._failed(f"cannot start it: {error.strerror or error}") from error
            try:
                done = await self._hand_over(line, successor.pid)
            except BaseException as error:
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(_end, successor, line, str(error))
                    await self._go_on()
                if isinstance(error, HandoverFailed):
                    raise self._failed(str(error)) from error
                raise
            finally:
                successor.close()
                line.close()
            # What waits for its turn now would change an engine that is about to leave.
            self._generation().intents.is_over = self._lasting.is_given_away = True
            self._control.give_away()
            self._lasting.listening.give_away()
            fall_silent()
            version = str(done.get("version", ""))
            message = f"lbapp {version} (pid {successor.pid}) serves; this engine finishes what it has"
            events.add("upgrade_done", "node", message, actor=actor)
            return {"pid": successor.pid, "version": version, "version_before": __version__}

    async def _hand_over(self, line: Line, pid: int) -> dict[str, Any]:
        """Give the other engine all it needs, and then the place. Return what it has said when it served.

        Raises HandoverFailed.
        """
        sockets = {**self._lasting.listening.named(), CONTROL: self._control.socket.fileno()}
        await anyio.to_thread.run_sync(line.give, sockets)
        await anyio.to_thread.run_sync(line.hear, "ready")
        await self._lasting.keeper.pause()
        self._event_log.pause(self._lasting.events)
        self._lasting.journal.close()
        await anyio.to_thread.run_sync(self._lasting.kept_drain.pause)
        known = self._generation().known()
        await anyio.to_thread.run_sync(lambda: line.say("yours", **known))
        done = await anyio.to_thread.run_sync(line.hear, "serving")
        if self._lasting.life.is_stopping:
            raise HandoverFailed("this one was told to stop meanwhile")
        # Before the other one says anything to the service manager, which may listen to the unit's main process alone.
        await anyio.to_thread.run_sync(notify, f"MAINPID={pid}")
        try:
            line.say("go")
        except HandoverFailed:
            await anyio.to_thread.run_sync(notify, f"MAINPID={os.getpid()}")
            raise
        return done

    async def _go_on(self) -> None:
        """Be again what this engine was before it began to give its place away."""
        self._event_log.go_on()
        self._lasting.keeper.go_on()
        self._lasting.kept_drain.go_on()
        self._lasting.journal.close()
        await anyio.to_thread.run_sync(self._lasting.journal.open)

    def _failed(self, reason: str) -> RequestRefused:
        message = f"the next engine does not come to serve: {reason}; this one goes on"
        self._lasting.events.add("upgrade_failed", "node", message)
        return RequestRefused("upgrade_failed", message, "Its log stands in that of this engine", 409)


def _end(successor: Successor, line: Line, reason: str) -> None:
    """End an engine that is not to serve. It is told, as it must not take our silence for our death."""
    with contextlib.suppress(HandoverFailed):
        line.say("failed", reason=f"the engine before goes on: {reason}")
    successor.end(_END_S)
