"""Moving bytes between the two sides.

Responsible for writing all of something, for relaying a known number of bytes, and for relaying both ways until both sides
have ended (TCP listeners, upgraded connections). Knows nothing of heads, pools or counters.

Bulk bytes never enter Python: they go from socket to socket through a kernel pipe (splice). Short remainders are copied, and
so is everything where a side speaks TLS.

Invariants: at most one pipe, or one read, of a body is held in memory, so a slow reader slows its writer down; a pipe goes
back to the stock only when it is empty; only who has bytes for a sink that is slow holds one while it waits.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from lbapp.engine.worker.reactor import READ_AGAIN, Aborted, DeadlinePassed, Endpoint, PeerGone, Reactor
from lbapp.model.limits import (
    BYTES_WITHOUT_PIPE,
    PIPE_BYTES,
    PIPES_IDLE_MAX,
    PIPES_MAX,
    RECEIVE_BYTES,
    RELAY_ROUNDS_MAX,
    SPLICE_BYTES_MIN,
)

_UNTIL_THE_END: Final = 1 << 62


class SourceEnded(Exception):
    """The sending side ended or broke before all that was promised had come."""


class SinkGone(Exception):
    """The receiving side takes no more."""


class IdleTimeouts(NamedTuple):
    """How long either side may do nothing, in seconds."""

    source_s: float
    sink_s: float


class Pipes:
    """A stock of kernel pipes, so that a body does not cost one. At most `count_max` are in use at a time."""

    def __init__(self, count_max: int = PIPES_MAX) -> None:
        self._idle: list[tuple[int, int]] = []
        self._left = count_max

    def take(self) -> tuple[int, int] | None:
        """Return (read end, write end) of an empty pipe; None when there is none to be had."""
        if self._left <= 0:
            return None
        if self._idle:
            self._left -= 1
            return self._idle.pop()
        try:
            ends = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None  # no descriptors are left
        self._left -= 1
        try:
            fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        except OSError:
            pass  # over the user's share of pipe memory: the default size carries the same bytes in more rounds
        return ends

    def give_back(self, ends: tuple[int, int], is_empty: bool) -> None:
        """Keep an empty pipe for the next body; close any other."""
        self._left += 1
        if is_empty and len(self._idle) < PIPES_IDLE_MAX:
            self._idle.append(ends)
        else:
            os.close(ends[0])
            os.close(ends[1])


async def send_all(sink: Endpoint, data: bytes, idle_timeout_s: float) -> None:
    """Write all of `data`. Raises SinkGone; DeadlinePassed when the sink takes nothing for `idle_timeout_s`."""
    view = memoryview(data)
    while True:
        try:
            sent = sink.send(view)
        except BlockingIOError:
            await sink.writable(sink.reactor.now + idle_timeout_s)
            continue
        except OSError as error:
            raise SinkGone from error
        if sent == len(view):
            return
        view = view[sent:]


async def receive(source: Endpoint, deadline: float, bytes_max: int = RECEIVE_BYTES) -> bytes:
    """Wait for bytes and return them; empty at the end of the stream. Raises SourceEnded when the stream broke.

    Who can fill one read after the other lets the other connections go first in between.
    """
    while True:
        await source.readable(deadline)
        try:
            data = source.recv(bytes_max)
        except BlockingIOError:
            continue
        except OSError as error:
            raise SourceEnded from error
        if len(data) == bytes_max:
            source.ready |= READ_AGAIN
        if len(data) == RECEIVE_BYTES:
            await source.next_turn()
        return data


def _nobody(_count: int) -> None:
    """Nobody wants to know what was relayed."""


async def relay_exactly(source: Endpoint, sink: Endpoint, count: int, pipes: Pipes, idle: IdleTimeouts) -> None:
    """Relay `count` bytes. Raises SourceEnded, DeadlinePassed (nothing came for too long), SinkGone (or nothing was taken)."""
    is_plain = source.tls is None and sink.tls is None
    move = splice if is_plain and count >= SPLICE_BYTES_MIN else copy
    await move(source, sink, count, pipes, idle)


async def copy(
    source: Endpoint,
    sink: Endpoint,
    count: int,
    _pipes: Pipes,
    idle: IdleTimeouts,
    *,
    relayed: Callable[[int], None] = _nobody,
) -> None:
    """Do as `splice` through the memory of this process: where a side speaks TLS, and for what is not worth a pipe."""
    rounds = 0
    while count > 0:
        # What stands behind is left in the socket: a client's next request, or what a server should not have sent.
        data = await receive(source, source.reactor.now + idle.source_s, min(count, RECEIVE_BYTES))
        if not data:
            raise SourceEnded
        count -= len(data)
        relayed(len(data))
        try:
            await send_all(sink, data, idle.sink_s)
        except DeadlinePassed as error:  # as in `_writable`
            raise SinkGone from error
        rounds += 1
        if rounds % RELAY_ROUNDS_MAX == 0:
            await source.next_turn()


async def splice(  # noqa: PLR0913
    source: Endpoint,
    sink: Endpoint,
    count: int,
    pipes: Pipes,
    idle: IdleTimeouts,
    *,
    relayed: Callable[[int], None] = _nobody,
) -> None:
    """Relay `count` bytes through a kernel pipe; `relayed` is told of each part. Raises as `relay_exactly` does.

    Who waits for its source holds no pipe: one side that says nothing costs no more than its socket.
    """
    while count > 0:
        ends = pipes.take()
        if ends is None:
            part = min(count, BYTES_WITHOUT_PIPE)
            await copy(source, sink, part, pipes, idle, relayed=relayed)
            count -= part
            continue
        count = await _through(ends, source, sink, count, pipes, idle, relayed)
        if count > 0:
            await source.readable(source.reactor.now + idle.source_s)
    source.ready |= READ_AGAIN  # what stands behind has had its edge


async def _through(  # noqa: PLR0913
    ends: tuple[int, int],
    source: Endpoint,
    sink: Endpoint,
    count: int,
    pipes: Pipes,
    idle: IdleTimeouts,
    relayed: Callable[[int], None],
) -> int:
    """Relay what the source has; return how many bytes are still to come. Gives the pipe back."""
    held, rounds = 0, 0
    try:
        while count > 0:
            try:
                held = os.splice(source.fd, ends[1], min(count, PIPE_BYTES))
            except BlockingIOError:
                break
            except OSError as error:
                raise SourceEnded from error
            if held == 0:
                raise SourceEnded
            count -= held
            relayed(held)
            while held:
                try:
                    held -= os.splice(ends[0], sink.fd, held)
                except BlockingIOError:
                    await _writable(sink, idle.sink_s)
                except OSError as error:
                    raise SinkGone from error
            rounds += 1
            if rounds % RELAY_ROUNDS_MAX == 0:
                await source.next_turn()
    finally:
        pipes.give_back(ends, held == 0)
    return count


async def _writable(sink: Endpoint, idle_timeout_s: float) -> None:
    # What a pipe holds when its sink is too slow is lost: to the caller that is a sink gone, not a wait to try again.
    try:
        await sink.writable(sink.reactor.now + idle_timeout_s)
    except DeadlinePassed as error:
        raise SinkGone from error


class TunnelWatcher(Protocol):
    """Who wants to know about a tunnel."""

    def moved(self, bytes_up: int, bytes_down: int) -> None:
        """Bytes have gone on, from the client or to it."""

    def finished(self, is_clean: bool) -> None:
        """Both directions have ended, cleanly or not. Called once."""


class Tunnel:
    """Two endpoints relayed both ways, with half-close, until both sides ended, one broke, or nothing moved for too long.

    The watcher closes the endpoints when the tunnel has finished.
    """

    def __init__(
        self,
        client: Endpoint,
        server: Endpoint,
        pipes: Pipes,
        idle_timeout_s: float,
        watcher: TunnelWatcher,
    ) -> None:
        self._client = client
        self._server = server
        self._pipes = pipes
        self._idle_timeout_s = idle_timeout_s
        self._watcher = watcher
        self._last_moved_at = client.reactor.now
        self._open = 2
        self._is_clean = True

    def start(self, reactor: Reactor) -> None:
        """Relay both ways from now on."""
        reactor.start(self._one_way(self._client, self._server, 0))
        reactor.start(self._one_way(self._server, self._client, 1))

    def break_off(self) -> None:
        """End both directions at once, whatever is under way."""
        self._is_clean = False
        for endpoint in (self._client, self._server):
            _shut_down(endpoint)
            endpoint.interrupt(Aborted())
            endpoint.interrupt_writer(Aborted())

    async def _one_way(self, source: Endpoint, sink: Endpoint, direction: int) -> None:
        def relayed(count: int) -> None:
            self._watcher.moved(*((0, count) if direction else (count, 0)))
            self._last_moved_at = source.reactor.now

        move = splice if source.tls is None and sink.tls is None else copy
        idle = IdleTimeouts(self._idle_timeout_s, self._idle_timeout_s)
        try:
            while True:
                try:
                    await move(source, sink, _UNTIL_THE_END, self._pipes, idle, relayed=relayed)
                except DeadlinePassed:
                    # The other direction may have been busy all the time.
                    if source.reactor.now - self._last_moved_at >= self._idle_timeout_s:
                        raise
        except SourceEnded as ended:
            if ended.__cause__ is None:
                _end_writing(sink)
            else:
                self.break_off()
        except (SinkGone, DeadlinePassed, PeerGone, Aborted):
            self.break_off()
        finally:
            self._open -= 1
            if not self._open:
                self._watcher.finished(self._is_clean)


def _end_writing(endpoint: Endpoint) -> None:
    try:
        endpoint.end_writing()
    except OSError:
        pass  # already gone: its own direction will see it


def _shut_down(endpoint: Endpoint) -> None:
    try:
        endpoint.socket.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # already gone
