"""Every socket that clients connect to.

Responsible for opening all of them before the first worker starts, one SO_REUSEPORT socket per (address,
worker) for TCP and one shared socket per Unix path, and for saying in one sentence why one cannot be opened.
Knows nothing of workers or requests.

A Unix listener's file gets the mode and the owner that the configuration names: by default its own user and group may connect.
A file left behind by a dead process is replaced; one that somebody answers on is not.

Invariants: all sockets are open or none is; the supervisor keeps each open for as long as it lives, so the
clients queued at a dead worker's socket are served by its successor.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import socket
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lbapp.engine import socket_options
from lbapp.engine.supervisor.inherited import Inherited, forget, name_of, store
from lbapp.model.entities import Bind, Listener, Pool
from lbapp.model.errors import StartError
from lbapp.model.limits import LISTEN_BACKLOG

_WORLD_WRITES: Final = 0o002
_FASTOPEN_PATH: Final = Path("/proc/sys/net/ipv4/tcp_fastopen")
_FASTOPEN_LISTENS: Final = 2  # the bit of it that listening needs
_REASONS: Final = {
    errno.EADDRINUSE: "address already in use",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.ENOENT: "no such folder",
    errno.EMFILE: "too many open files",
    errno.EEXIST: "a file that is no socket is in the way",
}


@dataclass(slots=True)
class OpenedBind:
    """One bind that is listened on. `bind` has the real port; `sockets` are those of the workers, by slot.

    `file`: that of a Unix socket with its inode, unless it is another engine's.
    """

    bind: Bind
    sockets: list[socket.socket]
    file: tuple[Path, int] | None = None

    def close(self) -> None:
        """Listen no more, and remove the file if it is still ours."""
        if self.file is not None:
            remove_if_ours(*self.file)
        for opened in set(self.sockets):
            opened.close()


Opened = dict[str, OpenedBind]  # by key
Wanted = dict[str, tuple[Listener, Bind]]  # by key


class Listening:
    """All listening sockets of the engine, by key: what is listened on with one key is one socket, whoever's it is."""

    def __init__(self, workers: int, inherited: Inherited | None = None) -> None:
        self._workers = workers
        self._inherited = Inherited() if inherited is None else inherited
        self._opened: Opened = {}
        self._binds: dict[str, tuple[Bind, ...]] = {}  # by listener

    @classmethod
    def open(cls, listeners: Sequence[Listener], workers: int, inherited: Inherited | None = None) -> Listening:
        """Open every socket for so many workers that is not inherited. Raises StartError, and leaves nothing open then."""
        listening = cls(workers, inherited)
        listening.take(listeners, listening.prepare(listeners))
        return listening

    def prepare(self, listeners: Sequence[Listener]) -> Opened:
        """Open what other listeners need and is not open. Raises StartError, and leaves nothing more open then."""
        opened: Opened = {}
        try:
            for key, (listener, bind) in _wanted(listeners).items():
                if key not in self._opened:
                    opened[key] = self._open(listener, bind, self._inherited.take(key, bind, self._workers))
        except BaseException:
            self.discard(opened)
            raise
        return opened

    @staticmethod
    def discard(opened: Opened) -> None:
        """Close what was prepared."""
        for each in opened.values():
            each.close()

    def take(self, listeners: Sequence[Listener], opened: Opened) -> None:
        """Listen for these listeners from now on, with what was prepared for them; what they do not need is closed."""
        wanted = _wanted(listeners)
        for key in [key for key in self._opened if key not in wanted]:
            self._opened.pop(key).close()
            forget([name_of(key, slot) for slot in range(self._workers)])
        self._opened.update(opened)
        store(self._named(opened))
        for key, (listener, _) in wanted.items():
            _apply_again(self._opened[key], listener)
        self._binds = {}
        for key, (listener, _) in wanted.items():
            self._binds[listener.name] = (*self._binds.get(listener.name, ()), self._opened[key].bind)

    def binds(self, listener: str) -> tuple[Bind, ...]:
        """Return the real addresses of a listener, with the port that was found for port 0."""
        return self._binds[listener]

    def of_worker(self, slot: int, opened: Opened | None = None) -> dict[str, int]:
        """Return the descriptor of every socket that the worker in `slot` accepts from, by key; `opened`: of those alone."""
        found = self._opened if opened is None else opened
        return {key: each.sockets[slot % self._workers].fileno() for key, each in found.items()}

    def named(self) -> dict[str, int]:
        """Return every socket by the name that another engine finds it by."""
        return self._named(self._opened)

    def _named(self, opened: Opened) -> dict[str, int]:
        return {
            name_of(key, slot): each.fileno() for key, bind in opened.items() for slot, each in enumerate(bind.sockets)
        }

    def give_away(self) -> None:
        """Leave the files of Unix listeners to another engine, which listens on the same sockets."""
        for each in self._opened.values():
            each.file = None

    def take_over(self) -> None:
        """Own the files of Unix listeners, as this engine serves."""
        for each in self._opened.values():
            if each.bind.path:
                with contextlib.suppress(OSError):
                    each.file = (Path(each.bind.path), Path(each.bind.path).stat().st_ino)

    def close(self) -> None:
        """Close every socket and remove the files of Unix listeners that are still ours."""
        for each in self._opened.values():
            each.close()
        self._opened.clear()

    def _open(self, listener: Listener, bind: Bind, inherited: list[socket.socket]) -> OpenedBind:
        try:
            return (
                self._open_unix(listener, bind, inherited) if bind.path else self._open_tcp(listener, bind, inherited)
            )
        except OSError as error:
            raise refusal(f"cannot listen on {bind} (listener {listener.name})", bind, error) from error

    def _open_tcp(self, listener: Listener, bind: Bind, inherited: list[socket.socket]) -> OpenedBind:
        """Open a socket for each worker that has not inherited one."""
        transport = listener.transport
        made = OpenedBind(bind, list(inherited))
        try:
            if inherited:
                family, address = int(inherited[0].family), inherited[0].getsockname()
            else:
                family, address = _resolved(bind)
                if bind.port:
                    _check_unused(family, address, transport.ipv6_only)
            for _ in range(self._workers - len(inherited)):
                opened = _tcp_socket(family, transport.ipv6_only)
                made.sockets.append(opened)
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                socket_options.apply(
                    opened, socket_options.listening_options(transport)
                )  # accepted sockets inherit them
                opened.bind(address)
                opened.listen(LISTEN_BACKLOG)
                address = opened.getsockname()  # from now on the port that was found for port 0
        except BaseException:
            made.close()
            raise
        made.bind = Bind(host=bind.host, port=int(address[1]))
        return made

    def _open_unix(self, listener: Listener, bind: Bind, inherited: list[socket.socket]) -> OpenedBind:
        path = Path(bind.path)
        if inherited:
            opened, file = inherited[0], None
            for other in {*inherited} - {opened}:
                other.close()
        else:
            opened, inode = open_unix(path, listener.transport.unix_mode & ~_WORLD_WRITES)
            file = (path, inode)
        made = OpenedBind(bind, [opened] * self._workers, file)
        try:
            _open_to(path, listener)
        except BaseException:
            made.close()
            raise
        return made


