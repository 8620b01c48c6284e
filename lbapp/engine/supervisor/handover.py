"""From one engine to the next on the same sockets: `lbapp upgrade`.

Responsible for what the two say to each other, over a socket pair, while the second starts. Knows nothing of what either does
with it. Each message is a 4-byte big-endian length and JSON, so that two versions of lbapp understand each other.

    the engine that serves                        the next one
    sockets   names; the descriptors follow  -->
                                             <--  ready     the sockets are open, the configuration is sound
    yours     the journal is free; what is
              known of the servers           -->
                                             <--  serving   its workers serve
    go        the place is given away        -->

Invariants: the place is given away by `go`, or when the one who would say it has gone, and never otherwise; whatever else the
other end says or leaves unsaid, a step that takes too long, or an end that is gone, is a failure with a sentence.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

from lbapp.engine.supervisor.inherited import Inherited

ENVIRONMENT: Final = "LBAPP_HANDOVER_FD"
_LENGTH: Final = struct.Struct("!I")
_BYTES_MAX: Final = 64 * 1024 * 1024
_FDS_PER_MESSAGE: Final = 200
_READ_BYTES: Final = 65536
_STARTER: Final = """
import os, sys
pid = os.fork()
if pid:
    os.write(int(sys.argv[1]), b"%d" % pid)
else:
    os.close(int(sys.argv[1]))
    os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


class HandoverFailed(Exception):
    """The other engine cannot take over, or has gone: a sentence says why."""


class OtherGone(HandoverFailed):
    """The other engine has closed its end without a word, as it does when it is killed."""

    def __init__(self) -> None:
        super().__init__("the other engine has gone")


class Line:
    """One end. Its methods wait, at most `timeout_s` for each message."""

    def __init__(self, end: socket.socket, timeout_s: float) -> None:
        end.settimeout(timeout_s)
        self._end = end
        self._timeout_s = timeout_s

    def say(self, kind: str, **what: Any) -> None:
        """Send a message. Raises HandoverFailed."""
        data = json.dumps({"kind": kind, **what}).encode()
        try:
            self._end.settimeout(self._timeout_s)
            self._end.sendall(_LENGTH.pack(len(data)) + data)
        except OSError as error:
            raise _failure(error) from error

    def hear(self, kind: str) -> dict[str, Any]:
        """Return the next message, which has to be of this kind. Raises HandoverFailed, with what the other has said."""
        deadline_s = time.monotonic() + self._timeout_s
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size, deadline_s))
        if length > _BYTES_MAX:
            raise HandoverFailed("the other engine speaks otherwise")
        try:
            message = json.loads(self._read(length, deadline_s))
        except (ValueError, RecursionError) as error:
            raise HandoverFailed("the other engine speaks otherwise") from error
        if not isinstance(message, dict):
            raise HandoverFailed("the other engine speaks otherwise")
        if message.get("kind") == "failed":
            raise HandoverFailed(str(message.get("reason", "")))
        if message.get("kind") != kind:
            raise HandoverFailed(f"the other engine says {message.get('kind')}, not {kind}")
        return message

    def give(self, sockets: Mapping[str, int]) -> None:
        """Send listening sockets by name. Raises HandoverFailed."""
        names = list(sockets)
        self.say("sockets", names=names)
        try:
            for start in range(0, len(names), _FDS_PER_MESSAGE):
                part = names[start : start + _FDS_PER_MESSAGE]
                socket.send_fds(self._end, [b"."], [sockets[name] for name in part])
        except OSError as error:
            raise _failure(error) from error

    def take(self) -> Inherited:
        """Return the listening sockets that `give` has sent. Raises HandoverFailed."""
        names = self.hear("sockets")["names"]
        fds: list[int] = []
        self._end.settimeout(self._timeout_s)
        while len(fds) < len(names):
            try:
                data, more, _, _ = socket.recv_fds(self._end, 1, _FDS_PER_MESSAGE)
            except OSError as error:
                raise _failure(error) from error
            if not data:
                raise OtherGone
            fds += more
        return Inherited.of(names, fds)

    def close(self) -> None:
        """Close this end."""
        self._end.close()

    def _read(self, count: int, deadline_s: float) -> bytes:
        data = bytearray()
        while len(data) < count:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise _failure(TimeoutError())
            try:
                self._end.settimeout(left_s)
                more = self._end.recv(min(count - len(data), _READ_BYTES))
            except OSError as error:
                raise _failure(error) from error
            if not more:
                raise OtherGone
            data += more
        return bytes(data)


def _failure(error: OSError) -> HandoverFailed:
    is_late = isinstance(error, TimeoutError)
    return HandoverFailed("the other engine does not answer in time") if is_late else OtherGone()


def line_from_environment(environment: dict[str, str] | os._Environ[str], timeout_s: float) -> Line | None:
    """Return the line to the engine that this one takes over from; None: there is none."""
    fd = environment.pop(ENVIRONMENT, "")
    if not fd.isdigit():
        return None
    os.set_inheritable(int(fd), False)
    return Line(socket.socket(fileno=int(fd)), timeout_s)


class Successor:
    """The process of the next engine. It is nobody's child here: see `start_successor`."""

    def __init__(self, pid: int) -> None:
        self.pid: Final = pid
        try:
            self._pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            self._pidfd = -1  # it has ended already, and its end of the line with it

    def end(self, timeout_s: float) -> None:
        """Have it end, and return when it has; by force after `timeout_s` seconds."""
        if not self._signal(signal.SIGTERM) or self._has_ended(timeout_s):
            return
        if self._signal(signal.SIGKILL):
            self._has_ended(None)

    def close(self) -> None:
        """Let it live its own life."""
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1

    def _signal(self, number: signal.Signals) -> bool:
        try:
            if self._pidfd >= 0:
                signal.pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            return False
        return self._pidfd >= 0

    def _has_ended(self, timeout_s: float | None) -> bool:
        waiting = select.poll()
        waiting.register(self._pidfd, select.POLLIN)
        return bool(waiting.poll(None if timeout_s is None else timeout_s * 1000))


def start_successor(timeout_s: float) -> tuple[Successor, Line]:
    """Start the engine anew, from what is on disk now, as this one was started. Raises OSError.

    It is no child of this engine, so that who has started the service hears at once when it dies, also while this engine
    finishes what it has: a service manager is told of the end of its own children and of orphans, and of no others.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    told, tells = os.pipe()
    try:
        starter = [sys.executable, "-I", "-S", "-c", _STARTER, str(tells), *sys.orig_argv[1:]]
        environment = os.environ | {ENVIRONMENT: str(theirs.fileno())}
        with subprocess.Popen(starter, pass_fds=(theirs.fileno(), tells), env=environment) as process:
            process.wait()
        pid = os.read(told, 20) if process.returncode == 0 else b""
        if not pid:
            raise OSError("no process can be started")
        return Successor(int(pid)), Line(ours, timeout_s)
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
        os.close(told)
        os.close(tells)
