"""The backend that runs an ExaBGP of its own.

Responsible for the two processes that come with it, ExaBGP and the helper that ExaBGP wants to run (relay.py), and for telling
it what holds. Knows nothing of why. ExaBGP is our child, not we its: then there is one unit to supervise whatever the backend
is, its configuration is ours (`respawn false`, with which a route outlives its announcer, cannot be in it), and its end is seen
at once.

Invariants: neither outlives the other: ExaBGP's end is BackendEnded, ours closes the helper's socket, upon which the helper ends
ExaBGP; a helper that ExaBGP has started anew is told everything again; after commands that were not answered, whatever became of
them, nothing counts as told, and a new helper takes over: answers that come late are counted for no other command.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import anyio
from anyio.abc import Process, SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from lbapp.cluster.announce import relay
from lbapp.cluster.announce.backend import BackendEnded, BackendFailed, Found
from lbapp.cluster.announce.decision import RouteState
from lbapp.cluster.announce.exabgp_text import ENVIRONMENT, SOCKET_VARIABLE, Sessions, commands, exabgp_text, is_done
from lbapp.model.announce import AnnounceSettings

_START_TIMEOUT_S: Final = 4.0  # an ExaBGP is an interpreter that starts
_ANSWER_TIMEOUT_S: Final = 2.0
_END_TIMEOUT_S: Final = 5.0
_LINE_BYTES_MAX: Final = 65536
_CREDENTIALS: Final = struct.Struct("3i")  # process, user, group
_TROUBLE: Final = (TimeoutError, anyio.BrokenResourceError, anyio.ClosedResourceError)


@dataclass(slots=True, eq=False)
class _Helper:
    """A helper that has connected. `process`: a descriptor of its process; None: it has ended."""

    stream: SocketStream
    process: int | None

    def end(self) -> None:
        """End the process: ExaBGP starts another. Were the stream closed instead, the helper would end ExaBGP."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.process, signal.SIGKILL)


class Exabgp:
    """An ExaBGP, from the start of its process to its end."""

    def __init__(self, settings: AnnounceSettings) -> None:
        self._settings = settings
        self._sessions = Sessions(settings)
        self._helper: _Helper | None = None
        self._has_helper = anyio.Event()
        self._answers: list[bool] = []
        self._answered = anyio.Event()
        self._told: RouteState | None = None
        self._process: Process | None = None
        self._stack = AsyncExitStack()

    @property
    def will(self) -> None:
        """ExaBGP does not outlive this process: relay.py."""

    async def __aenter__(self) -> Self:
        command = exabgp_command(self._settings)
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lbapp-announce-")))
            listener = await stack.enter_async_context(await anyio.create_unix_listener(folder / "s", mode=0o600))
            tasks = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(tasks.cancel_scope.cancel)
            tasks.start_soon(listener.serve, self._serve)
            file = folder / "exabgp.conf"
            file.write_text(exabgp_text(self._settings, helper_command()))
            user = pwd.getpwuid(os.geteuid()).pw_name
            variables = {**os.environ, **ENVIRONMENT, "exabgp_daemon_user": user, SOCKET_VARIABLE: str(folder / "s")}
            started = [*command, "server", str(file)]
            self._process = await anyio.open_process(started, stdin=None, stdout=None, stderr=None, env=variables)
            stack.push_async_callback(self._end_process)
            tasks.start_soon(self._watch, self._process)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _end_process(self) -> None:
        process = self._process
        assert process is not None
        with anyio.CancelScope(shield=True):
            if process.returncode is None:
                process.terminate()
                with anyio.move_on_after(_END_TIMEOUT_S):
                    await process.wait()
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def _watch(self, process: Process) -> None:
        """Have nobody wait for an ExaBGP that has ended."""
        await process.wait()
        self._has_helper.set()
        self._answered.set()

    async def _serve(self, stream: SocketStream) -> None:
        """Take in what a helper says. The latest is the one that is told; nothing is known of what it holds."""
        helper = _Helper(stream, _process_of(stream))
        self._told, self._helper = None, helper
        self._has_helper.set()
        lines = BufferedByteReceiveStream(stream)
        try:
            async with stream:
                while True:
                    line = await lines.receive_until(b"\n", _LINE_BYTES_MAX)
                    self._take(line.decode(errors="replace").strip(), helper)
        except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, anyio.DelimiterNotFound):
            pass
        finally:
            self._forget(helper)
            if helper.process is not None:
                os.close(helper.process)
                helper.process = None

    def _forget(self, helper: _Helper) -> None:
        if self._helper is helper:
            self._helper, self._told = None, None
            self._has_helper = anyio.Event()

    def _take(self, line: str, helper: _Helper) -> None:
        done = is_done(line)
        if done is None:
            self._sessions.take(line, time.strftime("%H:%M:%S"))
        elif helper is self._helper:
            self._answers.append(done)
            self._answered.set()

    async def watch(self, wake: Callable[[], None]) -> None:
        """Notice its end."""
        assert self._process is not None
        await self._process.wait()
        wake()

    async def settle(self, state: RouteState) -> Found:
        """Send the commands of this state, where they have not been sent to this helper."""
        self._stay_with_it()
        if self._told is not state:
            await self._tell(state)
        return Found(self._sessions.rows)

    def _stay_with_it(self) -> None:
        assert self._process is not None
        if self._process.returncode is not None:
            raise BackendEnded(f"ExaBGP has ended with status {self._process.returncode}", "What it said stands above")

    async def _tell(self, state: RouteState) -> None:
        with anyio.move_on_after(_START_TIMEOUT_S):
            await self._has_helper.wait()
        self._stay_with_it()
        helper = self._helper
        if helper is None:
            raise BackendFailed("ExaBGP does not run its helper", "What it said stands above")
        lines = commands(self._settings, state)
        self._told = None  # what holds is not known until all is answered
        self._answers.clear()
        try:
            with anyio.fail_after(_ANSWER_TIMEOUT_S):
                await helper.stream.send("".join(f"{line}\n" for line in lines).encode())
                while len(self._answers) < len(lines):
                    self._answered = anyio.Event()
                    await self._answered.wait()
                    self._stay_with_it()
        except BaseException as error:
            self._forget(helper)
            helper.end()
            if isinstance(error, _TROUBLE):
                raise BackendFailed("ExaBGP does not answer") from error
            raise
        if not all(self._answers):
            refused = lines[self._answers.index(False)]
            raise BackendFailed(f"ExaBGP refused {refused!r}")
        self._told = state


def _process_of(stream: SocketStream) -> int | None:
    """Return a descriptor of the process at the other end: a number alone might be another's later. None: it has ended."""
    own = stream.extra(SocketAttribute.raw_socket)
    try:
        found = own.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        return os.pidfd_open(_CREDENTIALS.unpack(found)[0])
    except OSError:
        return None


def helper_command() -> str:
    """Return the command of the helper. Raises BackendEnded: ExaBGP takes none with a space in a word."""
    words = [sys.executable, "-I", "-S", relay.__file__]
    if any(" " in word for word in words):
        raise BackendEnded(f"ExaBGP runs no command with a space in its path: {' '.join(words)}")
    return " ".join(words)


def exabgp_command(settings: AnnounceSettings) -> list[str]:
    """Return the command of ExaBGP: that of the file, or the one beside this Python. Raises BackendEnded."""
    beside = str(Path(sys.executable).with_name("exabgp"))
    found = shutil.which(settings.exabgp_command or beside)
    if found is None:
        missing = settings.exabgp_command or beside
        raise BackendEnded(f"there is no ExaBGP at {missing}", "Install it: pip install 'lbapp[exabgp]'")
    return [found]
