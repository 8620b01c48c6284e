"""What a service manager does for an engine: keeps its sockets, takes its word, starts it again with them."""

from __future__ import annotations

import os
import signal
import socket
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


class ServiceManager:
    """Runs one engine, as systemd would with Type=notify, NotifyAccess=all and FileDescriptorStoreMax."""

    def __init__(self, folder: Path, arguments: list[str]) -> None:
        self._arguments = arguments
        self._address = str(folder / "notify.sock")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self._address)
        self._log = folder / "engine.log"
        self._lock = threading.Lock()
        self.stored: dict[str, int] = {}
        self.said: list[str] = []
        self.main_pid = 0
        self.processes: list[subprocess.Popen[bytes]] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> ServiceManager:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            os.kill(self.main_pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
        for process in self.processes:
            process.wait(30)
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for fd in self.stored.values():
            os.close(fd)

    def start(self) -> None:
        """Start the engine with the sockets that are kept."""
        with self._lock:
            fds, names = list(self.stored.values()), ":".join(self.stored)
        command = [sys.executable, "-c", _WRAPPER, ",".join(map(str, fds)), names, *self._arguments]
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                command, pass_fds=fds, stdout=log, stderr=log, env=os.environ | {"NOTIFY_SOCKET": self._address}
            )
        self.processes.append(process)
        self.main_pid = process.pid

    def kill(self) -> None:
        """End the engine's supervisor without a word, and reap it."""
        os.kill(self.main_pid, signal.SIGKILL)
        self.processes[-1].wait(20)

    def log(self) -> str:
        return self._log.read_text()

    def _listen(self) -> None:
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(self._socket, 4096, 8)
            except OSError:
                return
            if not data:
                return
            fields = dict(line.partition("=")[::2] for line in data.decode().splitlines())
            self.said.append(data.decode())
            with self._lock:
                if "FDSTORE" in fields:
                    before = self.stored.pop(fields["FDNAME"], None)
                    self.stored[fields["FDNAME"]] = fds[0]
                    if before is not None:
                        os.close(before)
                elif "FDSTOREREMOVE" in fields and fields["FDNAME"] in self.stored:
                    os.close(self.stored.pop(fields["FDNAME"]))
            if "MAINPID" in fields:
                self.main_pid = int(fields["MAINPID"])
