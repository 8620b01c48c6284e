"""Who may do what on the control socket.

Responsible for the role of a caller, by the credentials that the kernel gives with a connection. Knows nothing of HTTP or of
what a call does. Invariants: root and the user who runs the engine may do everything; nobody else may do anything unless a
group says so; what a caller says of itself counts for nothing.
"""

from __future__ import annotations

import array
import grp
import os
import socket
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from lbapp.model.entities import EngineSettings
from lbapp.model.errors import StartError

_ANSWER_BYTES: Final = 1024  # as much as Python lets a socket option have: 256 groups
SO_PEERGROUPS: Final = 59  # of asm-generic/socket.h, since Linux 4.13


class Role(IntEnum):
    """What a caller may do: each role what the ones before it may, too."""

    NONE = 0
    LOOK = 1
    OPERATE = 2


@dataclass(frozen=True, slots=True)
class Access:
    """The groups by their numbers; None: there is no such group."""

    operators: int | None = None
    viewers: int | None = None

    @classmethod
    def of(cls, settings: EngineSettings) -> Access:
        """Look the groups up. Raises StartError."""
        return cls(_gid_of("operators", settings.operators), _gid_of("viewers", settings.viewers))

    @property
    def is_open(self) -> bool:
        """Say whether others than the engine's own user may call at all."""
        return self.operators is not None or self.viewers is not None

    def role_of(self, uid: int, groups: frozenset[int]) -> Role:
        """Return what a caller may do."""
        if uid in (0, os.geteuid()) or self.operators in groups:
            return Role.OPERATE
        return Role.LOOK if self.viewers in groups else Role.NONE


OWN_USER: Final = Access()


def _gid_of(key: str, name: str | None) -> int | None:
    if name is None:
        return None
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as error:
        raise StartError(
            f"engine.{key}: there is no group {name}", f"Make it with: groupadd --system {name}"
        ) from error


def groups_of(connection: socket.socket, gid: int) -> frozenset[int]:
    """Return all groups of the process at the other end of a Unix connection; `gid`: its first."""
    try:
        data = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, _ANSWER_BYTES)
    except OSError:  # there are more: those beyond its first count for nothing
        return frozenset((gid,))
    return frozenset((gid, *array.array("I", data)))
