"""The whole life of an engine: open, start, serve, drain, leave.

Responsible for the order of things and for who owns what: everything opened here is closed here, on every way
out. Knows nothing of how any part does its work.

Invariants: never a partial start: clients are served by all workers, or nothing is left behind; at the end no
worker, no socket file and no shared memory remains; a second signal does not wait for what is in flight.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from lbapp import __version__
from lbapp.control.notify import notify
from lbapp.control.paths import default_state_dir
from lbapp.engine.channel import ReopenLog
from lbapp.engine.supervisor.access import Access
from lbapp.engine.supervisor.api import Api
from lbapp.engine.supervisor.bodies import How
from lbapp.engine.supervisor.configurations import Chosen, Configurations, choose_at_start
from lbapp.engine.supervisor.control_socket import ControlServer, ControlSocket
from lbapp.engine.supervisor.departures import Departures
from lbapp.engine.supervisor.event_log import EventLog
from lbapp.engine.supervisor.events import ENGINE, Events
from lbapp.engine.supervisor.fd_store import FdStore
from lbapp.engine.supervisor.file_look import FileLook
from lbapp.engine.supervisor.fleet_changes import FleetChanges
from lbapp.engine.supervisor.fleet_link import FleetLink
from lbapp.engine.supervisor.fleet_node import EngineNode
from lbapp.engine.supervisor.fleet_status import fleet_glance
from lbapp.engine.supervisor.generation import Generation, Lasting
from lbapp.engine.supervisor.handover import HandoverFailed, Line, OtherGone
from lbapp.engine.supervisor.history_keeper import HistoryKeeper
from lbapp.engine.supervisor.inherited import CONTROL, Inherited
from lbapp.engine.supervisor.journal import Journal, path_in
from lbapp.engine.supervisor.kept_drain import KeptDrain
from lbapp.engine.supervisor.life import Life
from lbapp.engine.supervisor.log_target import check_log
from lbapp.engine.supervisor.metrics_port import MetricsPort, metrics_warnings
from lbapp.engine.supervisor.overload import warnings as overload_warnings
from lbapp.engine.supervisor.persistence import Finding, prepare
from lbapp.engine.supervisor.reload import Reloads
from lbapp.engine.supervisor.running import Running
from lbapp.engine.supervisor.sockets import Listening, check_sources, raise_open_files_limit, warnings
from lbapp.engine.supervisor.upgrade import Upgrades
from lbapp.engine.supervisor.workers import Workers
from lbapp.model.entities import Configuration
from lbapp.model.errors import RequestRefused, StartError
from lbapp.model.fleet import FleetMaker

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

_LAST_ANSWERS_S = 2.0

_log = logging.getLogger("lbapp")


@dataclass(frozen=True, slots=True)
class Start:
    """What an engine starts with. `path`: where the configuration came from; `text`: what stood there.

    `line` leads to the engine that this one takes over from; `make_fleet` makes what keeps it in touch with its fleet.
    """

    path: Path
    text: str
    configuration: Configuration
    control_path: Path
    line: Line | None
    make_fleet: FleetMaker


async def run(start: Start) -> None:
    """Run the engine until it is told to stop. Raises StartError, HandoverFailed."""
    path, configuration, line = start.path, start.configuration, start.line
    raise_open_files_limit()
    inherited, known = _take_over(line)
    state_dir = Path(configuration.engine.state_dir or default_state_dir())
    configurations = Configurations(path_in(state_dir, "configurations", path))
    chosen = choose_at_start(configurations, path, start.text, configuration)
    configuration, findings = prepare(chosen.version.configuration)
    with contextlib.ExitStack() as owned:
        access = Access.of(configuration.engine)
        control = ControlSocket.open(start.control_path, access, inherited.control())
        owned.callback(control.close)
        listening = Listening.open(configuration.listeners, configuration.engine.workers, inherited)
        owned.callback(listening.close)
        metrics, bind = MetricsPort(), configuration.metrics_bind
        metrics.take(bind, metrics.prepare(bind, is_successor=line is not None))
        owned.callback(metrics.close)
        check_sources(configuration.pools)
        check_log(configuration.access_log)
        for warning in [*warnings(configuration.listeners), *overload_warnings(configuration), *metrics_warnings(bind)]:
            _log.warning(warning)
        for unused in inherited.close_rest():
            findings.append(
                ("socket_not_used", f"the socket at {unused} was passed on, and no listener has it: it is closed")
            )
        running = Running.create(path, configuration)
        owned.callback(running.segment.close)
        engine = Engine(running, listening, control, access, start.make_fleet)
        engine.begin_with(chosen, configurations, [*chosen.findings, *findings])
        engine.lasting.applied, engine.lasting.metrics = chosen.applied, metrics
        await engine.run(line, known)


def _take_over(line: Line | None) -> tuple[Inherited, dict[str, Any]]:
    """Return the sockets that are open already, and what is known of servers and pools. The journal is free then."""
    if line is None:
        return Inherited.from_environment(os.environ), {}
    inherited = line.take()
    line.say("ready")
    return inherited, line.hear("yours")


def _take_the_place(line: Line) -> None:
    """Return when the place of the engine before is ours. Raises HandoverFailed when that one keeps it."""
    with contextlib.suppress(OtherGone):  # if it has gone meanwhile, this one is all there is
        line.say("serving", version=__version__)
        line.hear("go")


class Engine:
    """The parts of one supervisor, wired together."""

    def __init__(
        self, running: Running, listening: Listening, control: ControlSocket, access: Access, make_fleet: FleetMaker
    ) -> None:
        self.path = running.path
        self.segment = running.segment
        self.started_at = running.started_at
        self.control = control
        state_dir = Path(running.configuration.engine.state_dir or default_state_dir())
        self.event_log = EventLog(path_in(state_dir, "events", running.path))
        events = Events(earlier=self.event_log.read())
        journal = Journal(path_in(state_dir, "journal", running.path))
        fd_store = FdStore(
            lambda: {**listening.to_be_kept(), CONTROL: control.socket.fileno()}, listening.inherited.before
        )
        life = Life(running.configuration.limits.stop_timeout_s)
        keeper = HistoryKeeper(path_in(state_dir, "history", running.path), events)
        self.link = FleetLink(make_fleet, path_in(state_dir, "fleet", running.path), events)
        changes = FleetChanges(self.link, events, lambda: self.generation)
        kept_drain = KeptDrain(path_in(state_dir, "drain", running.path))
        self.lasting = Lasting(life, events, journal, listening, fd_store, keeper, changes, kept_drain=kept_drain)
        self.generation = Generation(running, self.lasting)
        self.departures = Departures(running.segment, events, self.lasting.tell)
        self._access = access
        self._control_ended = anyio.Event()

    @property
    def workers(self) -> Workers:
        """The worker processes."""
        assert self.lasting.workers is not None
        return self.lasting.workers

    def begin_with(self, chosen: Chosen, configurations: Configurations, findings: list[Finding]) -> None:
        """Take over what the engine starts with, and say what was found on the way."""
        self.reloads = Reloads(self.path, self.lasting, configurations, self.departures)
        self.reloads.start_with(self.generation, chosen)
        self.file_look = FileLook(self.reloads)
        self.lasting.why_file_is_other = lambda: self.file_look.why_other
        upgrades = Upgrades(self.lasting, self.control, self.event_log, lambda: self.generation)
        self.node = EngineNode(lambda: self.generation, self.reloads, self.lasting, self.link)
        self.lasting.glance = lambda is_ready: fleet_glance(self.link, self.node, is_ready=is_ready)
        self.api = Api(
            self.lasting.events,
            self.lasting.life,
            self.generation,
            self.reloads,
            self.file_look,
            upgrades,
            self.link,
            self.node,
            self._leave_to_another,
        )
        self.server = ControlServer(self.api.app(), self._access)
        for kind, message in findings:
            self.lasting.events.add(kind, "node", message)

    async def run(self, line: Line | None, known: dict[str, Any]) -> None:
        """Live. Raises StartError when the workers do not come up, HandoverFailed when the engine before keeps its place."""
        failure: StartError | HandoverFailed | None = None
        async with anyio.create_task_group() as tasks:
            await tasks.start(self._obey_signals, tasks)
            tasks.start_soon(self.event_log.run, self.lasting.events)
            tasks.start_soon(self.lasting.keeper.run)
            try:
                if await self._start(tasks, line, known):
                    await self.lasting.life.stop_asked()
                    await self._drain(tasks)
            except (StartError, HandoverFailed) as error:
                failure = error
            tasks.cancel_scope.cancel()
        self.generation.recording.end()
        self.lasting.keeper.finish()
        self.event_log.write(self.lasting.events.after(0))
        self.lasting.journal.close()
        if failure:
            raise failure
        _log.info("stopped after %.1f s", time.time() - self.started_at)

    async def _start(self, tasks: anyio.abc.TaskGroup, line: Line | None, known: dict[str, Any]) -> bool:
        """Start everything; say whether it serves (not when a stop came first). Raises StartError, HandoverFailed."""
        has_started = False
        generation, life = self.generation, self.lasting.life
        async with anyio.create_task_group() as starting:
            starting.start_soon(self._give_up_when_stopped, starting.cancel_scope)
            await generation.find_servers()
            await anyio.to_thread.run_sync(self.lasting.journal.open)
            self.link.take(generation.running.configuration.cluster)
            generation.drains.node.know(known.get("node"))
            generation.intents.restore()
            self.lasting.fleet.know(self.lasting.journal.actions)
            generation.know(known)
            generation.begin()
            failure = await self._start_workers(tasks, line)
            has_started = failure is None
            starting.cancel_scope.cancel()
        if not has_started:
            await self.workers.end()
            if not life.is_stopping and failure is not None:
                raise failure
            return False
        tasks.start_soon(generation.run)
        self.reloads.served = lambda served: self._go_on_with(served, tasks)
        for part in (self.reloads.run, self.file_look.run, self.departures.run, self._serve_control):
            tasks.start_soon(part)
        tasks.start_soon(self.lasting.metrics.run, self._collect)
        tasks.start_soon(self.link.run, self.node)
        life.phase = "serving"
        if line is not None:
            message = f"lbapp {__version__} has taken the place of the engine before, on the same sockets"
            self.lasting.events.add("node_took_over", "node", message)
        self.control.take_over()
        self.lasting.listening.take_over()
        await anyio.to_thread.run_sync(self.lasting.fd_store.update)
        # The engine before has said whom it has given its place to, unless it was killed in that moment.
        await anyio.to_thread.run_sync(notify, "READY=1" if line is None else f"READY=1\nMAINPID={os.getpid()}")
        self._say_serving()
        return True

    def _collect(self) -> list[Metric]:
        from lbapp.engine.supervisor.metrics import collect
        from lbapp.engine.supervisor.metrics_fleet import collect_fleet

        reader = self.generation.reader
        return [*collect(reader, self.generation.states), *collect_fleet(self.link, self.node, reader)]

    def _go_on_with(self, generation: Generation, tasks: anyio.abc.TaskGroup) -> None:
        """Look after another generation from now on."""
        self.generation = generation
        self.lasting.life.take(generation.running.configuration.limits.stop_timeout_s)
        self.link.take(generation.running.configuration.cluster)
        if self.link.settings is None:
            self.node.take_members(())
        # Who came or left while the reload was under way has changed the parts of the generation before alone.
        generation.shares.take(self.lasting.place())
        self.api.serve(generation)
        tasks.start_soon(self.link.guarded, "intents of servers that are new", self.node.changes.take_in_what_waited)
        tasks.start_soon(generation.run)

    async def _start_workers(self, tasks: anyio.abc.TaskGroup, line: Line | None) -> StartError | HandoverFailed | None:
        try:
            await self.workers.start(tasks)
            if line is not None:
                await anyio.to_thread.run_sync(_take_the_place, line, abandon_on_cancel=True)
        except (StartError, HandoverFailed) as error:
            return error
        return None

    def _leave_to_another(self) -> None:
        """Finish what there is and leave: another engine serves on the same sockets."""
        self.server.stop_accepting()
        self.lasting.metrics.close()
        self.link.leave()  # the other engine joins under the same name
        self.api.close()
        self.lasting.life.stop()

    async def _give_up_when_stopped(self, scope: anyio.CancelScope) -> None:
        await self.lasting.life.stop_asked()
        scope.cancel()

    async def _drain(self, tasks: anyio.abc.TaskGroup) -> None:
        life, events = self.lasting.life, self.lasting.events
        async with self.lasting.changing:  # a reload under way ends first, and no other begins
            timeout_s = life.timeout_s
            life.phase = "draining"
            await anyio.to_thread.run_sync(notify, "STOPPING=1")
            events.add("node_draining", "node", f"serving what is there for at most {timeout_s:g} s, then leaving")
            self.generation.states.changed.fire()
            tasks.start_soon(self._kill_when_told)
            await anyio.to_thread.run_sync(self.lasting.fd_store.let_go)  # or clients would wait where nobody accepts
            # The workers hold these sockets too: each takes in who is queued, then closes, and who comes later is refused.
            self.lasting.listening.close()
            await self.generation.drains.node.end()
        await self.workers.stop(timeout_s)
        events.add("node_stopped", "node", "all workers have left")
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
        await self.lasting.life.stop_now_asked()
        self.workers.kill()

    # -- signals -----------------------------------------------------------------------------------------------------

    async def _obey_signals(
        self, tasks: anyio.abc.TaskGroup, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        life, had_terminal = self.lasting.life, os.isatty(sys.stderr.fileno())
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1) as received:
            task_status.started()
            async for number in received:
                if number == signal.SIGHUP and not (had_terminal and not os.isatty(sys.stderr.fileno())):
                    tasks.start_soon(self._reload)
                elif number == signal.SIGUSR1:
                    _log.info("SIGUSR1: the access log is opened anew")
                    self.lasting.tell(ReopenLog())
                elif life.is_stopping:
                    _log.warning("%s again: not waiting for what is in flight", signal.Signals(number).name)
                    life.stop_now()
                else:
                    _log.info("%s: stopping", signal.Signals(number).name)
                    life.stop()

    async def _reload(self) -> None:
        """Apply the file because SIGHUP came; what is wrong with it is an event."""
        if self.lasting.life.phase != "serving":
            return
        try:
            done = await self.reloads.reload(How(ENGINE, "SIGHUP"))
        except RequestRefused as error:
            self.lasting.events.add("reload_refused", "node", f"SIGHUP: {error}", actor=ENGINE)
        else:
            if not done["applied"]:
                _log.info("SIGHUP: the file is what serves already")

    def _say_serving(self) -> None:
        configuration = self.generation.running.configuration
        parts = [
            f"{listener.name} {listener.protocol.value} {bind} -> {listener.pool or 'routes'}"
            for listener in configuration.listeners
            for bind in self.lasting.listening.binds(listener.name)
        ]
        count = configuration.engine.workers
        parts.append(f"{count} worker{'s' if count != 1 else ''}")
        parts.append(f"control socket {self.control.path}")
        if configuration.metrics_bind is not None:
            parts.append(f"metrics http://{configuration.metrics_bind}/metrics")
        parts.append(f"pid {self.generation.running.pid}")
        _log.info("serving: %s", "; ".join(parts))