def keys_of(listener: Listener) -> list[str]:
    """Return what names each listening socket of a listener: who has the same key can take the socket over as it is."""
    both = ",dual" if not listener.transport.ipv6_only else ""
    # Port 0 stands for any that is free: of another listener, for another.
    return [f"{bind}{both}" + ("" if bind.path or bind.port else f",{listener.name}") for bind in listener.binds]


def listening_of(listeners: Sequence[Listener]) -> tuple[tuple[str, str], ...]:
    """Return the key and the listener of each socket, as workers are told."""
    return tuple((key, listener.name) for key, (listener, _) in _wanted(listeners).items())


def _wanted(listeners: Sequence[Listener]) -> Wanted:
    return {
        key: (listener, bind)
        for listener in listeners
        for key, bind in zip(keys_of(listener), listener.binds, strict=True)
    }


def _apply_again(opened: OpenedBind, listener: Listener) -> None:
    """Have clients that come from now on get what a listener asks for, as far as a socket that is open can."""
    if opened.bind.path:
        with contextlib.suppress(OSError, StartError):
            _open_to(Path(opened.bind.path), listener)
        return
    for each in opened.sockets:
        socket_options.apply(each, socket_options.DEFAULTS + socket_options.listening_options(listener.transport))


def _open_to(path: Path, listener: Listener) -> None:
    transport = listener.transport
    if transport.unix_user or transport.unix_group:
        _give_to(path, transport.unix_user, transport.unix_group)
    path.chmod(transport.unix_mode)


