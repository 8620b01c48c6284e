"""Every socket that clients connect to.

Responsible for opening all of them before the first worker starts, one SO_REUSEPORT socket per (address, worker) for TCP and one
shared socket per Unix path, for which worker accepts from which, and for saying in one sentence why one cannot be opened. Knows
nothing of workers or requests.

Invariants: all sockets are open or none is; the supervisor keeps each open for as long as it lives, so the clients queued at a
dead worker's socket are served by its successor; every socket has a worker that accepts from it, also when an engine before had
more workers.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import resource
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lbapp.engine import socket_options
from lbapp.engine.supervisor.inherited import Inherited, address_to_bind, name_of
from lbapp.engine.supervisor.unix_files import open_to, open_unix, remove_if_ours
from lbapp.model.entities import Bind, Listener, Pool
from lbapp.model.errors import StartError
from lbapp.model.limits import LISTEN_BACKLOG
from lbapp.model.transport import ListenerTransport

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
    """One bind that is listened on. `bind` has the real port; `sockets` are those that there are, by number.

    `is_shared`: all workers accept from all of them; `is_lent`: they are the service manager's own. `file`: that of a Unix
    socket with its inode, unless it is another's.
    """

    key: str
    bind: Bind
    sockets: dict[int, socket.socket]
    is_shared: bool = False
    is_lent: bool = False
    file: tuple[Path, int] | None = None

    def named(self) -> dict[str, int]:
        """Return the descriptor of each socket, by the name that workers and other engines know it by."""
        return {
            name_of(self.key, number, is_lent=self.is_lent): each.fileno()
            for number, each in sorted(self.sockets.items())
        }

    def of_worker(self, slot: int, workers: int) -> dict[str, int]:
        """Return those that the worker in a slot accepts from: equally many for each, and what is left over for all."""
        every = list(self.named().items())
        count = 0 if self.is_shared else len(every) - len(every) % workers
        return dict(every[slot % workers : count : workers] + every[count:])

    def close(self) -> None:
        """Listen no more, and remove the file if it is still ours."""
        if self.file is not None:
            remove_if_ours(*self.file)
        for opened in self.sockets.values():
            opened.close()


Opened = dict[str, OpenedBind]  # by key
Wanted = dict[str, tuple[Listener, Bind]]  # by key


class Listening:
    """All listening sockets of the engine, by key: who has the same key listens on the same sockets."""

    def __init__(self, workers: int, inherited: Inherited | None = None) -> None:
        self._workers = workers
        self.inherited = Inherited() if inherited is None else inherited
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
                    opened[key] = self._open(key, listener, bind)
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
        self._opened.update(opened)
        for key, (listener, _) in wanted.items():
            _apply_again(self._opened[key], listener)
        self._binds = {}
        for key, (listener, _) in wanted.items():
            self._binds[listener.name] = (*self._binds.get(listener.name, ()), self._opened[key].bind)

    def binds(self, listener: str) -> tuple[Bind, ...]:
        """Return the real addresses of a listener, with the port that was found for port 0."""
        return self._binds[listener]

    def of_worker(self, slot: int, opened: Opened | None = None) -> dict[str, int]:
        """Return the descriptor of every socket that the worker in `slot` accepts from, by name; `opened`: of those alone."""
        found = self._opened if opened is None else opened
        return {name: fd for each in found.values() for name, fd in each.of_worker(slot, self._workers).items()}

    def told(self, slot: int, listeners: Sequence[Listener], opened: Opened) -> tuple[tuple[str, str], ...]:
        """Return the name and the listener of each socket that a worker accepts from for these listeners.

        `opened` was prepared for them.
        """
        every = self._opened | opened
        return tuple(
            (name, listener.name)
            for key, (listener, _) in _wanted(listeners).items()
            for name in every[key].of_worker(slot, self._workers)
        )

    def named(self) -> dict[str, int]:
        """Return every socket by the name that another engine finds it by."""
        return {name: fd for each in self._opened.values() for name, fd in each.named().items()}

    def to_be_kept(self) -> dict[str, int]:
        """Return those that the service manager is to keep for the next engine: all but its own."""
        return {name: fd for each in self._opened.values() if not each.is_lent for name, fd in each.named().items()}

    def give_away(self) -> None:
        """Leave the files of Unix listeners to another engine, which listens on the same sockets."""
        for each in self._opened.values():
            each.file = None

    def take_over(self) -> None:
        """Own the files of Unix listeners, as this engine serves."""
        for each in self._opened.values():
            if each.bind.path and not each.is_lent:
                with contextlib.suppress(OSError):
                    each.file = (Path(each.bind.path), Path(each.bind.path).stat().st_ino)

    def close(self) -> None:
        """Close every socket and remove the files of Unix listeners that are still ours."""
        for each in self._opened.values():
            each.close()
        self._opened.clear()

    def _open(self, key: str, listener: Listener, bind: Bind) -> OpenedBind:
        open_one = self._open_unix if bind.path else self._open_tcp
        try:
            taken = self.inherited.take(key, bind, is_dual=not listener.transport.ipv6_only)
            return open_one(OpenedBind(key, bind, taken.sockets, taken.is_shared, taken.is_lent), listener.transport)
        except OSError as error:
            raise refusal(f"cannot listen on {bind} (listener {listener.name})", bind, error) from error

    def _open_tcp(self, made: OpenedBind, transport: ListenerTransport) -> OpenedBind:
        """Open a socket for each worker that has not inherited one."""
        bind, sockets = made.bind, made.sockets
        try:
            if sockets:
                first = next(iter(sockets.values()))
                family, address = int(first.family), first.getsockname()
            else:
                family, address = address_to_bind(bind)
                if bind.port:
                    _check_unused(family, address, transport.ipv6_only)
            wanted = len(sockets) if made.is_shared else self._workers
            free = (number for number in itertools.count() if number not in sockets)
            while len(sockets) < wanted:
                opened = sockets[next(free)] = _tcp_socket(family, transport.ipv6_only)
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

    def _open_unix(self, made: OpenedBind, transport: ListenerTransport) -> OpenedBind:
        path = Path(made.bind.path)
        if made.sockets and not path.exists():  # nobody can come that way any more
            made.close()
            made.sockets, made.is_lent = {}, False
        if not made.sockets:
            made.sockets[0], inode = open_unix(path, transport.unix_mode & ~_WORLD_WRITES)
            made.is_shared, made.file = True, (path, inode)
        try:
            open_to(path, transport)
        except BaseException:
            made.close()
            raise
        return made


def keys_of(listener: Listener) -> list[str]:
    """Return what names each listening socket of a listener: who has the same key can take the socket over as it is."""
    both = ",dual" if not listener.transport.ipv6_only else ""
    # Port 0 stands for any that is free: of another listener, for another.
    return [f"{bind}{both}" + ("" if bind.path or bind.port else f",{listener.name}") for bind in listener.binds]


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
            open_to(Path(opened.bind.path), listener.transport)
        return
    for each in opened.sockets.values():
        socket_options.apply(each, socket_options.DEFAULTS + socket_options.listening_options(listener.transport))


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
