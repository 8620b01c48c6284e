"""The channel between supervisor and worker: rare messages, and the sockets that go with them.

Responsible for the messages, their framing on a Unix stream socket, and the passing of file descriptors. Knows nothing of
what either side does with a message. Requests, counts and health never travel here: they are in the scoreboard.

A frame is a 4-byte big-endian length, a 1-byte count of descriptors, and a pickled message. Pickle is safe here because
both ends are processes of one engine, of one lbapp, over a socket that nobody else can open.

Invariants: a message is delivered whole or not at all; descriptors arrive with the message they were sent with; the end
of the stream means that the other process is gone.
"""

from __future__ import annotations

import array
import pickle
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import anyio

from lbapp.engine.questions import Asked, Told
from lbapp.model.entities import Configuration, Server
from lbapp.model.tls import NO_MATERIAL, TlsMaterial

_HEADER: Final = struct.Struct("!IB")
_FDS_PER_MESSAGE_MAX: Final = 250  # the kernel's SCM_MAX_FD is 253
FRAME_BYTES_MAX: Final = 64 * 1024 * 1024

SocketAddress = tuple[int, str, int]  # address family, IP address, port; of a Unix socket its path and 0


@dataclass(frozen=True, slots=True)
class Rows:
    """Which row of the scoreboard belongs to which name: listeners and pools by name, servers by `pool/server`.

    `reserved`: rows for servers that are discovered, by pool. Names that are gone keep their rows, for when they come back.
    """

    listeners: dict[str, int]
    pools: dict[str, int]
    servers: dict[str, int]
    reserved: dict[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Assignment:
    """All that a worker needs to serve, and its first message.

    `listening` has the name and the listener of each listening socket that it accepts from. With the first message come their
    descriptors, in the same order, behind that of the scoreboard. `addresses` maps a server's row to where it can be reached; a
    server without an entry could not be resolved. `discovered`: by pool and row, the servers of pools that are discovered.
    """

    slot: int
    generation: int
    configuration: Configuration
    rows: Rows
    addresses: dict[int, tuple[SocketAddress, ...]]
    listening: tuple[tuple[str, str], ...]
    tls: TlsMaterial = NO_MATERIAL
    is_sent_away: bool = False  # clients are asked to leave
    discovered: dict[str, dict[int, Server]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListeningSockets:
    """More listening sockets, when one message cannot carry them all. In the order that the message before them names."""

    count: int


@dataclass(frozen=True, slots=True)
class Prepare:
    """Get ready for another generation, and change nothing yet. `opened`: the names of the sockets that come with it."""

    assignment: Assignment
    opened: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prepared:
    """From the worker: it is ready for a generation, or cannot be, for this reason."""

    generation: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Apply:
    """Serve by the generation that was prepared from now on."""

    generation: int


@dataclass(frozen=True, slots=True)
class Discard:
    """Forget what was prepared: it is not to be served."""


@dataclass(frozen=True, slots=True)
class Applied:
    """From the worker: it serves by this generation."""

    generation: int


@dataclass(frozen=True, slots=True)
class AddressesChanged:
    """Names resolved anew: the whole map, as in `Assignment.addresses`."""

    addresses: dict[int, tuple[SocketAddress, ...]]


@dataclass(frozen=True, slots=True)
class ServersChanged:
    """The servers that a discovered pool has from now on, by row. Those that are no longer among them finish."""

    pool: str
    servers: dict[int, Server]


@dataclass(frozen=True, slots=True)
class TlsChanged:
    """Certificates, keys or authorities read anew: all of them, as in `Assignment.tls`."""

    material: TlsMaterial


@dataclass(frozen=True, slots=True)
class CloseServer:
    """A drain is over: close every connection to this server at once, whatever is in flight. `server` is its row."""

    server: int


@dataclass(frozen=True, slots=True)
class SendAway:
    """Ask clients to leave: close each connection behind its next answer; or ask nobody any more."""

    is_on: bool


@dataclass(frozen=True, slots=True)
class CutOff:
    """Close every client's connection at once, whatever is in flight. Accepting goes on."""


@dataclass(frozen=True, slots=True)
class ReopenLog:
    """Open the access log's file anew: it was moved away."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Serve what is there, accept nothing new, and leave within `timeout_s`."""

    timeout_s: float


@dataclass(frozen=True, slots=True)
class Serving:
    """From the worker: its sockets are being accepted from."""

    pid: int


Message = (
    Assignment
    | ListeningSockets
    | Prepare
    | Prepared
    | Apply
    | Discard
    | Applied
    | AddressesChanged
    | ServersChanged
    | TlsChanged
    | CloseServer
    | SendAway
    | CutOff
    | ReopenLog
    | Asked
    | Told
    | Drain
    | Serving
)


class ChannelClosed(Exception):
    """The process at the other end is gone."""


class Channel:
    """One end of a channel, to be used by tasks that send and one that receives."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._socket = end
        self._sending = anyio.Lock()
        self._received = bytearray()
        self._fds: list[int] = []

    def fileno(self) -> int:
        """Return the descriptor, to hand it to a child."""
        return self._socket.fileno()

    async def send(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Send a message and copies of at most 250 descriptors. Raises ChannelClosed."""
        if len(fds) > _FDS_PER_MESSAGE_MAX:
            raise ValueError(f"{len(fds)} descriptors in one message; at most {_FDS_PER_MESSAGE_MAX}")
        body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        frame = memoryview(_HEADER.pack(len(body), len(fds)) + body)
        attached = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        async with self._sending:
            await self._send_frame(frame, attached)

    async def _send_frame(self, frame: memoryview, attached: list[Any]) -> None:
        while frame:
            try:
                sent = self._socket.sendmsg([frame], attached)
            except BlockingIOError:
                await anyio.wait_writable(self._socket)
                continue
            except OSError as error:
                raise ChannelClosed from error
            attached = []
            frame = frame[sent:]

    async def receive(self) -> tuple[Message, list[int]]:
        """Wait for a message and return it with the descriptors sent along. Raises ChannelClosed."""
        while True:
            if len(self._received) >= _HEADER.size:
                length, count = _HEADER.unpack_from(self._received)
                if length > FRAME_BYTES_MAX:
                    raise ChannelClosed(f"a frame of {length} bytes")
                end = _HEADER.size + length
                if len(self._received) >= end and len(self._fds) >= count:
                    message: Message = pickle.loads(bytes(self._received[_HEADER.size : end]))
                    del self._received[:end]
                    fds, self._fds = self._fds[:count], self._fds[count:]
                    return message, fds
            await self._receive_more()

    async def _receive_more(self) -> None:
        room = socket.CMSG_SPACE(_FDS_PER_MESSAGE_MAX * array.array("i").itemsize)
        try:
            data, ancillary, _, _ = self._socket.recvmsg(256 * 1024, room, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            await anyio.wait_readable(self._socket)
            return
        except OSError as error:
            raise ChannelClosed from error
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                received = array.array("i")
                received.frombytes(payload[: len(payload) - len(payload) % received.itemsize])
                self._fds.extend(received)
        if not data:
            raise ChannelClosed
        self._received += data

    def close(self) -> None:
        """Close this end; the other end sees the end of the stream."""
        self._socket.close()


def channel_pair() -> tuple[Channel, socket.socket]:
    """Return the supervisor's end and the socket that becomes the worker's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    return Channel(ours), theirs
