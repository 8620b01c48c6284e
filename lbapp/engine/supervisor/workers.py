"""The worker processes of this node: one in each slot, always.

Responsible for starting them with what they need, replacing one that dies or hangs within a second,
broadcasting to them, and ending them when the node stops. Knows nothing of requests, servers' health or who
asked.

A slot's cells belong to its worker. When the worker is gone (reaped, so it cannot write any more) they belong
to the supervisor, which marks the block GONE and clears the gauges, and gives them away with the next start.

Invariants: at most one live worker per slot; a worker that dies again and again is started ever more slowly,
but never given up; after `stop` no worker is left.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import anyio
from anyio.abc import TaskGroup

from lbapp.engine.channel import Apply, Assignment, Drain, Message, Prepared, SocketAddress
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.scoreboard import totals
from lbapp.engine.supervisor.events import Events
from lbapp.engine.supervisor.looking import Looking
from lbapp.engine.supervisor.running import Running
from lbapp.engine.supervisor.sockets import Listening, Opened
from lbapp.engine.supervisor.worker_process import WorkerProcess, describe_status
from lbapp.model.entities import Server
from lbapp.model.errors import StartError
from lbapp.model.limits import RELOAD_STEP_TIMEOUT_S, RESTART_DELAY_MAX_S, WORKER_START_TIMEOUT_S
from lbapp.model.states import WorkerPhase
from lbapp.model.tls import NO_MATERIAL, TlsMaterial

STABLE_S: Final = 10.0  # a worker that served for so long died by chance, not because it cannot run
_FIRST_DELAY_S: Final = 0.25
_KILL_MARGIN_S: Final = 2.0  # beyond the drain's timeout, before SIGKILL


@dataclass(frozen=True, slots=True)
class Served:
    """What workers serve by: a generation, and what is known of it at the moment that is asked for."""

    running: Running
    addresses: Callable[[], dict[int, tuple[SocketAddress, ...]]] = dict
    tls: Callable[[], TlsMaterial] = lambda: NO_MATERIAL
    discovered: Callable[[], dict[str, dict[int, Server]]] = dict
    is_sent_away: Callable[[], bool] = lambda: False

    def assignment(self, slot: int, listening: tuple[tuple[str, str], ...]) -> Assignment:
        """Return what the worker in a slot is told to serve. `listening`: the name and the listener of each of its sockets."""
        running = self.running
        return Assignment(
            slot=slot,
            generation=running.generation,
            configuration=running.configuration,
            rows=running.rows,
            addresses=self.addresses(),
            listening=listening,
            tls=self.tls(),
            discovered=self.discovered(),
            is_sent_away=self.is_sent_away(),
        )


class WorkerRefused(Exception):
    """A worker cannot serve what it was asked to: a sentence says why."""


class Workers:
    """All workers of the node. `served`: what they serve by."""

    def __init__(self, served: Served, listening: Listening, events: Events) -> None:
        self.restarts = [0] * served.running.configuration.engine.workers
        self._served = served
        self._segment = served.running.segment
        self._listening = listening
        self._events = events
        self._live: dict[int, WorkerProcess] = {}
        self.looking = Looking(lambda: sorted(self._live), self._tell_one)
        self._stopping = False
        self._started = False
        self._left = anyio.Event()

    @property
    def pids(self) -> list[int]:
        """The live worker processes, by slot."""
        return [self._live[slot].pid for slot in sorted(self._live)]

    async def start(self, tasks: TaskGroup) -> None:
        """Start every worker and wait until all serve. Raises StartError; the workers that were started are there still."""
        first: list[WorkerProcess] = []
        try:
            for slot in range(len(self.restarts)):
                first.append(self._start_one(slot))
                tasks.start_soon(self._keep, first[-1])
            with anyio.fail_after(WORKER_START_TIMEOUT_S):
                for worker in first:
                    await worker.serving.wait()
                    if worker.served_at is None:
                        raise StartError(f"worker {worker.slot} ended before it served", "Its error stands above")
        except TimeoutError as error:
            raise StartError(f"the workers do not serve after {WORKER_START_TIMEOUT_S:g} s") from error
        except OSError as error:
            raise StartError(f"cannot start a worker: {error.strerror or error}") from error
        self._started = True

    def tell(self, message: Message) -> None:
        """Send a message to every live worker."""
        for worker in list(self._live.values()):
            worker.tell(message)

    def _tell_one(self, slot: int, message: Message) -> None:
        if slot in self._live:
            self._live[slot].tell(message)

    async def prepare(self, served: Served, opened: Opened) -> None:
        """Have every worker get ready to serve by another generation. Raises WorkerRefused; then nothing is to come of it."""
        asked = list(self._live.values())
        for worker in asked:
            self._prepare(worker, served, opened)
        number = served.running.generation
        try:
            with anyio.fail_after(RELOAD_STEP_TIMEOUT_S):
                for worker in asked:
                    while not (worker.is_gone or _is_about(worker.prepared, number)):
                        await worker.answered.wait()
        except TimeoutError as error:
            raise WorkerRefused(f"a worker was not ready within {RELOAD_STEP_TIMEOUT_S:g} s") from error
        for worker in asked:
            if not worker.is_gone and worker.prepared is not None and worker.prepared.problem:
                raise WorkerRefused(worker.prepared.problem)

    async def apply(self, served: Served, opened: Opened) -> None:
        """Have every worker serve by a generation that was prepared, and return when all do.

        One that does not is replaced, by one that does.
        """
        self._served = served
        number = served.running.generation
        asked = list(self._live.values())
        for worker in asked:
            if not _is_about(worker.prepared, number):  # it has come in the meantime
                self._prepare(worker, served, opened)
            worker.tell(Apply(number))
        with anyio.move_on_after(RELOAD_STEP_TIMEOUT_S):
            for worker in asked:
                while not worker.is_gone and worker.applied != number:
                    await worker.answered.wait()
        for worker in asked:
            if not worker.is_gone and worker.applied != number:
                worker.kill()

    async def stop(self, timeout_s: float) -> None:
        """Let every worker serve what it has and leave.

        Kill those that are still there after `timeout_s` + 2 s.
        """
        self._stopping = True
        self.tell(Drain(timeout_s))
        with anyio.move_on_after(timeout_s + _KILL_MARGIN_S):
            await self._all_left()
        await self.end()

    async def end(self) -> None:
        """End every worker at once, and return when none is left."""
        self.kill()
        await self._all_left()

    def kill(self) -> None:
        """End every worker at once and start no other."""
        self._stopping = True
        for worker in list(self._live.values()):
            worker.kill()

    async def _all_left(self) -> None:
        while self._live:
            await self._left.wait()

    async def _keep(self, worker: WorkerProcess) -> None:
        slot, delay_s = worker.slot, 0.0
        while True:
            status = await self._watch(worker)
            has_served = worker.served_at is not None
            if self._stopping or not (has_served or self._started):
                return  # a first start that fails is reported by `start`
            self._report(worker, status)
            if worker.served_at is not None and time.monotonic() - worker.served_at >= STABLE_S:
                delay_s = 0.0
            if await self._told_to_stop_within(delay_s):
                return
            delay_s = min(max(delay_s * 2, _FIRST_DELAY_S), RESTART_DELAY_MAX_S)
            self.restarts[slot] += 1
            successor = await self._start_again(slot)
            if successor is None:
                return
            worker = successor

    async def _start_again(self, slot: int) -> WorkerProcess | None:
        """Start a successor, however often that takes; None when the node stops meanwhile."""
        while True:
            try:
                return self._start_one(slot)
            except OSError as error:  # no memory or process to be had: there may be soon
                message = f"cannot start worker {slot}: {error.strerror or error}"
                self._events.add("worker_not_started", f"worker {slot}", message)
            if await self._told_to_stop_within(RESTART_DELAY_MAX_S):
                return None

    async def _told_to_stop_within(self, seconds: float) -> bool:
        await anyio.sleep(seconds)
        return self._stopping

    async def _watch(self, worker: WorkerProcess) -> int:
        try:
            return await worker.watch()
        finally:
            self._live.pop(worker.slot, None)
            self._reset(worker.slot)
            self.looking.worker_left()
            worker.serving.set()  # wakes `start`; `served_at` tells whether it ever served
            self._left.set()
            self._left = anyio.Event()

    def _start_one(self, slot: int) -> WorkerProcess:
        worker = WorkerProcess(slot, self._segment, self._report_serving, self.looking.hear)
        self._live[slot] = worker
        assignment, sockets = self._assignment(self._served, slot, {}), self._listening.of_worker(slot)
        worker.assign(assignment, [sockets[name] for name, _ in assignment.listening])
        return worker

    def _prepare(self, worker: WorkerProcess, served: Served, opened: Opened) -> None:
        assignment = self._assignment(served, worker.slot, opened)
        worker.prepare(assignment, self._listening.of_worker(worker.slot, opened))

    def _assignment(self, served: Served, slot: int, opened: Opened) -> Assignment:
        return served.assignment(slot, self._listening.told(slot, served.running.configuration.listeners, opened))

    def _reset(self, slot: int) -> None:
        segment = self._segment
        block = segment.layout.worker(slot)
        segment.cells[block + at.WORKER_PHASE] = WorkerPhase.GONE
        segment.cells[block + at.WORKER_PID] = 0
        segment.cells[block + at.WORKER_HEARTBEAT_NS] = 0
        totals.clear_gauges(segment, slot)

    def _report_serving(self, worker: WorkerProcess) -> None:
        self.looking.worker_came(worker.slot)
        self._events.add("worker_started", f"worker {worker.slot}", f"worker {worker.slot} (pid {worker.pid}) serves")

    def _report(self, worker: WorkerProcess, status: int) -> None:
        kind = "worker_hung" if worker.hung else "worker_died"
        message = f"worker {worker.slot} (pid {worker.pid}) {describe_status(status)}; another takes its place"
        self._events.add(kind, f"worker {worker.slot}", message)


def _is_about(prepared: Prepared | None, generation: int) -> bool:
    return prepared is not None and prepared.generation == generation
