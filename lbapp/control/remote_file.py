"""The operator's configuration file on another machine, over ssh.

Responsible for the small shell programs that read and replace it there, and for turning what they and ssh say into sentences.
Knows nothing of what the file says. It needs sh, sha256sum, mktemp, stat and readlink there, and an ssh that asks nothing.

Invariants: those of `config_file`, attributes aside; nothing of a host or a path is ever taken for an option or for code.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from typing import Final

from lbapp.control.config_file import FileChanged, FileText, bytes_of, text_of
from lbapp.model.errors import LbappError
from lbapp.model.file_digest import file_digest

_TIMEOUT_S: Final = 60.0
_OPTIONS: Final = ("-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=10")
_SSH_FAILED: Final = 255  # its own status, not that of what it runs

_MISSING, _CHANGED, _NO_ROOM, _NOT_WHOLE, _NOT_ALIKE, _NOT_REPLACED, _UNREADABLE = range(10, 17)
_READ: Final = f"""
[ -e "$1" ] || exit {_MISSING}
cat -- "$1" || exit {_UNREADABLE}
"""
# $1 the file, $2 the digest that it has to have, $3 that of the text on standard input.
_WRITE: Final = f"""
file=$(readlink -f -- "$1") && [ -f "$file" ] || exit {_MISSING}
folder=$(dirname -- "$file")
digest() {{ sum=$(sha256sum <"$1") && printf %s "${{sum%% *}}"; }}
[ "$(digest "$file")" = "$2" ] || exit {_CHANGED}
umask 077
new=$(mktemp "$folder/.lbapp.XXXXXX") || exit {_NO_ROOM}
trap 'rm -f -- "$new"' EXIT
trap 'exit {_NOT_WHOLE}' HUP INT TERM
cat >"$new" || exit {_NO_ROOM}
[ "$(digest "$new")" = "$3" ] || exit {_NOT_WHOLE}
chown "$(stat -c %u:%g -- "$file")" "$new" && chmod "$(stat -c %a -- "$file")" "$new" || exit {_NOT_ALIKE}
sync "$new" 2>/dev/null || sync
[ "$(digest "$file")" = "$2" ] || exit {_CHANGED}
mv -f -- "$new" "$file" || exit {_NOT_REPLACED}
trap - EXIT
sync "$folder" 2>/dev/null || true
"""
_OWNER: Final = "Go there as the owner of the file, or as root"
_SENTENCES: Final = {
    _MISSING: ("there is no such file", "See: lbapp status --json there for the path of the engine's file"),
    _UNREADABLE: ("the account there cannot read it", _OWNER),
    _NO_ROOM: ("no file can be written beside it", _OWNER),
    _NOT_WHOLE: ("the text did not get there whole", "Try again"),
    _NOT_ALIKE: ("its owner and mode cannot be kept", _OWNER),
    _NOT_REPLACED: ("it cannot be replaced", _OWNER),
}


class RemoteFile:
    """A file on a host that ssh knows, `USER@HOST` or a name of its configuration. `options`: more of ssh's."""

    def __init__(self, host: str, path: str, options: Sequence[str] = ()) -> None:
        """Raises LbappError for a host or a path that cannot be one."""
        if not host or host.startswith("-") or not host.isprintable() or " " in host:
            raise LbappError(f"{host!r} is no host for ssh", "Such as ops@lb1.example.net")
        if not path.startswith("/") or not path.isprintable():
            raise LbappError(f"{path!r} is no path of a file there", "Use an absolute one")
        self._host = host
        self._path = path
        self._command = ("ssh", *_OPTIONS, *options, "--", host)

    @property
    def name(self) -> str:
        """What it is called in sentences: host and path."""
        return f"{self._host}:{self._path}"

    def read(self) -> FileText:
        """Return what it says. Raises LbappError."""
        return text_of(self._run("read", _READ, (self._path,)), self.name)

    def write(self, text: str, read: FileText) -> FileText:
        """Replace what was read. Raises FileChanged, LbappError; the file is as it was then.

        Where the connection breaks at the very end it may have been replaced all the same; the sentence says so.
        """
        data = bytes_of(text, self.name)
        digest = file_digest(data)
        self._run("written", _WRITE, (self._path, read.digest, digest), data)
        return FileText(text, digest)

    def _run(self, done: str, program: str, arguments: Sequence[str], data: bytes = b"") -> bytes:
        # ssh hands one string to the shell of the account, whichever that is; what is quoted reaches sh as it is.
        command = (*self._command, shlex.join(("sh", "-c", program, "sh", *arguments)))
        try:
            ran = subprocess.run(command, input=data, capture_output=True, timeout=_TIMEOUT_S, check=False)
        except FileNotFoundError as error:
            raise LbappError("there is no ssh on this machine", "Install an ssh client") from error
        except subprocess.TimeoutExpired as error:
            raise self._failed(done, f"no answer within {_TIMEOUT_S:g} s", "Look whether it can be reached") from error
        if ran.returncode == 0:
            return ran.stdout
        if ran.returncode == _CHANGED:
            raise FileChanged(self.name)
        said = _last_line(ran.stderr)
        if ran.returncode == _SSH_FAILED:
            hint = f"This has to work without a question: ssh {shlex.quote(self._host)} true"
            raise self._failed(done, f"ssh failed: {said or 'it did not say why'}", hint)
        why, hint = _SENTENCES.get(ran.returncode, (f"status {ran.returncode}", "Is there a sh with sha256sum there?"))
        raise self._failed(done, f"{why}: {said}" if said else why, hint)

    def _failed(self, done: str, why: str, hint: str) -> LbappError:
        stays = "; look whether it was written all the same" if "ssh failed" in why or "no answer" in why else ""
        return LbappError(f"{self.name} cannot be {done}: {why}{stays if done == 'written' else ''}", hint)


def _last_line(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return "".join(letter for letter in lines[-1] if letter.isprintable()) if lines else ""
