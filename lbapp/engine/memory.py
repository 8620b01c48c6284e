"""Who had which server: the table that all workers of a node share, and that outlives them.

Responsible for an lmdb file with two sorted tables: clients (pool, key -> server, expiry) and expiries (expiry, pool, key), so
that the oldest can go first. Knows nothing of how a key is made or what is done with an answer; times are Unix seconds and
come in as arguments. Used by workers, which look and write, and by the supervisor, which lists and clears.

What it holds may be lost without harm, so nothing waits for the disk: it survives every end of every process, and a machine
that loses power may lose the last seconds, or all of it. Then the consistent hash says where a client goes, as for new ones.

Invariants: each client has exactly one expiry entry; there are never more than `entries_max` clients after a write, and the
file never grows beyond `bytes_max`; no method raises anything but MemoryFailed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import lmdb

from lbapp.engine.policy.persistence import Remembered

FILE_NAME: Final = "persistence.lmdb"
_READERS_MAX: Final = 1024
_EXPIRY: Final = struct.Struct(">Q")
_SPARE: Final = 64  # that many more go when the table is full, so that not every write has to make room
_ROUND: Final = 512  # expired entries that one write takes out

Client = tuple[str, bytes]  # pool, key


class MemoryFailed(Exception):
    """The table cannot be used. The text says why."""


class Memory:
    """The table, open in this process."""

    def __init__(self, path: Path, entries_max: int, bytes_max: int) -> None:
        self._entries_max = entries_max
        with _failing():
            self._file = lmdb.open(
                str(path), subdir=False, map_size=bytes_max, max_dbs=2, mode=0o600, sync=False, metasync=False,
                max_readers=_READERS_MAX, max_spare_txns=2,
            )  # fmt: skip
            self._clients = self._file.open_db(b"clients")
            self._expiries = self._file.open_db(b"expiries")
            self._file.reader_check()  # readers that were killed would keep old pages from being used again

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def get(self, pool: str, key: bytes) -> Remembered | None:
        """Return what is remembered of a client, also when it has expired."""
        try:
            with self._file.begin(db=self._clients) as look:
                value = look.get(pool.encode() + b"\0" + key)
        except lmdb.Error as error:
            raise MemoryFailed(str(error)) from error
        return None if value is None else _remembered(value)

    def write(self, entries: Mapping[Client, Remembered], now_s: float) -> None:
        """Remember clients, all in one step; what has expired goes, and the oldest where there is no room."""
        for share in (0.1, 0.5, 1.0):
            with _failing():
                try:
                    return self._write(entries, now_s)
                except lmdb.MapFullError:
                    self._make_room(share)
        with _failing():
            return self._write(entries, now_s)

    def _write(self, entries: Mapping[Client, Remembered], now_s: float) -> None:
        with self._file.begin(write=True) as change:
            self._forget_expired(change, now_s)
            for (pool, key), remembered in entries.items():
                client = _client(pool, key)
                before = change.get(client, db=self._clients)
                if before is not None:
                    change.delete(before[: _EXPIRY.size] + client, db=self._expiries)
                expiry = _EXPIRY.pack(remembered.expires_s)
                change.put(client, expiry + remembered.server.encode(), db=self._clients)
                change.put(expiry + client, b"", db=self._expiries)
            surplus = change.stat(self._clients)["entries"] - self._entries_max
            if surplus > 0:
                self._forget_oldest(change, surplus + min(_SPARE, self._entries_max // 10))

    def _forget_expired(self, change: lmdb.Transaction, now_s: float) -> None:
        gone: list[bytes] = []
        with change.cursor(self._expiries) as cursor:
            for entry in map(bytes, cursor.iternext(keys=True, values=False)):
                if _EXPIRY.unpack_from(entry)[0] > now_s or len(gone) == _ROUND:
                    break
                gone.append(entry)
        self._forget(change, gone)

    def _forget_oldest(self, change: lmdb.Transaction, count: int) -> None:
        gone: list[bytes] = []
        with change.cursor(self._expiries) as cursor:
            for entry in map(bytes, cursor.iternext(keys=True, values=False)):
                gone.append(entry)
                if len(gone) == count:
                    break
        self._forget(change, gone)

    def _forget(self, change: lmdb.Transaction, gone: Iterable[bytes]) -> None:
        for entry in gone:
            change.delete(entry, db=self._expiries)
            change.delete(entry[_EXPIRY.size :], db=self._clients)

    def _make_room(self, share: float) -> None:
        """Let a share of all go, the oldest first. Pages are freed only when nobody is left on them, so it may take more."""
        try:
            with self._file.begin(write=True) as change:
                count = change.stat(self._clients)["entries"]
                if share < 1.0:
                    self._forget_oldest(change, int(count * share) + 1)
                else:
                    change.drop(self._clients, delete=False)
                    change.drop(self._expiries, delete=False)
        except lmdb.MapFullError:
            pass  # to take entries out takes pages as well; the whole of it takes the fewest

    def entries(self, pool: str | None = None) -> Iterator[tuple[str, bytes, Remembered]]:
        """Go through all clients, or those of one pool, in the order of pools and keys, as of one moment."""
        start = b"" if pool is None else _client(pool, b"")
        with _failing(), self._file.begin(db=self._clients) as look, look.cursor() as cursor:
            if not cursor.set_range(start):
                return
            for client, value in cursor:
                if not client.startswith(start):
                    return
                name, _, key = client.partition(b"\0")
                yield name.decode(), key, _remembered(value)

    def clear(self, pool: str | None = None, key: bytes | None = None) -> int:
        """Forget everybody, the clients of one pool, or one client of it; return how many."""
        start = b"" if pool is None else _client(pool, key or b"")
        with _failing(), self._file.begin(write=True) as change:
            gone: list[bytes] = []
            with change.cursor(self._clients) as cursor:
                if cursor.set_range(start):
                    for client, value in cursor:
                        if not client.startswith(start):
                            break
                        if key is None or client == start:
                            gone.append(value[: _EXPIRY.size] + client)
            self._forget(change, gone)
            return len(gone)

    @property
    def count(self) -> int:
        """How many clients are remembered, those included that have expired since the last write."""
        with _failing(), self._file.begin() as look:
            return int(look.stat(self._clients)["entries"])


def _client(pool: str, key: bytes) -> bytes:
    return pool.encode() + b"\0" + key


def _remembered(value: bytes) -> Remembered:
    return Remembered(value[_EXPIRY.size :].decode(), _EXPIRY.unpack_from(value)[0])


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except (lmdb.Error, OSError, struct.error, UnicodeDecodeError) as error:
        raise MemoryFailed(str(error) or type(error).__name__) from error


def walk(path: Path) -> int:
    """Read every entry of the file at `path` and check it against the other table; return how many. Raises MemoryFailed.

    Meant for a process of its own: what a damaged file does to the one that reads it is not always an exception.
    """
    file_bytes = path.stat().st_size
    memory = Memory(path, 1, max(file_bytes, 1 << 20))
    try:
        found = sum(1 for _ in memory.entries())
        with _failing(), memory._file.begin(db=memory._expiries) as look:
            expiries = sum(1 for _ in look.cursor().iternext(keys=True, values=False))
        if found != expiries:
            raise MemoryFailed(f"{found} clients, {expiries} expiries")
        return found
    finally:
        memory.close()
