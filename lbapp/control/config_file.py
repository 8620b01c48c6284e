"""The operator's configuration file, read and written by whoever edits it, with rights of their own.

Responsible for the file on this machine (`remote_file` for one on another), and for the sentences about what keeps it from being
read or written. Knows nothing of what it says, nor of an engine.

Invariants: the file is replaced at one stroke, or stays as it was; it keeps its mode, its owner and its attributes, and a link
stays one; what somebody else has written since it was read is never written over, but for a moment that no program can close.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from lbapp.model.errors import LbappError
from lbapp.model.file_digest import file_digest

_LOCK_S: Final = 3.0  # who writes by this module holds a folder for as long as its disk takes
_LOCK_LOOK_S: Final = 0.02
_OWNER: Final = "Do it as the owner of the file, or as root"
_HINTS: Final = {
    errno.EROFS: ("its file system is read-only", "Mount it for writing, or edit the file where it comes from"),
    errno.EACCES: ("you may not", _OWNER),
    errno.EPERM: ("you may not", _OWNER),
    errno.ENOSPC: ("the disk is full", "Make room"),
    errno.EDQUOT: ("your quota is used up", "Make room"),
    errno.EFBIG: ("it would be larger than a file may be here", "See: ulimit -f"),
    errno.ENOENT: ("there is no such file", "See: lbapp status --json for the path of the engine's file"),
    errno.ENOTDIR: ("there is no such folder", "See: lbapp status --json for the path of the engine's file"),
    errno.EISDIR: ("it is a folder", "Name the file"),
}


@dataclass(frozen=True, slots=True)
class FileText:
    """What a file says. `digest`: SHA-256 of its bytes, as the control API has it."""

    text: str
    digest: str


class FileChanged(LbappError):
    """Somebody else has written the file since it was read; nothing was written."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} was changed by somebody else since it was read; nothing was written",
            "Read it again, then make your change anew",
        )


class ConfigFile(Protocol):
    """A configuration file that can be edited, wherever it is."""

    @property
    def name(self) -> str:
        """What it is called in sentences."""

    def read(self) -> FileText:
        """Return what it says. Raises LbappError."""

    def write(self, text: str, read: FileText) -> FileText:
        """Replace what was read. Raises FileChanged, LbappError; the file is as it was then."""


class LocalFile:
    """A file on this machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        """What it is called in sentences: its path."""
        return str(self._path)

    def read(self) -> FileText:
        """Return what it says. Raises LbappError."""
        try:
            return text_of(self._path.read_bytes(), self.name)
        except OSError as error:
            raise _failed("read", self.name, error) from error

    def write(self, text: str, read: FileText) -> FileText:
        """Replace what was read. Raises FileChanged, LbappError; the file is as it was then."""
        data = bytes_of(text, self.name)
        try:
            path = self._path.resolve(strict=True)
            with _alone_in(path.parent):
                self._check_unchanged(path, read)
                self._replace(path, data, read)
        except OSError as error:
            raise _failed("written", self.name, error) from error
        return FileText(text, file_digest(data))

    def _check_unchanged(self, path: Path, read: FileText) -> None:
        if file_digest(path.read_bytes()) != read.digest:
            raise FileChanged(self.name)

    def _replace(self, path: Path, data: bytes, read: FileText) -> None:
        fd, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                _make_like(file.fileno(), path)
                os.fsync(file.fileno())
            self._check_unchanged(path, read)
            Path(beside).replace(path)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise
        _sync(path.parent)


def text_of(data: bytes, name: str) -> FileText:
    """Return what bytes of a file say. Raises LbappError where they are no text."""
    try:
        return FileText(data.decode(), file_digest(data))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise LbappError(f"{name} is not UTF-8 text in line {line}", "Save it as UTF-8 first") from error


def bytes_of(text: str, name: str) -> bytes:
    """Return the bytes of a text. Raises LbappError where it holds what no file of text can."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise LbappError(f"{name} cannot be written: line {line} holds half a letter", "Take it out") from error


def _make_like(fd: int, path: Path) -> None:
    """Give a new file the owner, the attributes and the mode of another, in this order: each may clear the next."""
    known = path.stat()
    os.fchown(fd, known.st_uid, known.st_gid)
    with contextlib.suppress(OSError):  # a file system without attributes
        for name in os.listxattr(path):
            with contextlib.suppress(OSError):  # such as those that only the kernel sets
                os.setxattr(fd, name, os.getxattr(path, name))
    os.fchmod(fd, stat.S_IMODE(known.st_mode))


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep others who write by this module out of a folder, so that of two who have read the same file one is told."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(fd)
        yield
    finally:
        os.close(fd)


def _lock(fd: int) -> None:
    """Lock a folder, if that can be done in time: whoever may read it can hold its lock, and must not keep its owner waiting."""
    until = time.monotonic() + _LOCK_S
    while time.monotonic() < until:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOCK_LOOK_S)
        except OSError:  # a file system without locks
            return
        else:
            return


def _sync(folder: Path) -> None:
    """Have the disk know the new file by its name; it has been replaced whatever comes of that."""
    with contextlib.suppress(OSError):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _failed(done: str, name: str, error: OSError) -> LbappError:
    why, hint = _HINTS.get(error.errno or 0, (error.strerror or str(error), ""))
    stays = "; it is as it was" if done == "written" else ""
    return LbappError(f"{name} cannot be {done}: {why}{stays}", hint)
