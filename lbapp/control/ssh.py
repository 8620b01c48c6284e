"""An engine on another host: its control socket, brought here by plain ssh.

Responsible for what such a host is called, and for the one `ssh` that forwards the socket into a private folder. Knows nothing of
HTTP or of who asks. OpenSSH does all that has to do with keys, names and passwords, as the operator's own configuration says.

Invariants: `ssh` lives no longer than this process: its input is a pipe from here, and ends with it, however it ends; the
folder is for its owner alone; after the first connection nothing is ever asked on the terminal.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import IO, Final
from urllib.parse import SplitResult, unquote, urlsplit

from lbapp.control.remote_file import RemoteFile
from lbapp.model.errors import EngineUnreachable

_SCHEME: Final = "ssh://"
_NAME: Final = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9_.:%-]*").fullmatch
# A colon would end it in -L. For % and $ ssh would put in something of this host: another may not ask for the environment here.
_SOCKET: Final = re.compile(r"/[^:%$\x00-\x1f\x7f]+").fullmatch
_SUCH_AS: Final = "write it as ssh://user@lb1, ssh://lb1:2222 or ssh://lb1/run/lbapp/control.sock"
_READY: Final = b"lbapp-socket "
_CONNECT_S: Final = 10
_BATCH_S: Final = 20.0  # for a connection that asks nothing
_END_S: Final = 2.0
_SAID_BYTES_MAX: Final = 65_536
_FOLDER_MAX: Final = 70  # a socket's path has 107 letters at most, and ssh makes it longer for a moment

# Says where the socket is, by the rules of control.paths; then lives as long as its input. Any shell takes it: the operator's may
# be none of sh's kin. No single quote may stand in it.
_SCRIPT: Final = """
s=$LBAPP_SOCKET; u=$(id -u)
if [ -z "$s" ]; then
  if [ "$u" = 0 ]; then s=/run/lbapp/control.sock
  else
    r=${XDG_RUNTIME_DIR:-/run/user/$u}
    [ -S "$r/lbapp/control.sock" ] || r=${XDG_RUNTIME_DIR:-/tmp/lbapp-$u}
    s=$r/lbapp/control.sock
  fi
fi
echo "lbapp-socket $s"
exec cat >/dev/null
"""


@dataclass(frozen=True, slots=True)
class Host:
    """A host as ssh knows it. Empty or None: as ssh is configured; `socket` empty: where an engine has it there."""

    name: str
    user: str = ""
    port: int | None = None
    socket: str = ""

    @classmethod
    def parse(cls, text: str) -> Host:
        """Return what ssh://[USER@]HOST[:PORT][/SOCKET] names. Raises ValueError with a sentence."""
        try:
            parts = urlsplit(text if "://" in text else _SCHEME + text)
            name, port, user, socket = _host_of(parts), parts.port, parts.username or "", unquote(parts.path)
        except ValueError as error:
            raise ValueError(f"{text} is no host: {_SUCH_AS}") from error
        if parts.scheme != "ssh" or parts.query or parts.fragment:
            raise ValueError(f"{text} is no host that ssh reaches: {_SUCH_AS}")
        if parts.password is not None:
            raise ValueError(f"no password may stand in {parts.hostname}'s name: ssh asks for it")
        if not _NAME(name) or (user and not _NAME(user)):
            raise ValueError(f"{text} is no host: {_SUCH_AS}")
        socket = "" if socket == "/" else socket
        if socket and not _SOCKET(socket):
            raise ValueError(f"{socket} cannot be forwarded: a path without :, % and $, {_SUCH_AS}")
        return cls(name, user, port, socket)

    def __str__(self) -> str:
        name = self.name.replace("%", "%25")
        name = f"[{name}]" if ":" in name else name
        user = f"{self.user}@" if self.user else ""
        return f"{_SCHEME}{user}{name}{f':{self.port}' if self.port else ''}{self.socket}"

    @property
    def arguments(self) -> list[str]:
        """What ssh is told of it; last, so that nothing in it is taken for an option."""
        user = ["-l", self.user] if self.user else []
        return [*user, *(["-p", str(self.port)] if self.port else []), "--", self.name]


