"""One worker process as the supervisor sees it, from fork to the status it left with.

Responsible for starting the process, for handing it its assignment and sockets, for the messages to it, and
for noticing that it serves, that it hangs, and that it is gone. Knows nothing of why it should run or what
comes after it.

Invariants: a process that was started is reaped; messages leave in the order they were given; a worker that
takes no messages any more counts as hung.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

import anyio

from lbapp.engine.channel import (
    Assignment,
    ChannelClosed,
    ListeningSockets,
    Message,
    Serving,
    channel_pair,
)
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.scoreboard.segment import Segment
from lbapp.model.limits import HEARTBEAT_AGE_MAX_S, HEARTBEAT_INTERVAL_S, WORKER_START_TIMEOUT_S

OUTBOX_MAX: Final = 256  # messages a worker may be behind with
_FDS_PER_MESSAGE: Final = 250

_log = logging.getLogger("lbapp")


class WorkerProcess:
    """A worker in one slot. `watch` runs for the whole life of the process; everything else is immediate."""

    def __init__(self, slot: int, segment: Segment, on_serving: Callable[[WorkerProcess], None]) -> None:
        self.slot = slot
        self._on_serving = on_serving
        self.served_at: float | None = None  # monotonic
        self.hung = False
        self.serving = anyio.Event()
        self._heartbeat_cell = segment.layout.worker(slot) + at.WORKER_HEARTBEAT_NS
        self._segment = segment
        self._channel, end = channel_pair()
        self._outbox, self._to_send = anyio.create_memory_object_stream[tuple[Message, Sequence[int]]](OUTBOX_MAX)
        try:
            with end:
                self._process = _start_process(end.fileno())
        except OSError:
            self._close_channel()
            raise
        self._pidfd = os.pidfd_open(self._process.pid)
        self.pid = self._process.pid

    def assign(self, assignment: Assignment, fds: Sequence[int]) -> None:
        """Send the assignment, the scoreboard and the listening sockets, in as many messages as they need."""
        carried = [self._segment.fd, *fds]
        self._post(assignment, carried[:_FDS_PER_MESSAGE])
        for start in range(_FDS_PER_MESSAGE, len(carried), _FDS_PER_MESSAGE):
            part = carried[start : start + _FDS_PER_MESSAGE]
            self._post(ListeningSockets(len(part)), part)

    def tell(self, message: Message) -> None:
        """Send a message. A worker that is OUTBOX_MAX messages behind is hung and gets killed."""
        self._post(message, ())

    def kill(self) -> None:
        """Send SIGKILL; harmless when the process is gone."""
        if self._process.returncode is not None:
            return  # reaped: its descriptor is closed, and the number may be another's
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    async def watch(self) -> int:
        """Carry messages until the process is gone.

        Return its status as subprocess gives it (negative: the signal).
        """
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._send_all)
                tasks.start_soon(self._receive_all)
                tasks.start_soon(self._watch_heartbeat)
                await anyio.wait_readable(self._pidfd)
                tasks.cancel_scope.cancel()
            return self._process.wait()  # readable: it has already ended
        finally:
            if self._process.poll() is None:
                self.kill()
                self._process.wait()
            self._close()

    def _post(self, message: Message, fds: Sequence[int]) -> None:
        try:
            self._outbox.send_nowait((message, fds))
        except anyio.WouldBlock:
            self._end_hung("takes no messages")
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # gone: its successor gets the present state with its assignment

    async def _send_all(self) -> None:
        with contextlib.suppress(ChannelClosed):
            async for message, fds in self._to_send:
                await self._channel.send(message, fds)

    async def _receive_all(self) -> None:
        with contextlib.suppress(ChannelClosed):
            while True:
                message, _ = await self._channel.receive()
                if isinstance(message, Serving):
                    self.served_at = time.monotonic()
                    self.serving.set()
                    self._on_serving(self)

    async def _watch_heartbeat(self) -> None:
        with anyio.move_on_after(WORKER_START_TIMEOUT_S):
            await self.serving.wait()
        if not self.serving.is_set():
            self._end_hung(f"does not serve after {WORKER_START_TIMEOUT_S:g} s")
            return
        since_ns = time.monotonic_ns()
        while True:
            await anyio.sleep(HEARTBEAT_INTERVAL_S)
            age_s = (time.monotonic_ns() - max(since_ns, self._segment.cells[self._heartbeat_cell])) / 1e9
            if age_s > HEARTBEAT_AGE_MAX_S:
                self._end_hung(f"has been silent for {age_s:.1f} s")
                return

    def _end_hung(self, why: str) -> None:
        _log.error("worker %d (pid %d) %s: killed", self.slot, self.pid, why)
        self.hung = True
        self.kill()

    def _close(self) -> None:
        self._close_channel()
        os.close(self._pidfd)

    def _close_channel(self) -> None:
        self._outbox.close()
        self._to_send.close()
        self._channel.close()


def describe_status(status: int) -> str:
    """Say in words how a process ended."""
    if status >= 0:
        return f"left with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def _start_process(fd: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "lbapp.engine.worker.run", str(fd)]
    return subprocess.Popen(command, pass_fds=(fd,), stdin=subprocess.DEVNULL)
