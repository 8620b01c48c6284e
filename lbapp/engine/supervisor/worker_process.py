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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import anyio

from lbapp.engine.channel import (
    Applied,
    Assignment,
    ChannelClosed,
    ListeningSockets,
    Message,
    Prepare,
    Prepared,
    Serving,
    channel_pair,
)
from lbapp.engine.questions import Answer, Observed
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.scoreboard.segment import Segment
from lbapp.engine.supervisor.events import Signal
from lbapp.model.limits import HEARTBEAT_AGE_MAX_S, HEARTBEAT_INTERVAL_S, WORKER_START_TIMEOUT_S

OUTBOX_MAX: Final = 256  # messages a worker may be behind with
_FDS_PER_MESSAGE: Final = 250

_log = logging.getLogger("lbapp")


class WorkerProcess:
    """A worker in one slot. `watch` runs for the whole life of the process; everything else is immediate."""

    def __init__(
        self,
        slot: int,
        segment: Segment,
        on_serving: Callable[[WorkerProcess], None],
        on_told: Callable[[int, Observed | Answer], None],
    ) -> None:
        self.slot = slot
        self._on_serving = on_serving
        self._on_told = on_told
        self.served_at: float | None = None  # monotonic
        self.hung = False
        self.serving = anyio.Event()
        self.prepared: Prepared | None = None  # what it said last of another generation
        self.applied = 0  # the generation that it serves by, where that is not its first
        self.answered = Signal()
        self.is_gone = False
        self._heartbeat_cell = segment.layout.worker(slot) + at.WORKER_HEARTBEAT_NS
        self._segment = segment
        self._channel, end = channel_pair()
        self._outbox, self._to_send = anyio.create_memory_object_stream[tuple[Message, Sequence[int]]](OUTBOX_MAX)
        try:
            with end:
                self._process = _start_process(end.fileno())
            self._pidfd = _pidfd_of(self._process)
        except OSError:
            self._close_channel()
            raise
        self.pid = self._process.pid

    def assign(self, assignment: Assignment, fds: Sequence[int]) -> None:
        """Send the assignment, the scoreboard and the listening sockets."""
        self._post_with(assignment, [self._segment.fd, *fds])

    def prepare(self, assignment: Assignment, opened: Mapping[str, int]) -> None:
        """Have it get ready for another generation; `opened`: the listening sockets that are new, by name."""
        self._post_with(Prepare(assignment, tuple(opened)), list(opened.values()))

    def _post_with(self, message: Message, carried: Sequence[int]) -> None:
        """Send a message and descriptors, in as many messages as they need."""
        self._post(message, carried[:_FDS_PER_MESSAGE])
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

        Return its status as subprocess gives it (negative: the signal). A process that is watched no more, because an error in
        lbapp itself ends this one, is left alone: it sees its channel closed, finishes what it has, and leaves.
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
            self._close()
            self.is_gone = True
            self.answered.fire()

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
                if isinstance(message, Observed | Answer):
                    self._on_told(self.slot, message)
                    continue
                if isinstance(message, Serving):
                    self.served_at = time.monotonic()
                    self.serving.set()
                    self._on_serving(self)
                elif isinstance(message, Prepared):
                    self.prepared = message
                elif isinstance(message, Applied):
                    self.applied = message.generation
                self.answered.fire()

    async def _watch_heartbeat(self) -> None:
        with anyio.move_on_after(WORKER_START_TIMEOUT_S):
            await self.serving.wait()
        if not self.serving.is_set():
            self._end_hung(f"does not serve after {WORKER_START_TIMEOUT_S:g} s")
            return
        silence = Silence()
        while True:
            silent_s = silence.look(self._segment.cells[self._heartbeat_cell], time.monotonic())
            if silent_s > HEARTBEAT_AGE_MAX_S:
                self._end_hung(f"has been silent for {silent_s:.1f} s")
                return
            await anyio.sleep(HEARTBEAT_INTERVAL_S)

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


@dataclass(slots=True)
class Silence:
    """For how long a heartbeat has stood still, as far as somebody was there to see it.

    Time in which the supervisor did not look (Ctrl-Z and `fg`, a frozen container) says nothing of the worker, which
    was stopped as well: of a look that comes late, no more than two intervals count.
    """

    _beat: int = 0
    _looked_s: float = 0.0
    _silent_s: float = 0.0

    def look(self, beat: int, now_s: float) -> float:
        """Take a heartbeat cell into account, read at `now_s`; return the seconds of silence up to then."""
        if beat == self._beat:
            self._silent_s += min(now_s - self._looked_s, 2 * HEARTBEAT_INTERVAL_S)
        else:
            self._beat, self._silent_s = beat, 0.0
        self._looked_s = now_s
        return self._silent_s


def describe_status(status: int) -> str:
    """Say in words how a process ended."""
    if status >= 0:
        return f"left with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def _start_process(fd: int) -> subprocess.Popen[bytes]:
    # The worker looks for modules where the supervisor does: -P, or a `queue.py` in the operator's folder would be taken
    # for Python's own.
    command = [sys.executable, "-P", "-m", "lbapp.engine.worker", str(fd)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(command, pass_fds=(fd,), stdin=subprocess.DEVNULL, env=environment)


def _pidfd_of(process: subprocess.Popen[bytes]) -> int:
    """Return a descriptor of the process. Raises OSError; the process is ended then, as nobody could watch it."""
    try:
        return os.pidfd_open(process.pid)
    except OSError:
        process.kill()
        process.wait()
        raise
