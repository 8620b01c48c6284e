"""Rings of frames in bytes."""

from __future__ import annotations

import struct

import pytest

from lbapp.model.history_file import (
    ALIGNMENT,
    HEAD_BYTES,
    MINUTES,
    SECONDS,
    VERSION,
    FileHead,
    FrameKind,
    Ring,
    encode_frame,
    frame_bytes,
    frames_in,
    place_of,
)

FILE = 7


def frame(number: int, payload: bytes = b"payload", file: int = FILE) -> bytes:
    return encode_frame(FrameKind.MOMENT, number, 100.0 + number, payload, file)


def numbers(ring: bytes) -> list[int]:
    return [each.number for each in frames_in(ring, FILE)]


def test_ring_that_is_full_gives_the_place_of_its_oldest_frames_to_new_ones() -> None:
    size = frame_bytes(b"payload")
    ring, at = bytearray(4 * size + ALIGNMENT - 1), 0
    for number in range(1, 7):
        at = place_of(at, size, len(ring))
        ring[at : at + size] = frame(number)
        at += size
    assert numbers(bytes(ring)) == [3, 4, 5, 6]
    newest = frames_in(bytes(ring), FILE)[-1]
    assert (newest.at, newest.payload, newest.end) == (106.0, b"payload", 2 * size)


def test_frame_over_the_beginning_of_a_longer_one_leaves_nothing_of_that() -> None:
    long = frame(1, bytes(range(256)) * 3)
    ring = frame(3) + long[len(frame(3)) :] + frame(2)
    assert numbers(ring) == [2, 3]


def test_frame_that_is_torn_damaged_or_of_another_file_is_none() -> None:
    whole = frame(1) + frame(2) + frame(3)
    assert numbers(whole) == [1, 2, 3]
    size = len(frame(1))
    for at in (0, 5, 10, 20, 25, 30, size - ALIGNMENT + 4):
        damaged = bytearray(whole)
        damaged[size + at] ^= 0x55
        assert numbers(bytes(damaged)) == [1, 3], at
    assert numbers(whole[: 2 * size + 20]) == [1, 2]
    assert numbers(frame(1) + frame(2, file=8) + frame(3)) == [1, 3]


def test_head_comes_back_as_it_was_and_says_what_else_it_is() -> None:
    head = FileHead.for_rows(10, 12345)
    data = head.encoded()
    assert FileHead.decoded(data) == head
    assert (len(data), head.ring_at(Ring.SECONDS)) == (HEAD_BYTES, HEAD_BYTES)
    assert head.ring_at(Ring.MINUTES) + head.ring_bytes[Ring.MINUTES] == head.file_bytes
    for other, reason in (
        (b"", "no history"),
        (b"x" * HEAD_BYTES, "no history"),
        (data[:16] + bytes([VERSION + 1]) + data[17:], f"version {VERSION + 1}"),
        (data[:24] + b"\xff" + data[25:], "damaged"),
    ):
        with pytest.raises(ValueError, match=reason):
            FileHead.decoded(other)


def test_rings_have_room_for_their_time_with_all_rows_busy() -> None:
    """7,000 and 10,000 bytes: more than moments of 1,000 busy servers take; a table of 4,000 with every sixtieth."""
    head = FileHead.for_rows(1_000, 1)
    assert head.ring_bytes[Ring.SECONDS] >= SECONDS * 7_000 + SECONDS / 60 * 4_000
    assert head.ring_bytes[Ring.MINUTES] >= MINUTES * 10_000 + MINUTES / 60 * 4_000
    assert head.file_bytes < 60_000_000
    assert FileHead.for_rows(20, 1).file_bytes < 4_000_000


@pytest.mark.parametrize("at", [float("nan"), float("inf"), -1.0, 2.0**33])
def test_frame_of_a_time_that_cannot_be_shown_is_none(at: float) -> None:
    assert numbers(encode_frame(FrameKind.MOMENT, 1, at, b"", FILE) + frame(2)) == [2]


def test_ring_made_so_that_it_takes_for_ever_is_given_up_on() -> None:
    forged = bytearray(frame(2, b""))
    count = 200_000  # each says that it goes on to the end: together 600 GB to look at
    ring = bytearray()
    for at in range(count):
        struct.pack_into("<I", forged, 24, ALIGNMENT * (count - at - 1))
        ring += forged
    assert numbers(frame(1) + bytes(ring)) == [1]
