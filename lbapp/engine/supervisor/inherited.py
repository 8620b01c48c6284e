"""Listening sockets that were open before this engine was: given by the service manager, or by the engine before.

Responsible for the names that tell whose a socket is, for finding it again, and for having the service manager keep it. Knows
nothing of what is served. The protocol is that of sd_listen_fds(3) and sd_notify(3).

Invariants: a socket is used only for the address that it has; what nobody wants is closed and said; a socket that is kept is
one that clients can queue at while no engine runs.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, unquote

from lbapp.engine.supervisor.notify import notify
from lbapp.model.entities import Bind

_FIRST_FD: Final = 3  # SD_LISTEN_FDS_START
_PREFIX: Final = "lbapp"
CONTROL: Final = f"{_PREFIX}.control"
_NAME_LETTERS_MAX: Final = 255  # of the service manager


@dataclass(slots=True)
class Inherited:
    """Sockets by name, as lbapp names them, and those that others have named."""

    named: dict[str, socket.socket] = field(default_factory=dict)
    others: list[socket.socket] = field(default_factory=list)

    @classmethod
    def of(cls, names: Iterable[str], fds: Iterable[int]) -> Inherited:
        """Take over descriptors of listening sockets; of two with one name the second is closed."""
        found = cls()
        for name, fd in zip(names, fds, strict=True):
            os.set_inheritable(fd, False)
            try:
                opened = socket.socket(fileno=fd)
            except OSError:
                os.close(fd)  # the service manager keeps what it is given, sockets or not
                continue
            opened.setblocking(False)
            if not name.startswith(f"{_PREFIX}."):
                found.others.append(opened)
            elif name in found.named:
                opened.close()
            else:
                found.named[name] = opened
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

    def take(self, key: str, bind: Bind, workers: int) -> list[socket.socket]:
        """Return the sockets for a bind, by slot of the worker: as many as there are, all of them one, or none."""
        found = [self.named.pop(name_of(key, slot), None) for slot in range(workers)]
        if found[0] is not None:
            return [each for each in found if each is not None]
        for opened in self.others:
            if _is_at(opened, bind):
                self.others.remove(opened)
                return [opened] * workers
        return []

    def control(self) -> socket.socket | None:
        """Return the control socket, if there is one."""
        return self.named.pop(CONTROL, None)

    def close_rest(self) -> list[str]:
        """Close what nobody wanted; return what it was."""
        rest = [*self.named.items(), *(("", opened) for opened in self.others)]
        self.named.clear()
        self.others.clear()
        told = []
        for name, opened in rest:
            told.append(unquote(name.split(".", 2)[2]) if name.count(".") > 1 else str(opened.getsockname()))
            opened.close()
            forget([name] if name else [])
        return sorted(set(told))


def name_of(key: str, slot: int) -> str:
    """Return what the socket of one worker is called. No colon is in it: it stands between names."""
    return f"{_PREFIX}.{slot}.{quote(key, safe='/,')}"[:_NAME_LETTERS_MAX]


def store(sockets: Mapping[str, int]) -> None:
    """Have the service manager keep sockets, by name, for the engine that comes after this one."""
    for name, fd in sockets.items():
        notify(f"FDSTORE=1\nFDNAME={name}", [fd])


def forget(names: Iterable[str]) -> None:
    """Have the service manager keep sockets no longer."""
    for name in names:
        notify(f"FDSTOREREMOVE=1\nFDNAME={name}")


def _is_at(opened: socket.socket, bind: Bind) -> bool:
    try:
        name = opened.getsockname()
        is_listening = bool(opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        return False
    if not is_listening or opened.type != socket.SOCK_STREAM:
        return False
    if opened.family == socket.AF_UNIX:
        return bool(bind.path) and name == bind.path
    return not bind.path and name[1] == bind.port and _same_host(name[0], bind.host)


def _same_host(one: str, other: str) -> bool:
    wildcards = ("", "0.0.0.0", "::")
    return one == other or (one in wildcards and other in wildcards)
