"""Starting lbapp without an interpreter and imports of its own, which is most of what a short test of a whole engine would cost.

Responsible for a template: a process that has imported what an engine imports and has done nothing else, of which each start is
a fork. It has the arguments, the environment, the folder and the output that it was given, goes through `__main__` as Python
does, and starts its workers by their own command line, as always. Knows nothing of what it does. What is about the start itself
(signals and limits that are inherited, what stands on Python's path, an upgrade) takes `subprocess.Popen`.

Invariants: a program is a process of its own that ends as it would alone, with the interpreter's own end; it has no descriptor
of any other; without its template it runs on, and the next one gets another template.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol

_IMPORTED: Final = (
    "anyio._backends._asyncio", "lbapp.cli.main", "lbapp.cli.start", "lbapp.cli.fleet_maker", "lbapp.engine.main",
    "tests.engine.supervisor.folder_fleet",
)  # fmt: skip
_ROOT: Final = Path(__file__).parents[1]
_MESSAGE_BYTES_MAX: Final = 150_000
_NUMBER_BYTES: Final = 10
_FDS: Final = 3  # output, errors, and where the template says how it ended
_LOST: Final = -signal.SIGKILL  # what is said to have ended a program whose template was killed


class Process(Protocol):
    """What tests do with a program that they have started: what `subprocess.Popen` has as well."""

    pid: int
    returncode: Any  # None: it runs

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


class Forked:
    """A program that was started from a template; the same methods as `subprocess.Popen`, which raise the same."""

    def __init__(self, told: int) -> None:
        self._told = told
        self._lock = threading.Lock()
        self.returncode: int | None = None
        self.pid = int(os.read(told, _NUMBER_BYTES) or 0)
        if not self.pid:
            raise BrokenPipeError("the template has ended")
        try:
            self._process = os.pidfd_open(self.pid)
        except ProcessLookupError:  # it has ended already
            self._process = os.dup(told)

    def __del__(self) -> None:
        os.close(self._told)
        if self.pid:
            os.close(self._process)

    def poll(self) -> int | None:
        """Return how it ended, negative for a signal; None: it runs."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Return how it ended. Raises subprocess.TimeoutExpired."""
        status = self._ended(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(f"pid {self.pid}", timeout or 0.0)
        return status

    def send_signal(self, sig: int) -> None:
        """Send a signal; nothing where it has ended."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout_s: float | None) -> int | None:
        ending = select.poll()
        ending.register(self._process, select.POLLIN)
        if self.returncode is None and not ending.poll(None if timeout_s is None else timeout_s * 1000):
            return None
        with self._lock:  # of several threads that wait, one reads
            if self.returncode is None:
                self.returncode = int(os.read(self._told, _NUMBER_BYTES) or _LOST)
        return self.returncode


class Template:
    """The process whose forks programs are."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", __name__, str(theirs.fileno())]
            # From the root, where it finds itself, whatever folder the first test that needs it is in.
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(),), cwd=_ROOT)

    def start(self, arguments: Sequence[str], output: int, errors: int, environment: Mapping[str, str]) -> Forked:
        """Start a program. Raises BrokenPipeError where the template has ended."""
        told, tells = os.pipe()
        job = {"arguments": arguments, "environment": dict(environment), "folder": str(Path.cwd())}
        try:
            socket.send_fds(self._ours, [json.dumps(job).encode()], [output, errors, tells])
        except OSError as error:
            os.close(told)
            raise BrokenPipeError("the template has ended") from error
        finally:
            os.close(tells)
        return Forked(told)

    def end(self) -> None:
        """End the template; what it has started runs on."""
        self._ours.close()
        self._process.wait()


_templates: list[Template] = []  # the one of this process, once there is one
_lock = threading.Lock()


def start(arguments: Sequence[str], output: int, errors: int, environment: Mapping[str, str] | None = None) -> Forked:
    """Start `python ARGUMENTS`, of which the first is `-m` or `-c`, with descriptors for what it prints."""
    environment = os.environ if environment is None else environment
    with _lock:
        if _templates:
            try:
                return _templates[0].start(arguments, output, errors, environment)
            except BrokenPipeError:  # killed, as all children of an overdue test are
                _templates.pop().end()
        _templates.append(Template())
        return _templates[0].start(arguments, output, errors, environment)


# ---- in the template


def main() -> None:
    """Be the template; in a fork of it, be the program."""
    for name in _IMPORTED:
        import_module(name)
    gc.collect()
    gc.freeze()
    program = _serve(socket.socket(fileno=int(sys.argv[1])))
    if program is not None:
        program()


def _serve(asked: socket.socket) -> Callable[[], None] | None:
    """Fork until nobody asks any more. Return None then, and in each fork what it is to do."""
    running: dict[int, tuple[int, int]] = {}  # by descriptor of the process
    while True:
        for ready in select.select([asked.fileno(), *running], [], [])[0]:
            if ready in running:
                _say_how_it_ended(ready, *running.pop(ready))
                continue
            message, fds, _, _ = socket.recv_fds(asked, _MESSAGE_BYTES_MAX, _FDS)
            if not message:
                return None
            output, errors, tells = fds
            pid = os.fork()
            if not pid:
                asked.detach()
                return _program(json.loads(message), output, errors)
            os.write(tells, b"%*d" % (_NUMBER_BYTES, pid))
            running[os.pidfd_open(pid)] = pid, tells
            os.close(output)
            os.close(errors)


def _say_how_it_ended(process: int, pid: int, tells: int) -> None:
    _, status = os.waitpid(pid, 0)
    try:
        os.write(tells, b"%*d" % (_NUMBER_BYTES, os.waitstatus_to_exitcode(status)))
    except BrokenPipeError:
        pass  # nobody wants to know
    finally:
        os.close(process)
        os.close(tells)


def _program(job: dict[str, Any], output: int, errors: int) -> Callable[[], None]:
    """Make of a fork what an interpreter is that has been given these arguments; return what it then does."""
    os.dup2(output, 1)
    os.dup2(errors, 2)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ.update(job["environment"])
    kind, what, *rest = job["arguments"]
    sys.orig_argv = [sys.executable, *job["arguments"]]
    if kind == "-m":
        sys.argv = [what, *rest]
        return lambda: _as_module(what)
    sys.argv = [kind, *rest]
    return lambda: exec(what, {"__name__": "__main__"})


def _as_module(name: str) -> None:
    runpy.run_module(name, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
