"""Listening sockets that were open before this engine was: given by the service manager, or by the engine before.

Responsible for the names that tell whose a socket is, and for finding it again. Knows nothing of what is served. The protocol is
that of sd_listen_fds(3).

A socket is *lent* when the service manager has opened it for a .socket unit: it has it anyway, and passes it on at each start.
Invariants: a socket is used only for the address that it has; all sockets that there are for an address are used, so that nobody
who is queued at one is refused; what nobody wants is closed and said.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import quote

from lbapp.model.entities import Bind
from lbapp.model.errors import StartError

_FIRST_FD: Final = 3  # SD_LISTEN_FDS_START
_PREFIX: Final = "lbapp"
CONTROL: Final = f"{_PREFIX}.control"
_NAME_LETTERS_MAX: Final = 255  # of the service manager
_KEY_LETTERS_MAX: Final = 200
# Of our own names; a .socket unit may well be called lbapp.socket.
_OURS: Final = re.compile(rf"{_PREFIX}\.(lent\.)?(\d+)\.(.+)").fullmatch


@dataclass(slots=True)
class Taken:
    """The sockets that there are for one bind, by number. `is_lent`: they are the service manager's own."""

    sockets: dict[int, socket.socket] = field(default_factory=dict)
    is_lent: bool = False

    @property
    def is_shared(self) -> bool:
        """Say whether no other socket can be opened beside them, so that all workers accept from the same."""
        return self.is_lent or any(not _may_have_others_beside(each) for each in self.sockets.values())


@dataclass(slots=True)
class Inherited:
    """Sockets as lbapp names them, by what stands for their key, and those that others have named.

    `before` has the inode of each socket of ours, by its name; 0 where two have the same name.
    """

    named: dict[str, list[tuple[int, bool, socket.socket]]] = field(default_factory=dict)
    others: list[socket.socket] = field(default_factory=list)
    before: dict[str, int] = field(default_factory=dict)
    _control: socket.socket | None = None

    @classmethod
    def of(cls, names: Iterable[str], fds: Iterable[int]) -> Inherited:
        """Take over descriptors of listening sockets."""
        found = cls()
        for name, fd in zip(names, fds, strict=True):
            os.set_inheritable(fd, False)
            try:
                opened = socket.socket(fileno=fd)
            except OSError:
                os.close(fd)  # the service manager keeps what it is given, sockets or not
                continue
            opened.setblocking(False)
            found._add(name, opened)
        return found

    @classmethod
    def from_environment(cls, environment: dict[str, str] | os._Environ[str]) -> Inherited:
        """Take over what the service manager passes, and leave nothing of it to children."""
        pid, count = environment.pop("LISTEN_PID", ""), environment.pop("LISTEN_FDS", "")
        names = environment.pop("LISTEN_FDNAMES", "").split(":")
        if pid != str(os.getpid()) or not count.isdigit():
            return cls()
        names += [""] * (int(count) - len(names))
        return cls.of(names[: int(count)], range(_FIRST_FD, _FIRST_FD + int(count)))

    def take(self, key: str, bind: Bind, *, is_dual: bool) -> Taken:
        """Return all sockets that there are for a bind. `is_dual`: it is to take IPv4 as well.

        Raises StartError when one that is lent takes other clients than the bind, OSError when its host cannot be resolved.
        """
        taken = Taken()
        inodes = set()
        for number, is_lent, opened in sorted(self.named.pop(_told(key), []), key=lambda each: each[0]):
            taken.is_lent |= is_lent
            if _inode(opened) in inodes:
                opened.close()  # an engine before has named one socket for each of its workers
                continue
            inodes.add(_inode(opened))
            taken.sockets[_free(number, taken.sockets)] = opened
        for opened in [each for each in self.others if _is_at(each, bind, is_dual=is_dual)]:
            self.others.remove(opened)
            taken.is_lent = True
            if _inode(opened) in inodes:
                opened.close()
            else:
                inodes.add(_inode(opened))
                taken.sockets[_free(0, taken.sockets)] = opened
        return taken

    def control(self) -> socket.socket | None:
        """Return the control socket, if there is one."""
        found, self._control = self._control, None
        return found

    def close_rest(self) -> list[str]:
        """Close what nobody wanted; return what it was."""
        rest = self.others + [opened for known in self.named.values() for _, _, opened in known]
        self.named.clear()
        self.others.clear()
        told = {_address_of(opened) for opened in rest}
        for opened in rest:
            opened.close()
        return sorted(told)

    def _add(self, name: str, opened: socket.socket) -> None:
        ours = _OURS(name)
        if name != CONTROL and ours is None:
            self.others.append(opened)
            return
        is_lent = ours is not None and ours[1] is not None
        if not is_lent:
            self.before[name] = 0 if name in self.before else _inode(opened)
        if ours is not None:
            self.named.setdefault(ours[3], []).append((int(ours[2]), is_lent, opened))
        elif self._control is None:
            self._control = opened
        else:
            opened.close()


