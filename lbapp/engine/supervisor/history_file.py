"""The history file: where moments are kept.

Responsible for making, opening and locking the file, for writing moments one behind the other in their rings, and for what is to
be done with a file that is none. Knows nothing of who counts or looks back. It is used by one thread at a time, which may wait.

Invariants: the file has its whole size from the beginning, so that a disk that fills up later takes nothing from it; two engines
never write one file; what is damaged or foreign is set aside, and never read again; what could not be written whole is written
again in the same place.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from pathlib import Path
from typing import Final, NamedTuple

from lbapp.model.history import table_number
from lbapp.model.history_file import (
    HEAD_BYTES,
    FileHead,
    Frame,
    FrameKind,
    Ring,
    encode_frame,
    frames_in,
    place_of,
)

TABLE_MOMENTS: Final = 60  # after so many a table is written again: what goes takes its table along
_BUSY: Final = "another engine writes it"


class Kept(NamedTuple):
    """A moment as it is written, and the table it needs."""

    at: float
    moment: bytes
    table: bytes


class _Place:
    """Where a ring goes on, and which table stands before."""

    def __init__(self, frames: list[Frame]) -> None:
        self.at = frames[-1].end if frames else 0
        self.table: int | None = None
        self.moments_since_table = 0


class HistoryFile:
    """One open file. `said`: (kind, sentence) of what is to be an event."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.said: list[tuple[str, str]] = []
        self._fd = -1
        self._head = FileHead.for_rows(0, 0)
        self._number = 0  # of the last frame
        self._places = [_Place([]) for _ in Ring]

    @property
    def is_open(self) -> bool:
        """Say whether it can be written."""
        return self._fd >= 0

    def open(self, rows: int) -> None:
        """Open or make the file, with room for so many rows. Raises OSError."""
        if self.is_open and not os.fstat(self._fd).st_nlink:
            self.close()  # somebody has removed it
        if self.is_open and rows <= self._head.rows:
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = self._fd if self.is_open else _opened(self.path)
        try:
            head, rings = self._look(fd)
            if head is None or head.rows < rows:
                fd, head = self._make(fd, FileHead.for_rows(rows, secrets.randbits(64)), rings)
                rings = _rings_of(fd, head)
        except BaseException:
            if fd == self._fd:
                self._fd = -1
            os.close(fd)
            raise
        self._fd, self._head = fd, head
        self._places = [_Place(frames) for frames in rings]
        self._number = max((frame.number for frames in rings for frame in frames), default=0)

    def _look(self, fd: int) -> tuple[FileHead | None, list[list[Frame]]]:
        """Return the head and the frames of a file; no head: there is none, or it was no history and is set aside."""
        if not os.fstat(fd).st_size:
            return None, [[] for _ in Ring]
        try:
            head = FileHead.decoded(os.pread(fd, HEAD_BYTES, 0))
        except ValueError as error:
            aside = self.path.with_name(self.path.name + ".damaged")
            self.path.replace(aside)
            message = f"{self.path} is not read: {error}; it is kept as {aside}, and the history begins anew"
            self.said.append(("history_set_aside", message))
            return None, [[] for _ in Ring]
        return head, _rings_of(fd, head)

    def _make(self, before: int, head: FileHead, rings: list[list[Frame]]) -> tuple[int, FileHead]:
        """Make a file in the place of one that is none, or has too little room, with the frames of that; closes `before`."""
        beside = self.path.with_name(self.path.name + ".new")
        fd = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.posix_fallocate(fd, 0, head.file_bytes)
            _write(fd, head.encoded(), 0)
            for ring in Ring:
                at = 0
                for frame in rings[ring]:
                    data = encode_frame(frame.kind, frame.number, frame.at, frame.payload, head.number)
                    at = place_of(at, len(data), head.ring_bytes[ring])
                    _write(fd, data, head.ring_at(ring) + at)
                    at += len(data)
            beside.replace(self.path)
        except BaseException:
            os.close(fd)
            beside.unlink(missing_ok=True)
            raise
        os.close(before)
        if before == self._fd:
            self._fd = fd
        return fd, head

    def write(self, ring: Ring, kept: Kept) -> None:
        """Write a moment, and its table where that does not stand close before it. Raises OSError."""
        place, number = self._places[ring], table_number(kept.table)
        if place.table != number or place.moments_since_table >= TABLE_MOMENTS:
            self._append(ring, FrameKind.TABLE, kept.at, kept.table)
            place.table, place.moments_since_table = number, 0
        self._append(ring, FrameKind.MOMENT, kept.at, kept.moment)
        place.moments_since_table += 1

    def _append(self, ring: Ring, kind: FrameKind, at: float, payload: bytes) -> None:
        place, head = self._places[ring], self._head
        data = encode_frame(kind, self._number + 1, at, payload, head.number)
        begin = place_of(place.at, len(data), head.ring_bytes[ring])
        _write(self._fd, data, head.ring_at(ring) + begin)
        self._number += 1
        place.at = begin + len(data)

    def close(self) -> None:
        """Let go of the file."""
        if self.is_open:
            os.close(self._fd)
            self._fd = -1


def _opened(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(fd).st_ino != path.stat().st_ino:
            raise BlockingIOError  # another engine has put a bigger one in its place just now
    except BlockingIOError as error:
        os.close(fd)
        raise OSError(errno.EBUSY, _BUSY) from error
    except BaseException:
        os.close(fd)
        raise
    return fd


def _rings_of(fd: int, head: FileHead) -> list[list[Frame]]:
    return [frames_in(os.pread(fd, head.ring_bytes[ring], head.ring_at(ring)), head.number) for ring in Ring]


def _write(fd: int, data: bytes, at: int) -> None:
    if os.pwrite(fd, data, at) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
