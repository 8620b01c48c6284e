"""The files of Unix sockets.

Responsible for listening at a path, for who may connect there, and for removing the file at the end. Knows nothing of listeners'
other settings, or of who accepts.

Invariants: a file left behind by a dead process is replaced; one that somebody answers on is not, nor one that is no socket; a
file never has a wider mode than it is to have, not even for a moment; a file that another has put there is not removed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
import stat
from pathlib import Path

from lbapp.model.errors import StartError
from lbapp.model.limits import LISTEN_BACKLOG
from lbapp.model.transport import ListenerTransport


def open_unix(path: Path, mode: int) -> tuple[socket.socket, int]:
    """Listen on a Unix path whose file gets `mode`; return the socket and the file's inode.

    A stale file is replaced. Raises OSError, with EADDRINUSE when somebody answers there and EEXIST when it is no
    socket.
    """
    _remove_stale(path)
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        before = os.umask(0o777 & ~mode)  # so that the file never has a wider mode, not even for a moment
        try:
            opened.bind(str(path))
        finally:
            os.umask(before)
        path.chmod(mode)
        opened.listen(LISTEN_BACKLOG)
        return opened, path.stat().st_ino
    except OSError:
        opened.close()
        raise


def open_to(path: Path, transport: ListenerTransport) -> None:
    """Let those connect whom a listener names. Raises StartError for an account that there is not, OSError without permission."""
    if transport.unix_user or transport.unix_group:
        _give_to(path, transport.unix_user, transport.unix_group)
    path.chmod(transport.unix_mode)


def remove_if_ours(path: Path, inode: int) -> None:
    """Remove a socket's file unless another has taken its place. To be called while the socket is still open: until then
    its inode cannot be given to another file.
    """
    with contextlib.suppress(OSError):
        if path.stat().st_ino == inode:
            path.unlink()


def _give_to(path: Path, user: str | None, group: str | None) -> None:
    try:
        if user is not None:
            shutil.chown(path, user=user)
        if group is not None:
            shutil.chown(path, group=group)
    except LookupError as error:
        raise StartError(
            f"cannot give {path} to its owner: {error}", "See who there is: getent passwd; getent group"
        ) from error


def _remove_stale(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError(errno.EEXIST, "a file that is no socket is in the way")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except FileNotFoundError:
            return
        except TimeoutError:
            pass  # somebody holds it, only too busy to accept
    raise OSError(errno.EADDRINUSE, "address already in use")