def warnings(listeners: Sequence[Listener]) -> list[str]:
    """Return a sentence for everything that is allowed, and that an operator should know to have asked for."""
    found = []
    for listener in listeners:
        transport = listener.transport
        if transport.unix_mode & _WORLD_WRITES and any(bind.path for bind in listener.binds):
            found.append(
                f"listener {listener.name}: with unix_mode {transport.unix_mode:04o} every user of this machine may connect"
            )
        if any(network.prefixlen == 0 for network in transport.proxy_protocol_from):
            found.append(f"listener {listener.name}: everybody's PROXY header is believed, so everybody may be anybody")
        if transport.fastopen and not _may_fast_open():
            found.append(
                f"listener {listener.name}: fastopen has no effect while {_FASTOPEN_PATH} lacks the bit "
                f"{_FASTOPEN_LISTENS}: sysctl -w net.ipv4.tcp_fastopen=3"
            )
    return found


def check_sources(pools: Sequence[Pool]) -> None:
    """Raise StartError for an address that connections to a pool's servers are to come from and that is not this machine's."""
    for pool in pools:
        source = pool.transport.source
        if source is None:
            continue
        try:
            with socket.socket(socket.AF_INET6 if ":" in source else socket.AF_INET, socket.SOCK_STREAM) as probe:
                probe.bind((source, 0))
        except OSError as error:
            raise refusal(
                f"cannot connect from source {source} (pool {pool.name})", Bind(host=source), error
            ) from error


def _may_fast_open() -> bool:
    try:
        return bool(int(_FASTOPEN_PATH.read_text()) & _FASTOPEN_LISTENS)
    except (OSError, ValueError):
        return False


def _give_to(path: Path, user: str | None, group: str | None) -> None:
    """Change the owner of a socket's file. Raises StartError for an account that there is not, OSError without permission."""
    try:
        if user is not None:
            shutil.chown(path, user=user)
        if group is not None:
            shutil.chown(path, group=group)
    except LookupError as error:
        raise StartError(
            f"cannot give {path} to its owner: {error}", "See who there is: getent passwd; getent group"
        ) from error


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


def remove_if_ours(path: Path, inode: int) -> None:
    """Remove a socket's file unless another has taken its place. To be called while the socket is still open: until then
    its inode cannot be given to another file.
    """
    with contextlib.suppress(OSError):
        if path.stat().st_ino == inode:
            path.unlink()


def raise_open_files_limit() -> int:
    """Raise the soft limit of open files to the hard one; workers inherit it. Return the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def refusal(what: str, bind: Bind, error: OSError) -> StartError:
    """Return the sentence for a socket that could not be opened, with a hint where there is one to give."""
    number = error.errno or 0
    if isinstance(error, socket.gaierror):
        return StartError(f"{what}: the name {bind.host} cannot be resolved", "Use an address of this machine")
    hints = {
        errno.EADDRINUSE: f"See who holds it: ss -ltnp 'sport = :{bind.port}'" if bind.port else "",
        errno.EADDRNOTAVAIL: "See its addresses: ip address",
        errno.ENOENT: f"Create {Path(bind.path).parent} first" if bind.path else "",
        errno.EEXIST: "Remove it, or name another path",
    }
    hint = hints.get(number, "")
    if number in (errno.EACCES, errno.EPERM) and 0 < bind.port < 1024:
        hint = "Ports below 1024 need root or the capability CAP_NET_BIND_SERVICE"
    return StartError(f"{what}: {_REASONS.get(number, error.strerror or str(error))}", hint)


def _resolved(bind: Bind) -> tuple[int, Any]:
    found = socket.getaddrinfo(bind.host or "0.0.0.0", bind.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return found[0][0], found[0][4]


def _tcp_socket(family: int, ipv6_only: bool) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(ipv6_only))
    return opened


def _check_unused(family: int, address: Any, ipv6_only: bool) -> None:
    """Bind once without SO_REUSEPORT: with it, the kernel would let us share the port of another engine."""
    with _tcp_socket(family, ipv6_only) as probe:
        probe.bind(address)


def _remove_stale(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError(errno.EEXIST, _REASONS[errno.EEXIST])
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
