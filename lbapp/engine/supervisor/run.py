"""The whole life of an engine: open, start, serve, drain, leave.

Responsible for the order of things and for who owns what: everything opened here is closed here, on every way
out. Knows nothing of how any part does its work.

Invariants: never a partial start: clients are served by all workers, or nothing is left behind; at the end no
worker, no socket file and no shared memory remains; a second signal does not wait for what is in flight.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import time
from pathlib import Path

import anyio

from lbapp.control.paths import default_state_dir
from lbapp.engine.supervisor import slow_start
from lbapp.engine.supervisor.access import Access
from lbapp.engine.supervisor.agents import Agents
from lbapp.engine.supervisor.api import Api
from lbapp.engine.supervisor.certificates import Certificates
from lbapp.engine.supervisor.checks import Checks
from lbapp.engine.supervisor.commands import Commands
from lbapp.engine.supervisor.control_socket import ControlServer, ControlSocket
from lbapp.engine.supervisor.discovery import Discovery
from lbapp.engine.supervisor.drains import Drains
from lbapp.engine.supervisor.event_log import EventLog
from lbapp.engine.supervisor.events import Events
from lbapp.engine.supervisor.history import History
from lbapp.engine.supervisor.intents import Intents
from lbapp.engine.supervisor.journal import Journal, path_in
from lbapp.engine.supervisor.life import Life
from lbapp.engine.supervisor.notify import notify
from lbapp.engine.supervisor.overload import OverloadWatch
from lbapp.engine.supervisor.overload import warnings as overload_warnings
from lbapp.engine.supervisor.passive import Passive
from lbapp.engine.supervisor.persistence import Clients, prepare
from lbapp.engine.supervisor.pool_watch import PoolWatch
from lbapp.engine.supervisor.reading import StatusReader
from lbapp.engine.supervisor.resolve import Resolver
from lbapp.engine.supervisor.running import Running
from lbapp.engine.supervisor.sockets import Listening, check_sources, raise_open_files_limit, warnings
from lbapp.engine.supervisor.state import ServerStates
from lbapp.engine.supervisor.workers import Workers
from lbapp.model.entities import Configuration
from lbapp.model.errors import StartError

_LAST_ANSWERS_S = 2.0

_log = logging.getLogger("lbapp")


async def run(path: Path, configuration: Configuration, control_path: Path) -> None:
    """Run the engine until it is told to stop.

    `path` is where the configuration came from. Raises StartError.
    """
    raise_open_files_limit()
    configuration, findings = prepare(configuration)
    with contextlib.ExitStack() as owned:
        access = Access.of(configuration.engine)
        control = ControlSocket.open(control_path, access)
        owned.callback(control.close)
        listening = Listening.open(configuration.listeners, configuration.engine.workers)
        owned.callback(listening.close)
        check_sources(configuration.pools)
        for warning in [*warnings(configuration.listeners), *overload_warnings(configuration)]:
            _log.warning(warning)
        running = Running.create(path, configuration)
        owned.callback(running.segment.close)
        engine = Engine(running, listening, control, access)
        for kind, message in findings:
            engine.events.add(kind, "node", message)
        await engine.run()


class Engine:
    """The parts of one supervisor, wired together."""

    def __init__(self, running: Running, listening: Listening, control: ControlSocket, access: Access) -> None:
        self.running = running
        self.listening = listening
        self.control = control
        self.life = Life(running.configuration.limits.stop_timeout_s)
        state_dir = Path(running.configuration.engine.state_dir or default_state_dir())
        self.event_log = EventLog(path_in(state_dir, "events", running.path))
        self.events = Events(earlier=self.event_log.read())
        self.certificates = Certificates(running.configuration, self.events)
        self.resolver = Resolver(running, self.events)
        self.states = ServerStates(running, self.events)
        self.discovery = Discovery(running, self.states, self.events, self.resolver)
        self.workers = Workers(running, listening, self.events, lambda: self.resolver.addresses)
        self.workers.tls = lambda: self.certificates.material
        self.workers.discovered = self.discovery.servers
        self.drains = Drains(running.segment, self.states, self.events, self.workers.tell)
        self.history = History(running.segment)
        self.overload = OverloadWatch(running, self.events)
        self.pools = PoolWatch(running, self.states, self.events)
        reader = StatusReader(
            running,
            self.life,
            listening,
            self.states,
            self.drains,
            self.workers,
            self.history,
            self.overload,
            self.pools,
        )
        reader.certificates = self.certificates
        self.journal = Journal(path_in(state_dir, "journal", running.path))
        self.intents = Intents(running, self.states, self.drains, self.events, self.journal)
        self.discovery.intents = self.intents
        commands = Commands(running, self.states, self.drains, reader, self.intents)
        self.clients = Clients(running, self.events)
        self.api = Api(reader, commands, self.states, self.events, self.life, self.clients, self.intents)
        self._control_ended = anyio.Event()
        self.server = ControlServer(self.api.app(), access)

    async def run(self) -> None:
        """Live. Raises StartError when the workers do not come up."""
        failure: StartError | None = None
        async with anyio.create_task_group() as tasks:
            await tasks.start(self._obey_signals)
            tasks.start_soon(self.event_log.run, self.events)
            try:
                if await self._start(tasks):
                    await self.life.stop_asked()
                    await self._drain(tasks)
            except StartError as error:
                failure = error
            tasks.cancel_scope.cancel()
        self.event_log.write(self.events.after(0))
        self.journal.close()
        if failure:
            raise failure
        _log.info("stopped after %.1f s", time.time() - self.running.started_at)

    async def _start(self, tasks: anyio.abc.TaskGroup) -> bool:
        """Start everything; say whether it serves (not when a stop came first). Raises StartError."""
        has_started = False
        async with anyio.create_task_group() as starting:
            starting.start_soon(self._give_up_when_stopped, starting.cancel_scope)
            await self.resolver.resolve()
            await self.discovery.ask_all()
            await anyio.to_thread.run_sync(self.journal.open)
            self.intents.restore()
            failure = await self._start_workers(tasks)
            has_started = failure is None
            starting.cancel_scope.cancel()
        if not has_started:
            if not self.life.is_stopping and failure is not None:
                raise failure
            return False
        checks = Checks(self.states, self.resolver, tls=self.certificates.to_server)
        self.discovery.checks, self.discovery.drains = checks, self.drains
        passive = Passive(self.running, self.states, checks)
        for part in (self.history.run, self.drains.run, self.clients.run, checks.run, passive.run):
            tasks.start_soon(part)
        tasks.start_soon(Agents(self.states, self.resolver, self.events).run)
        tasks.start_soon(slow_start.grow, self.states)
        tasks.start_soon(self.overload.run)
        tasks.start_soon(self.pools.run)
        tasks.start_soon(self.resolver.run, self.workers.tell)
        tasks.start_soon(self.discovery.run, self.workers.tell)
        tasks.start_soon(self.certificates.run, self.workers.tell)
        tasks.start_soon(self._serve_control)
        self.life.phase = "serving"
        notify("READY=1")
        self._say_serving()
        return True

    async def _start_workers(self, tasks: anyio.abc.TaskGroup) -> StartError | None:
        try:
            await self.workers.start(tasks)
        except StartError as error:
            return error
        return None

    async def _give_up_when_stopped(self, scope: anyio.CancelScope) -> None:
        await self.life.stop_asked()
        scope.cancel()

    async def _drain(self, tasks: anyio.abc.TaskGroup) -> None:
        timeout_s = self.life.timeout_s
        self.life.phase = "draining"
        notify("STOPPING=1")
        self.events.add("node_draining", "node", f"serving what is there for at most {timeout_s:g} s, then leaving")
        self.states.changed.fire()
        tasks.start_soon(self._kill_when_told)
        # The workers hold these sockets too: each takes in who is queued, then closes, and who comes later is refused.
        self.listening.close()
        await self.workers.stop(timeout_s)
        self.events.add("node_stopped", "node", "all workers have left")
        self.api.close()
        self.server.should_exit = True
        with anyio.move_on_after(_LAST_ANSWERS_S):
            await self._control_ended.wait()

    async def _serve_control(self) -> None:
        try:
            await self.server.serve_on(self.control)
        finally:
            self._control_ended.set()

    async def _kill_when_told(self) -> None:
        await self.life.stop_now_asked()
        self.workers.kill()

    async def _obey_signals(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        with anyio.open_signal_receiver(*_signals()) as received:
            task_status.started()
            async for number in received:
                if self.life.is_stopping:
                    _log.warning("%s again: not waiting for what is in flight", signal.Signals(number).name)
                    self.life.stop_now()
                else:
                    _log.info("%s: stopping", signal.Signals(number).name)
                    self.life.stop()

    def _say_serving(self) -> None:
        configuration = self.running.configuration
        parts = [
            f"{listener.name} {listener.protocol.value} {bind} -> {listener.pool or 'routes'}"
            for listener in configuration.listeners
            for bind in self.listening.binds[listener.name]
        ]
        count = configuration.engine.workers
        parts.append(f"{count} worker{'s' if count != 1 else ''}")
        parts.append(f"control socket {self.control.path}")
        parts.append(f"pid {self.running.pid}")
        _log.info("serving: %s", "; ".join(parts))


def _signals() -> list[signal.Signals]:
    """Return what ends the engine. SIGHUP says that the terminal has gone; under nohup that is no reason to go."""
    is_under_nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [signal.SIGTERM, signal.SIGINT, *([] if is_under_nohup else [signal.SIGHUP])]
