"""What the service manager keeps for the engine that comes after this one (the file descriptor store of systemd).

Responsible for telling it what to keep and what no longer, so that it keeps the sockets that this engine has, and no others.
Knows nothing of what they are for. The protocol is that of sd_notify(3).

Invariants: nothing is said before `update` is called, which is when the engine serves; no two sockets that are kept have one
name; after `let_go` clients are refused as soon as this engine and its workers have closed their own copies.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from lbapp.control.notify import notify, wait_until_taken_in


class FdStore:
    """The sockets that are kept.

    `wanted` returns those that are to be, as descriptors by name; `before` has the inode of each that an engine before has had
    kept, by name. Every method may take a second or two, when the service manager is busy.
    """

    def __init__(self, wanted: Callable[[], Mapping[str, int]], before: Mapping[str, int]) -> None:
        self._wanted = wanted
        self._there = dict(before)
        self._given: set[str] = set()  # by this engine

    def update(self) -> None:
        """Have it keep what is wanted now, and nothing else. What it could not be told is tried again next time."""
        wanted = self._wanted()
        inodes = {name: os.fstat(fd).st_ino for name, fd in wanted.items()}
        self._forget([name for name, inode in self._there.items() if inodes.get(name) != inode])
        for name, fd in wanted.items():
            if name not in self._given:
                if not notify(f"FDSTORE=1\nFDNAME={name}", [fd]):
                    return  # as the next one would fail, after another second
                self._there[name] = inodes[name]
                self._given.add(name)

    def let_go(self) -> None:
        """Have it keep nothing any more, and return when it has closed what it kept."""
        if self._there:
            self._forget(list(self._there))
            wait_until_taken_in()

    def _forget(self, names: list[str]) -> None:
        for name in names:
            if not notify(f"FDSTOREREMOVE=1\nFDNAME={name}"):
                return
            del self._there[name]
            self._given.discard(name)
