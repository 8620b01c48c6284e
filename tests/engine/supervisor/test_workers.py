from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import httpx
import pytest

from lbapp.engine.scoreboard import layout as at
from lbapp.engine.scoreboard import totals
from lbapp.engine.supervisor import worker_process
from lbapp.engine.supervisor.resolve import Resolver
from lbapp.engine.supervisor.sockets import Listening
from lbapp.engine.supervisor.workers import Served, Workers
from lbapp.model.errors import StartError
from lbapp.model.states import WorkerPhase
from tests.engine.supervisor.support import Backend, Parts, configured, parts, until
from tests.lateness import waited_s

pytestmark = [pytest.mark.anyio, pytest.mark.system]


@dataclass
class Fleet:
    own: Parts
    workers: Workers
    port: int

    def phase(self, slot: int) -> int:
        segment = self.own.running.segment
        return segment.cells[segment.layout.worker(slot) + at.WORKER_PHASE]


@asynccontextmanager
async def fleet(backend_port: int, count: int = 2) -> AsyncIterator[Fleet]:
    configuration = configured([("127.0.0.1", backend_port)], workers=count)
    with parts(configuration) as own:
        listening = Listening.open(configuration.listeners, count)
        resolver = Resolver(own.running, own.events)
        await resolver.resolve()
        workers = Workers(Served(own.running, lambda: resolver.addresses), listening, own.events)
        try:
            async with anyio.create_task_group() as tasks:
                try:
                    await workers.start(tasks)
                    yield Fleet(own, workers, listening.binds("web")[0].port)
                    await workers.stop(5.0)
                finally:
                    with anyio.CancelScope(shield=True):
                        await workers.end()
        finally:
            listening.close()


async def test_workers_serve_in_their_slots_and_leave_when_told() -> None:
    with Backend("hello") as backend:
        async with fleet(backend.port) as own, httpx.AsyncClient(trust_env=False) as client:
            assert [own.phase(slot) for slot in range(4)] == [WorkerPhase.SERVING] * 2 + [WorkerPhase.GONE] * 2
            answer = await client.get(f"http://127.0.0.1:{own.port}/")
            assert (answer.status_code, answer.text) == (200, "hello")
            pids = own.workers.pids
        assert own.workers.pids == []
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


async def test_killed_worker_is_replaced_within_a_second_and_its_queued_clients_are_served() -> None:
    with Backend("hello") as backend:
        async with fleet(backend.port, count=1) as own:
            segment, (victim,) = own.own.running.segment, own.workers.pids
            in_flight = segment.layout.in_flight(0)
            os.kill(victim, signal.SIGSTOP)
            segment.cells[in_flight] = 3  # as if it died with exchanges open
            async with httpx.AsyncClient(trust_env=False, timeout=10) as client, anyio.create_task_group() as tasks:

                async def ask() -> None:
                    assert (await client.get(f"http://127.0.0.1:{own.port}/")).text == "hello"

                for _ in range(5):
                    tasks.start_soon(ask)
                await anyio.wait_all_tasks_blocked()
                killed_s, waited_before_s = time.monotonic(), waited_s(os.getpid())
                os.kill(victim, signal.SIGKILL)
                await until(lambda: own.phase(0) == WorkerPhase.SERVING and own.workers.pids != [victim])
                took_s = time.monotonic() - killed_s
                late_s = waited_s(own.workers.pids[0]) + waited_s(os.getpid()) - waited_before_s
            assert took_s < 1.5 + late_s  # a second, something for a slow machine, and what a busy one has added
            await until(lambda: totals.in_flight(segment, 0) == 0)
            assert own.workers.restarts == [1]
            await until(lambda: own.own.kinds() == ["worker_started", "worker_died", "worker_started"])
            assert "SIGKILL" in own.own.events.after(0)[1]["message"]


async def test_hung_worker_is_killed_and_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_process, "HEARTBEAT_AGE_MAX_S", 1.0)
    with Backend() as backend:
        async with fleet(backend.port, count=1) as own:
            os.kill(own.workers.pids[0], signal.SIGSTOP)
            await until(lambda: own.workers.restarts == [1] and own.phase(0) == WorkerPhase.SERVING)
            await until(lambda: own.own.kinds() == ["worker_started", "worker_hung", "worker_started"])


async def test_worker_with_a_request_in_flight_finishes_it_before_it_leaves() -> None:
    with Backend("slow") as backend:
        answers: list[str] = []
        async with fleet(backend.port, count=1) as own, anyio.create_task_group() as tasks:

            async def ask() -> None:
                async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
                    answers.append((await client.get(f"http://127.0.0.1:{own.port}/slow")).text)

            tasks.start_soon(ask)
            await until(lambda: backend.requests == 1)
            tasks.start_soon(own.workers.stop, 5.0)
            await until(lambda: own.phase(0) == WorkerPhase.DRAINING)
            backend.gate.set()
        assert answers == ["slow"]


async def test_worker_that_ends_before_it_serves_is_a_start_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ExceptionGroup) as caught:
        async with fleet(1):
            pass
    (error,) = caught.value.exceptions
    assert isinstance(error, StartError)
    assert "worker 0 ended before it served" in error.message
