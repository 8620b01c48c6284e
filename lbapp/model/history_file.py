"""The layout of a history file: a head, and two rings of frames (docs/decisions/history-file.md).

Responsible for how big a file is, for the bytes of head and frames, and for finding the frames that are whole. Knows nothing of
what stands in a frame, and reads and writes no file.

    head (4,096 bytes)   magic, version, rows it has room for, bytes of each ring, the file's own number, checksum
    ring of seconds      frames, one behind the other; the next to be written takes the place of the oldest
    ring of minutes      the same

Invariants: a frame begins at a multiple of ALIGNMENT and says its length; its checksum covers all of it and begins with the
file's number, so that a torn frame, or one of another file, is none; a ring has room for its time when all rows are busy;
reading one takes time in proportion to its size, whatever stands there.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

VERSION: Final = 1
HEAD_BYTES: Final = 4096
ALIGNMENT: Final = 32
SECONDS: Final = 3600  # that the first ring has room for
MINUTES: Final = 1440  # that the second one has
_MAGIC: Final = b"lbapp-history\n\0\0"
_HEAD: Final = struct.Struct("<16sIIQQQ")
_FRAME_MAGIC: Final = b"LBH1"
_FRAME: Final = struct.Struct("<4sIQdII")  # magic, kind, number, Unix time, bytes of the payload, checksum
_SUM: Final = struct.Struct("<I")
# Measured on moments of 1,000 busy servers, with room to spare: docs/decisions/history-file.md.
_SECOND_BYTES: Final = (192, 7)  # of a moment, and more for each row
_MINUTE_BYTES: Final = (256, 12)  # likewise
_ROWS_STEP: Final = 64
_TIME_MAX_S: Final = 2.0**33  # in the year 2242: what is beyond, or no number, cannot be shown
_SPOILT_MAX: Final = (
    4  # times the ring's bytes that may be looked at in vain: a file may be made so that it takes for ever
)


class Ring(IntEnum):
    """Which ring."""

    SECONDS = 0
    MINUTES = 1


class FrameKind(IntEnum):
    """What stands in a frame."""

    TABLE = 1
    MOMENT = 2


@dataclass(frozen=True, slots=True)
class FileHead:
    """The head of a file. `number` is its own, drawn when it was made."""

    rows: int
    ring_bytes: tuple[int, int]
    number: int

    @classmethod
    def for_rows(cls, rows: int, number: int) -> FileHead:
        """Return the head of a file with room for so many rows, and a quarter more, so that it seldom has to grow."""
        room = -(-rows * 5 // 4 // _ROWS_STEP) * _ROWS_STEP or _ROWS_STEP
        seconds = SECONDS * (_SECOND_BYTES[0] + room * _SECOND_BYTES[1])
        minutes = MINUTES * (_MINUTE_BYTES[0] + room * _MINUTE_BYTES[1])
        return cls(room, (seconds, minutes), number)

    @property
    def file_bytes(self) -> int:
        """The size of the whole file."""
        return HEAD_BYTES + sum(self.ring_bytes)

    def ring_at(self, ring: Ring) -> int:
        """Return where a ring begins."""
        return HEAD_BYTES + (self.ring_bytes[0] if ring is Ring.MINUTES else 0)

    def encoded(self) -> bytes:
        """Return its HEAD_BYTES bytes."""
        data = _HEAD.pack(_MAGIC, VERSION, self.rows, *self.ring_bytes, self.number)
        return (data + _SUM.pack(zlib.crc32(data))).ljust(HEAD_BYTES, b"\0")

    @classmethod
    def decoded(cls, data: bytes) -> FileHead:
        """Return the head of a file that begins with `data`. Raises ValueError with a sentence that says what it is instead."""
        if len(data) < HEAD_BYTES or not data.startswith(_MAGIC):
            raise ValueError("it is no history of lbapp")
        magic, version, rows, seconds, minutes, number = _HEAD.unpack_from(data)
        if version != VERSION:
            raise ValueError(f"it has version {version}, this lbapp writes {VERSION}")
        if _SUM.unpack_from(data, _HEAD.size)[0] != zlib.crc32(data[: _HEAD.size]) or magic != _MAGIC:
            raise ValueError("its head is damaged")
        return cls(rows, (seconds, minutes), number)


class Frame(NamedTuple):
    """A frame that is whole. `number` grows with every frame; `end` is where the next may begin in its ring."""

    kind: FrameKind
    number: int
    at: float
    payload: bytes
    end: int


def frame_bytes(payload: bytes) -> int:
    """Return what a frame with this payload takes of a ring."""
    return -(-(_FRAME.size + len(payload)) // ALIGNMENT) * ALIGNMENT


def encode_frame(kind: FrameKind, number: int, at: float, payload: bytes, file_number: int) -> bytes:
    """Return the bytes of a frame, filled up to a multiple of ALIGNMENT."""
    bare = _FRAME.pack(_FRAME_MAGIC, kind, number, at, len(payload), 0)[: -_SUM.size]
    data = bare + _SUM.pack(_checksum(bare, payload, file_number)) + payload
    return data.ljust(frame_bytes(payload), b"\0")


def place_of(at: int, frame_size: int, ring_size: int) -> int:
    """Return where a frame goes whose ring is written up to `at`."""
    return at if at + frame_size <= ring_size else 0


def frames_in(ring: bytes, file_number: int) -> list[Frame]:
    """Return the frames of a ring that are whole, oldest first."""
    return sorted(_frames(ring, file_number), key=lambda frame: frame.number)


def _frames(ring: bytes, file_number: int) -> Iterator[Frame]:
    at, patience = 0, _SPOILT_MAX * len(ring)
    while patience >= 0 and (at := ring.find(_FRAME_MAGIC, at)) >= 0:
        frame = _frame_at(ring, at, file_number) if at % ALIGNMENT == 0 else None
        if frame is None:
            patience -= _length_at(ring, at)
            at += 1
        else:
            yield frame
            at = frame.end


def _length_at(ring: bytes, at: int) -> int:
    """Return how much had to be looked at to find that there is no frame."""
    if at % ALIGNMENT or at + _FRAME.size > len(ring):
        return 0
    length = int(_FRAME.unpack_from(ring, at)[4])
    return length if length <= len(ring) - at else 0


def _frame_at(ring: bytes, at: int, file_number: int) -> Frame | None:
    if at + _FRAME.size > len(ring):
        return None
    _, kind, number, at_s, length, checksum = _FRAME.unpack_from(ring, at)
    begin = at + _FRAME.size
    if begin + length > len(ring) or kind not in (FrameKind.TABLE, FrameKind.MOMENT) or not 0.0 <= at_s < _TIME_MAX_S:
        return None
    payload = ring[begin : begin + length]
    if _checksum(ring[at : begin - _SUM.size], payload, file_number) != checksum:
        return None
    return Frame(FrameKind(kind), number, at_s, payload, at + frame_bytes(payload))


def _checksum(head: bytes, payload: bytes, file_number: int) -> int:
    return zlib.crc32(payload, zlib.crc32(head, zlib.crc32(file_number.to_bytes(8, "little"))))
