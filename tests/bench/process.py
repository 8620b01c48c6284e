"""Starting, finding and stopping the programs that a benchmark runs.

Responsible for free ports, for a child process with its log file, for its process tree, and for ending all of
it by process id. Knows nothing of what the programs do.

Invariant: what was started here has ended when its `with` block is left, by whichever way.
"""

from __future__ import annotations

import os
import random
import resource
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import psutil

HOST = "127.0.0.1"
STOP_TIMEOUT_S = 5.0
OPEN_FILES_WANTED = 65_536
CONNECTIONS_MAX = 16_384

_ports_given: set[int] = set()


class BenchError(Exception):
    """A benchmark cannot go on; the message says why and what to do."""


def free_port() -> int:
    """Return a loopback port that is free, and below the ephemeral range so that no client takes it."""
    for _ in range(1_000):
        port = random.randrange(12_000, 32_000)
        if port in _ports_given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        _ports_given.add(port)
        return port
    raise BenchError("no free port between 12000 and 32000 was found; stop something that listens there")


def raise_open_files() -> int:
    """Raise the limit of open files for this process and its children as far as allowed; return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= OPEN_FILES_WANTED:
        return soft
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES_WANTED, max(hard, OPEN_FILES_WANTED)))
        return OPEN_FILES_WANTED
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def connections_max() -> int:
    """Return how many clients a proxy may have: each needs two files, and with splice(2) half a pipe."""
    return min(CONNECTIONS_MAX, raise_open_files() * 3 // 10)


class Program:
    """One child process with its log file. Entered in a `with` block it is started, left it is gone."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.command = list(command)
        self.folder = folder
        self.log = folder / "output.log"
        self.env = {**os.environ, **(env or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Program:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.env,
                process_group=0,  # a Ctrl-C reaches only the harness, which then stops each by its id
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is None:
            return
        tree: list[psutil.Process] = []
        with suppress(BenchError, psutil.NoSuchProcess):
            tree = self._tree()
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_TIMEOUT_S)
        for process in tree:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.kill()
        self._process.wait()

    def pids(self) -> list[int]:
        """Return the ids of the program's processes, its first process first."""
        return [process.pid for process in self._tree()]

    def worker_pid(self) -> int:
        """Return the process that carries the traffic: the largest child, or the program if it has none."""
        first, *children = self._tree()
        return max(children, key=lambda child: child.memory_info().rss, default=first).pid

    def wait_for_port(self, port: int, timeout_s: float = 20.0) -> None:
        """Wait until the port accepts. Raises BenchError, with the end of the log, when it never does."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection((HOST, port), timeout=1.0):
                return
            self._fail_if_ended()
            time.sleep(0.02)
        raise BenchError(f"{self.name} does not accept on port {port} after {timeout_s:.0f} s.{self._log_end()}")

    def _fail_if_ended(self) -> None:
        if self._process is None or self._process.poll() is not None:
            raise BenchError(f"{self.name} ended at its start.{self._log_end()}")

    def _tree(self) -> list[psutil.Process]:
        self._fail_if_ended()
        assert self._process is not None
        first = psutil.Process(self._process.pid)
        return [first, *first.children(recursive=True)]

    def _log_end(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-8:]
        return " It said:\n    " + "\n    ".join(lines) if lines else ""
