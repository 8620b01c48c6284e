"""The control socket and the HTTP server behind it.

Responsible for the socket's file, for who may open it, for knowing the caller by its peer credentials, and
for running uvicorn inside the supervisor's own event loop. Knows nothing of what is asked.

Invariants: the file is mode 0600 from the first moment, in a folder that others cannot enter when lbapp made it, unless groups
may call: then everybody may connect, and who is in none of them is refused; a socket that another engine answers on is never
taken; signals stay the supervisor's; what HTTP itself refuses has the shape of every other error.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import pwd
import socket
import struct
from asyncio import BaseTransport, TimerHandle, Transport
from collections.abc import Generator
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Final, cast

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from lbapp.control.messages import Actor
from lbapp.engine.supervisor.access import OWN_USER, Access, Role, groups_of
from lbapp.engine.supervisor.unix_files import open_unix, remove_if_ours
from lbapp.model.errors import StartError
from lbapp.model.limits import CONTROL_CONNECTIONS_MAX, CONTROL_REQUEST_TIMEOUT_S, CONTROL_STRANGERS_MAX

_FOLDER_MODE: Final = 0o750
_MODE: Final = 0o600
_SHARED_FOLDER_MODE: Final = 0o755
_SHARED_MODE: Final = 0o666
_CLOSING_S: Final = 1  # for answers under way when the engine leaves
_CREDENTIALS: Final = struct.Struct("3i")  # struct ucred: pid, uid, gid


class ControlSocket:
    """The open control socket; `close` removes its file if it is still ours."""

    def __init__(self, path: Path, listening: socket.socket, inode: int | None) -> None:
        """`inode` None: the file is another engine's, so far."""
        self.path = path
        self.socket = listening
        self._inode = inode

    @classmethod
    def open(cls, path: Path, access: Access = OWN_USER, inherited: socket.socket | None = None) -> ControlSocket:
        """Make the folder where needed and listen, or go on with a socket that is open. Raises StartError."""
        if inherited is not None and (found := cls._inherit(path, inherited)) is not None:
            return found
        folder_mode, mode = (_SHARED_FOLDER_MODE, _SHARED_MODE) if access.is_open else (_FOLDER_MODE, _MODE)
        try:
            path.parent.mkdir(mode=folder_mode, parents=True, exist_ok=True)
            return cls(path, *open_unix(path, mode))
        except OSError as error:
            hint = "Name another with --socket PATH or control_socket in the [engine] table"
            if error.errno == errno.EADDRINUSE:
                reason = "another engine answers there"
                hint = f"Stop it with: lbapp --socket {path} stop. {hint}"
            else:
                reason = (error.strerror or str(error)).lower()
            raise StartError(f"cannot open the control socket {path}: {reason}", hint) from error

    @classmethod
    def _inherit(cls, path: Path, listening: socket.socket) -> ControlSocket | None:
        """Go on with a socket that another engine listened on; None: its file is not at this path any more."""
        with contextlib.suppress(OSError):
            if listening.getsockname() == str(path):
                path.stat()
                return cls(path, listening, None)
        listening.close()
        return None

    def give_away(self) -> None:
        """Leave the file to another engine, which listens on the same socket."""
        self._inode = None

    def take_over(self) -> None:
        """Own the file, as this engine serves."""
        with contextlib.suppress(OSError):
            self._inode = self.path.stat().st_ino

    def close(self) -> None:
        """Remove the file, if it is still ours, and stop listening."""
        if self._inode is not None:
            remove_if_ours(self.path, self._inode)
        self.socket.close()


class ControlServer(uvicorn.Server):
    """uvicorn as one task of the supervisor: `serve_on` runs until `should_exit` is set."""

    def __init__(self, app: ASGIApp, access: Access = OWN_USER) -> None:
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
        config = uvicorn.Config(
            app,
            http=type("PeerProtocol", (PeerProtocol,), {"access": access}),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_CLOSING_S,
        )
        super().__init__(config)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave the signals to the supervisor."""
        yield

    def stop_accepting(self) -> None:
        """Leave callers that come from now on to another engine, which listens on the same socket."""
        for each in self.servers:
            each.close()

    async def serve_on(self, control: ControlSocket) -> None:
        """Serve on a socket that stays its owner's."""
        await self.serve(sockets=[control.socket.dup()])


class PeerProtocol(H11Protocol):
    """HTTP/1.1 that puts the caller into `request.state.actor`.

    A request is whole within CONTROL_REQUEST_TIMEOUT_S, so that a caller who says nothing does not hold a place for ever.
    """

    access: Access  # whom it lets do what
    _overdue: TimerHandle | None = None  # while a request is awaited

    def connection_made(self, transport: BaseTransport) -> None:
        """Take the peer's credentials; refuse one connection too many."""
        super().connection_made(cast(Transport, transport))
        connection = transport.get_extra_info("socket")
        uid, gid, actor = peer_of(connection)
        role = self.access.role_of(uid, groups_of(connection, gid))
        self.app_state = {**self.app_state, "actor": actor, "role": role}
        if len(self.connections) > CONTROL_CONNECTIONS_MAX or (role is Role.NONE and self._are_too_many_strangers()):
            self._refuse(503, "too_many_connections", "the control socket has too many connections", "")
        self._await_request()

    def _are_too_many_strangers(self) -> bool:
        # Who may do nothing is told so, but never takes the place of those who may.
        strangers = sum(cast(PeerProtocol, each).app_state["role"] is Role.NONE for each in self.connections)
        return strangers > CONTROL_STRANGERS_MAX

    def data_received(self, data: bytes) -> None:
        """Read on."""
        super().data_received(data)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Await nothing any more."""
        super().connection_lost(exc)
        self._await_request()

    def _await_request(self) -> None:
        is_awaited = self.conn.their_state in (h11.IDLE, h11.SEND_BODY) and not self.transport.is_closing()
        if is_awaited and self._overdue is None:
            self._overdue = self.loop.call_later(CONTROL_REQUEST_TIMEOUT_S, self._end_overdue)
        elif not is_awaited and self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

    def _end_overdue(self) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            message = f"no whole request came within {CONTROL_REQUEST_TIMEOUT_S:g} s"
            self._refuse(408, "request_timeout", message, "")
        else:
            self.transport.close()  # answered before its end

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP in the shape of every other error."""
        self._refuse(400, "bad_request", "the request is no valid HTTP/1.1", msg)

    def _refuse(self, status: int, code: str, message: str, hint: str) -> None:
        body = json.dumps({"error": {"code": code, "message": message, "hint": hint}}).encode()
        reason = HTTPStatus(status).phrase
        head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self.transport.write(f"{head}Connection: close\r\n\r\n".encode() + body)
        self.transport.close()


def peer_of(connection: socket.socket) -> tuple[int, int, Actor]:
    """Return user and first group of who is at the other end of a Unix connection, and who that is (SO_PEERCRED, unix(7))."""
    pid, uid, gid = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return uid, gid, {"uid": uid, "user": _user_name(uid), "pid": pid}


@lru_cache(maxsize=256)
def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
