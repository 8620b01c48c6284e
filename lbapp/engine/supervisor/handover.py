"""From one engine to the next on the same sockets: `lbapp upgrade`.

Responsible for what the two say to each other, over a socket pair, while the second starts: which sockets there are, when the
journal is free, what is known of the servers, and whether it serves. Knows nothing of what either does with it.

Each message is a 4-byte big-endian length and JSON, so that two versions of lbapp understand each other; descriptors follow the
first one. Invariants: the engine that gives away is as it was until the other has said that it serves; a step that takes too
long, or an end that is gone, is a failure with a sentence.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Final

from lbapp.engine.supervisor.inherited import Inherited

ENVIRONMENT: Final = "LBAPP_HANDOVER_FD"
_LENGTH: Final = struct.Struct("!I")
_BYTES_MAX: Final = 64 * 1024 * 1024
_FDS_PER_MESSAGE: Final = 200


class HandoverFailed(Exception):
    """The other engine cannot take over, or has gone: a sentence says why."""


class Line:
    """One end. Its methods wait, at most `timeout_s` for each message."""

    def __init__(self, end: socket.socket, timeout_s: float) -> None:
        end.settimeout(timeout_s)
        self._end = end

    def say(self, kind: str, **what: Any) -> None:
        """Send a message. Raises HandoverFailed."""
        data = json.dumps({"kind": kind, **what}).encode()
        try:
            self._end.sendall(_LENGTH.pack(len(data)) + data)
        except OSError as error:
            raise HandoverFailed("the other engine has gone") from error

    def hear(self, kind: str) -> dict[str, Any]:
        """Return the next message, which has to be of this kind. Raises HandoverFailed, with what the other has said."""
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size))
        if length > _BYTES_MAX:
            raise HandoverFailed("the other engine speaks otherwise")
        try:
            message = json.loads(self._read(length))
        except ValueError as error:
            raise HandoverFailed("the other engine speaks otherwise") from error
        if message.get("kind") == "failed":
            raise HandoverFailed(str(message.get("reason", "")))
        if message.get("kind") != kind:
            raise HandoverFailed(f"the other engine says {message.get('kind')}, not {kind}")
        return dict(message)

    def give(self, sockets: Mapping[str, int]) -> None:
        """Send listening sockets by name. Raises HandoverFailed."""
        names = list(sockets)
        self.say("sockets", names=names)
        try:
            for start in range(0, len(names), _FDS_PER_MESSAGE):
                part = names[start : start + _FDS_PER_MESSAGE]
                socket.send_fds(self._end, [b"."], [sockets[name] for name in part])
        except OSError as error:
            raise HandoverFailed("the other engine has gone") from error

    def take(self) -> Inherited:
        """Return the listening sockets that `give` has sent. Raises HandoverFailed."""
        names = self.hear("sockets")["names"]
        fds: list[int] = []
        while len(fds) < len(names):
            try:
                data, more, _, _ = socket.recv_fds(self._end, 1, _FDS_PER_MESSAGE)
            except OSError as error:
                raise HandoverFailed("the other engine has gone") from error
            if not data:
                raise HandoverFailed("the other engine has gone")
            fds += more
        return Inherited.of(names, fds)

    def close(self) -> None:
        """Close this end."""
        self._end.close()

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            try:
                more = self._end.recv(count - len(data))
            except TimeoutError as error:
                raise HandoverFailed("the other engine does not answer in time") from error
            except OSError as error:
                raise HandoverFailed("the other engine has gone") from error
            if not more:
                raise HandoverFailed("the other engine has gone")
            data += more
        return data


def line_from_environment(environment: dict[str, str] | os._Environ[str], timeout_s: float) -> Line | None:
    """Return the line to the engine that this one takes over from; None: there is none."""
    fd = environment.pop(ENVIRONMENT, "")
    if not fd.isdigit():
        return None
    os.set_inheritable(int(fd), False)
    return Line(socket.socket(fileno=int(fd)), timeout_s)


def start_successor(timeout_s: float) -> tuple[subprocess.Popen[bytes], Line]:
    """Start the engine anew, from what is on disk now, as this one was started. Raises OSError."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        environment = os.environ | {ENVIRONMENT: str(theirs.fileno())}
        process = subprocess.Popen([sys.executable, *sys.orig_argv[1:]], pass_fds=(theirs.fileno(),), env=environment)
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    return process, Line(ours, timeout_s)
