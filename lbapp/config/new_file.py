"""A configuration file that was not there before.

Responsible for writing it whole or not at all, and for the sentences about what keeps it from being written. Knows nothing of
what it says.

Invariants: a file that is there is replaced only when that is asked for; a file that is half written never has the name. It takes
nothing of a file system but names and renaming: some that configurations are kept on have no hard links.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path
from typing import Final

from lbapp.model.errors import LbappError

_MODE: Final = 0o640  # keys of cookies may come to stand in it
_AS_ROOT: Final = "Name another place, or do it as root"
_MOUNTED: Final = "Something is mounted just there: write the file that is mounted, or name another place"
_MAKE_ROOM: Final = "Make room there, or name another place"
_HINTS: Final = {
    errno.EACCES: _AS_ROOT,
    errno.EPERM: _AS_ROOT,
    errno.EBUSY: _MOUNTED,
    errno.EXDEV: _MOUNTED,
    errno.ENOSPC: _MAKE_ROOM,
    errno.EDQUOT: _MAKE_ROOM,
    errno.EROFS: "Name a place on a file system that is not mounted read-only",
}


def write_new(path: Path, text: str, *, may_replace: bool = False) -> None:
    """Write a file, and make its folder where there is none; one that is replaced keeps its owner, group and mode.

    Raises LbappError; nothing is there then that was not before.
    """
    if path.is_dir():
        raise LbappError(f"{path} is a folder", f"Name a file in it, such as {path / 'lbapp.toml'}")
    beside = claimed = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            _give(file.fileno(), path)
            os.fsync(file.fileno())
        if not may_replace:
            # Fails where somebody has made it meanwhile, which a look before would not see. Nobody else makes it from here on.
            path.touch(_MODE, exist_ok=False)
            claimed = path
        Path(beside).replace(path)
        beside = claimed = None
    except FileExistsError as error:
        if not path.parent.is_dir():
            raise LbappError(f"{path} cannot be written: {path.parent} is no folder", "Name another place") from error
        raise LbappError(f"{path} is there already and stays as it is", "Name another, or add --force") from error
    except OSError as error:
        raise LbappError(
            f"{path} cannot be written: {(error.strerror or str(error)).lower()}",
            _HINTS.get(error.errno or 0, "Name another place"),
        ) from error
    finally:
        for left in (beside, claimed):
            if left is not None:
                Path(left).unlink(missing_ok=True)


def _give(fd: int, path: Path) -> None:
    """Give what is written to whom the file was of, if there is one: the engine may be another user than who writes."""
    try:
        before = path.stat()
    except FileNotFoundError:
        os.fchmod(fd, _MODE)
        return
    written = os.fstat(fd)
    if (written.st_uid, written.st_gid) != (before.st_uid, before.st_gid):
        os.fchown(fd, before.st_uid, before.st_gid)
    os.fchmod(fd, stat.S_IMODE(before.st_mode))
