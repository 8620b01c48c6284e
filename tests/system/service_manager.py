"""What a service manager does for an engine: keeps its sockets, takes its word, starts it again with them.

As systemd does, in what an engine can notice: several sockets may be kept under one name, but none twice; sockets that the
service manager has opened itself come first at each start; every process of the unit may speak, and say which of them is the main
one.
"""

from __future__ import annotations

import array
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

_WRAPPER = """
import fcntl, os, sys
fds = [int(each) for each in sys.argv[1].split(",") if each]
high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 200) for fd in fds]
for at, fd in enumerate(high):
    os.dup2(fd, 3 + at)
if fds:
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=sys.argv[2])
os.execv(sys.executable, [sys.executable, *sys.argv[3:]])
"""
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid


class ServiceManager:
    """Runs one engine, as systemd would with Type=notify, NotifyAccess=all and FileDescriptorStoreMax.

    `activated`: listening sockets of its own, by the name of their unit. `spoken`: who has said what, in order.
    """

    def __init__(self, folder: Path, arguments: list[str], activated: dict[str, socket.socket] | None = None) -> None:
        self._arguments = arguments
        self._address = str(folder / "notify.sock")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self._address)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._log = folder / "engine.log"
        self._lock = threading.Lock()
        self._activated = activated or {}
        self._kept: list[tuple[str, int]] = []
        self._pidfd = -1
        self.spoken: list[tuple[int, str]] = []
        self.main_pid = 0
        self.processes: list[subprocess.Popen[bytes]] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> ServiceManager:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for _name, fd in self._kept:
            os.close(fd)
        os.close(self._pidfd)

    @property
    def said(self) -> list[str]:
        """What has been said, by whomever."""
        return [what for _, what in self.spoken]

    @property
    def kept(self) -> list[str]:
        """The names of the sockets that it keeps."""
        with self._lock:
            return sorted(name for name, _ in self._kept)

    def keep(self, name: str, fd: int) -> None:
        """Keep a copy of a socket, unless it is kept already."""
        with self._lock:
            if not any(os.path.sameopenfile(fd, each) for _, each in self._kept):
                self._kept.append((name, os.dup(fd)))

    def start(self) -> None:
        """Start the engine with its own sockets and those that are kept."""
        with self._lock:
            passed = [(name, each.fileno()) for name, each in self._activated.items()] + self._kept
        fds, names = [fd for _, fd in passed], ":".join(name for name, _ in passed)
        command = [sys.executable, "-c", _WRAPPER, ",".join(map(str, fds)), names, *self._arguments]
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                command, pass_fds=fds, stdout=log, stderr=log, env=os.environ | {"NOTIFY_SOCKET": self._address}
            )
        self.processes.append(process)
        self._take_for_main(process.pid)

    def kill(self) -> None:
        """End the engine's supervisor without a word."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask the engine to stop, and return when it and those before it have."""
        self._end(signal.SIGTERM)
        for process in self.processes:
            process.wait(30)

    def log(self) -> str:
        return self._log.read_text()

    def _end(self, number: signal.Signals) -> None:
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            return
        waiting = select.poll()
        waiting.register(self._pidfd, select.POLLIN)
        assert waiting.poll(30_000), "the engine does not end"

    def _take_for_main(self, pid: int) -> None:
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            return  # gone: what it was said to be is passed over
        if self._pidfd >= 0:
            os.close(self._pidfd)
        self._pidfd, self.main_pid = pidfd, pid

    def _listen(self) -> None:
        while True:
            try:
                data, ancillary, _, _ = self._socket.recvmsg(4096, 4096)
            except OSError:
                return
            if not data:
                return
            pid, fds = 0, array.array("i")
            for _, kind, content in ancillary:
                if kind == socket.SCM_CREDENTIALS:
                    pid, _, _ = _CREDENTIALS.unpack(content)
                elif kind == socket.SCM_RIGHTS:
                    fds.frombytes(content)
            self._take(pid, data.decode(), list(fds))
            for fd in fds:
                os.close(fd)

    def _take(self, pid: int, said: str, fds: list[int]) -> None:
        fields = dict(line.partition("=")[::2] for line in said.splitlines())
        if "FDSTORE" in fields:
            for fd in fds:
                self.keep(fields["FDNAME"], fd)
        elif "FDSTOREREMOVE" in fields:
            with self._lock:
                for each in [each for each in self._kept if each[0] == fields["FDNAME"]]:
                    self._kept.remove(each)
                    os.close(each[1])
        if "MAINPID" in fields:
            self._take_for_main(int(fields["MAINPID"]))
        self.spoken.append((pid, said))