def name_of(key: str, number: int, *, is_lent: bool = False) -> str:
    """Return what one of the sockets with a key is called, by workers, by the next engine and by the service manager."""
    return f"{_PREFIX}.{'lent.' if is_lent else ''}{number}.{_told(key)}"


def _told(key: str) -> str:
    """Return what stands for a key in a name: no colon is in it, which stands between names, and it is not too long."""
    quoted = quote(key, safe="/,")
    if len(quoted) <= _KEY_LETTERS_MAX:
        return quoted
    digest = blake2b(quoted.encode(), digest_size=16).hexdigest()
    return f"{quoted[: _KEY_LETTERS_MAX - len(digest) - 1]}~{digest}"


def address_to_bind(bind: Bind) -> tuple[int, Any]:
    """Return address family and address that a bind stands for. Raises OSError when its host cannot be resolved."""
    found = socket.getaddrinfo(bind.host or "0.0.0.0", bind.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return int(found[0][0]), found[0][4]


def _free(number: int, taken: Mapping[int, object]) -> int:
    while number in taken:
        number += 1
    return number


def _inode(opened: socket.socket) -> int:
    return os.fstat(opened.fileno()).st_ino


def _may_have_others_beside(opened: socket.socket) -> bool:
    return opened.family != socket.AF_UNIX and bool(opened.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT))


def _address_of(opened: socket.socket) -> str:
    try:
        found = opened.getsockname()
    except OSError:
        return "an unknown address"
    if isinstance(found, tuple) and opened.family in (socket.AF_INET, socket.AF_INET6):
        return str(Bind(host=found[0], port=found[1]))
    return f"unix:{found}" if opened.family == socket.AF_UNIX else str(found)


def _is_at(opened: socket.socket, bind: Bind, *, is_dual: bool) -> bool:
    try:
        at = opened.getsockname()
        is_listening = bool(opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        return False
    if not is_listening or opened.type != socket.SOCK_STREAM:
        return False
    if opened.family == socket.AF_UNIX:
        return bool(bind.path) and at == bind.path
    if bind.path or opened.family not in (socket.AF_INET, socket.AF_INET6) or at[1] != bind.port:
        return False
    family, wanted = address_to_bind(bind)
    if opened.family != family or ip_address(at[0]) != ip_address(wanted[0]):
        return False
    if family == socket.AF_INET6 and ip_address(at[0]).is_unspecified:
        _check_takes_the_same(opened, bind, is_dual=is_dual)
    return True


def _check_takes_the_same(opened: socket.socket, bind: Bind, *, is_dual: bool) -> None:
    takes_both = not opened.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    if takes_both is not is_dual:
        takes, wants = ("IPv4 as well", "IPv6 alone") if takes_both else ("IPv6 alone", "IPv4 as well")
        raise StartError(
            f"the service manager's socket at {bind} takes {takes}, and the listener there is for {wants}",
            "Make ipv6_only of the listener and BindIPv6Only of the .socket unit agree",
        )
