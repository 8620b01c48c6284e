"""The machine on which a page is tried: a network of its own, where every port is free, and real shells in it.

Responsible for typing what a page says into bash, and into the console in a terminal, and for what they print. Knows nothing of
pages. Processes keep their ordinary pids; whatever runs in the network when the page has been read is ended with it.

Invariant: nothing of the machine is changed: the network, the name of the host, /run and /var/lib are the page's own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.docs.pages import Press, Step, has_lines_of, says_the_same, settled
from tests.system.harness import wait_for
from tests.system.terminal import KEYS, Terminal

ROOT: Final = Path(__file__).parents[2]
TIMEOUT_S: Final = 90.0  # of one block, on a machine that many share
PLACE: Final = "/srv"  # what a page calls the folder that it is read in
# The folder that an engine of root has its socket and state in, and the name that a page calls its host.
_OWN: Final = "ip link set lo up && mount -t tmpfs none /run && mount -t tmpfs none /var/lib && hostname lb1"
_NAMES: Final = {"Esc": "escape"}
_FULL_SCREEN: Final = b"\x1b[?1049h"  # the console has taken the terminal: what is pressed before that is the shell's


@dataclass
class Ended:
    """What a block printed, and how its last command ended."""

    printed: str
    status: int


class Machine:
    """A network, and shells that begin in `folder`. Use as a context manager."""

    def __init__(self, folder: Path, work: Path) -> None:
        self._folder = folder  # where shells begin
        self._work = work  # for blocks and what they print
        self._shells: dict[str, subprocess.Popen[bytes]] = {}
        libraries = ":".join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        self._env = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin",
            "PYTHONPATH": libraries,
            "HOME": str(work),
            "TMPDIR": str(work),
            "LANG": "C.UTF-8",
        }

    def __enter__(self) -> Self:
        command = ["unshare", "-Urnmu", "--propagation", "private", "sh", "-c", f"{_OWN} && echo ready && exec cat"]
        self._holder = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **self._env}
        )
        assert self._holder.stdout
        assert self._holder.stdout.readline() == b"ready\n"
        self._network = self._network_of(self._holder.pid)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while left := [pid for pid in self._pids() if pid != self._holder.pid]:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for shell in self._shells.values():
                shell.poll()
        for process in (*self._shells.values(), self._holder):
            process.communicate()

    @staticmethod
    def _network_of(pid: int | str) -> str:
        try:
            return str(Path(f"/proc/{pid}/ns/net").readlink())
        except OSError:
            return ""  # it has ended, or is somebody else's

    def _pids(self) -> list[int]:
        """Return what runs in the network."""
        every = (path.name for path in Path("/proc").iterdir() if path.name.isdigit())
        return [int(pid) for pid in every if self._network_of(pid) == self._network]

    def _inside(self, *command: str) -> list[str]:
        enter = ["nsenter", "--target", str(self._holder.pid), "--user", "--net", "--mount", "--uts"]
        # Not --wd: it would be a folder of the mounts outside, from which no file can be linked to one inside.
        return [*enter, "--preserve-credentials", "env", f"--chdir={self._folder}", *command]

    # ---- shells

    def type_into(self, step: Step) -> Ended:
        """Type a block into its terminal. In the one that one works in, wait for its end; elsewhere, for what is printed."""
        shell = self._shells.get(step.terminal) or self._shell(step.terminal)
        block, printed, status = (self._work / f"{step.line}.{kind}" for kind in ("sh", "out", "status"))
        block.write_text(step.commands)
        line = f"source {block} </dev/null >{printed} 2>&1; echo $? >{status}.new; mv {status}.new {status}\n"
        assert shell.stdin
        shell.stdin.write(line.encode())
        shell.stdin.flush()

        def said() -> str:
            text = printed.read_text() if printed.exists() else ""
            return text.replace(str(self._folder), PLACE)

        def is_there() -> bool:
            return status.exists() or (bool(step.terminal) and has_lines_of(step.printed or "", said()))

        try:
            wait_for(is_there, TIMEOUT_S)
        except AssertionError:
            raise AssertionError(f"line {step.line}:\n{step.commands}does not come to its end:\n{said()}") from None
        return Ended(said(), int(status.read_text()) if status.exists() else 0)

    def _shell(self, terminal: str) -> subprocess.Popen[bytes]:
        command = self._inside("bash", "--norc", "--noprofile")
        self._shells[terminal] = subprocess.Popen(
            command, stdin=subprocess.PIPE, env=self._env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        return self._shells[terminal]

    # ---- the console

    def press(self, step: Step) -> None:
        """Open the console as a block says, press what the table says, and look for what it shows."""
        command = self._inside("bash", "--norc", "-c", step.commands)
        with Terminal(command, env=self._env, size=(120, 40)) as terminal:
            terminal.until(lambda: _FULL_SCREEN in terminal.raw, TIMEOUT_S)
            for press in step.presses:
                # Otherwise it would not be seen whether the key had done anything.
                assert not press.shown or any(text not in terminal.text for text in press.shown), press
                self._one(terminal, press)
            assert terminal.process.poll() is not None, f"line {step.line}: the table does not end the console"

    @staticmethod
    def _one(terminal: Terminal, press: Press) -> None:
        for key in press.keys:
            name = _NAMES.get(key, key.lower())
            terminal.press(name if name in KEYS else key)
        if press.shown:
            terminal.wait_for(*press.shown, timeout_s=TIMEOUT_S)
        else:
            assert terminal.wait_for_end(TIMEOUT_S) == 0


def difference(step: Step, ended: Ended) -> str:
    """Return what is to be read where a block did not do what its page says; empty: it did."""
    where = f"line {step.line}:\n{step.commands}"
    if ended.status != 0:
        return f"{where}ended with status {ended.status} and printed:\n{ended.printed}"
    is_said = has_lines_of if step.terminal else says_the_same
    if step.printed is not None and not is_said(step.printed, ended.printed):
        both = f"which is, settled:\n{settled(ended.printed)}\nthe page has:\n{settled(step.printed)}"
        return f"{where}printed:\n{ended.printed}\n{both}"
    return ""