class Link:
    """The control socket of an engine on a host, at `socket` here. Open it once; `ensure` opens it again after a loss."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._folder = Path(tempfile.mkdtemp(prefix="lbapp-", dir=_short_folder()))  # mode 0700
        self.socket = self._folder / "c"
        self._master = self._folder / "m"
        self._process: subprocess.Popen[bytes] | None = None
        self._said = (self._folder / "said").open("ab+")
        self._is_closed = False
        self._turn = threading.Lock()

    def __enter__(self) -> Link:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def file(self, path: str) -> RemoteFile:
        """Return a file on the host, read and written over the connection that is open. Raises LbappError for no path."""
        *options, _, name = self.host.arguments
        return RemoteFile(name, path, [*options, "-o", f"ControlPath={self._master}"])

    @property
    def is_open(self) -> bool:
        """Say whether ssh runs. Whether anything answers behind it, only a question shows."""
        return self._process is not None and self._process.poll() is None

    def open(self) -> None:
        """Connect; ssh may ask on the terminal for what it needs. Raises EngineUnreachable."""
        with self._turn:
            self._connect(may_ask=True)

    def ensure(self) -> None:
        """Connect again when the connection was lost; nothing is asked. Blocks. Raises EngineUnreachable."""
        with self._turn:
            if self.is_open:
                if os.fstat(self._said.fileno()).st_size > _SAID_BYTES_MAX:
                    self._said.truncate(0)  # ssh says a line for each attempt to reach an engine that is not there
            elif not self._is_closed:
                self._connect(may_ask=False)

    def close(self) -> None:
        """End ssh, and leave nothing behind."""
        self._is_closed = True
        self._end()
        with self._turn:
            self._end()
            self._said.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _connect(self, *, may_ask: bool) -> None:
        self._end()
        for path in (self.socket, self._master):
            path.unlink(missing_ok=True)
        self._said.truncate(0)
        options = ["ControlPersist=no", "RemoteCommand=none", "ForwardAgent=no", f"ConnectTimeout={_CONNECT_S}"]
        options += ["ServerAliveInterval=5", "ServerAliveCountMax=2", *([] if may_ask else ["BatchMode=yes"])]
        command = ["ssh", "-T", "-x", "-M", "-S", str(self._master), *(f"-o{option}" for option in options)]
        try:
            self._process = process = subprocess.Popen(
                [*command, *self.host.arguments, f"exec sh -c '{_SCRIPT}'"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                start_new_session=not may_ask,  # without the terminal it cannot ask
            )
        except FileNotFoundError as error:
            raise EngineUnreachable("there is no ssh here", "Install it: sudo apt install openssh-client") from error
        assert process.stdout is not None
        told = None if self._is_closed else _line_of(process.stdout, None if may_ask else monotonic() + _BATCH_S)
        if told is None:
            self._end()
            raise self._unreachable()
        if not self.host.socket:
            if not _SOCKET(told):
                self._end()
                message = f"{self.host.name} has its control socket where ssh cannot forward it"
                raise EngineUnreachable(message, f"Move it to a path without :, % and $, or {_SUCH_AS}")
            self.host = replace(self.host, socket=told)
        self._forward()

    def _forward(self) -> None:
        where = f"{self.socket}:{self.host.socket}"
        command = ["ssh", "-S", str(self._master), "-O", "forward", "-L", where, *self.host.arguments]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_CONNECT_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            self._end()
            raise self._unreachable() from error
        if done.returncode != 0 or self._is_closed:
            os.write(self._said.fileno(), done.stderr)
            self._end()
            raise self._unreachable()

    def _unreachable(self) -> EngineUnreachable:
        """Return the error with what ssh said last."""
        self._said.seek(0)
        lines = self._said.read(_SAID_BYTES_MAX).decode(errors="replace").strip().splitlines()
        why = lines[-1].removeprefix("ssh: ").rstrip(". ") if lines else "it does not answer"
        return EngineUnreachable(f"{self.host.name} cannot be reached by ssh: {why}", f"Try: {self._by_hand()}")

    def _by_hand(self) -> str:
        return " ".join(["ssh", *(word for word in self.host.arguments if word != "--")])

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def _host_of(parts: SplitResult) -> str:
    """Return the host of a URL as it was written: for names of its configuration ssh tells A from a. Raises ValueError."""
    name = parts.hostname or ""
    at = parts.netloc.lower().rfind(name)
    return unquote(parts.netloc[at : at + len(name)])  # %25 is what % of a zone is in a URL


def _short_folder() -> str:
    """Return the folder of the user's session, else that of temporary files: one that sockets with 27 more letters fit in."""
    wanted = (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir())
    return next((each for each in wanted if 0 < len(each) <= _FOLDER_MAX and os.access(each, os.W_OK)), "/tmp")


def _line_of(output: IO[bytes], until: float | None) -> str | None:
    """Return the path that the other side says, in whatever else it prints; None: it ended, or said none in time."""
    data = b""
    while True:
        left = None if until is None else max(0.0, until - monotonic())
        try:
            if not select.select([output], [], [], left)[0]:
                return None
            some = os.read(output.fileno(), 4096)
        except (OSError, ValueError):
            return None  # closed meanwhile
        data = (data + some)[-_SAID_BYTES_MAX:]
        if not some:
            return None
        for line in data.split(b"\n")[:-1]:
            if line.startswith(_READY):
                return line.removeprefix(_READY).decode(errors="replace").strip()
