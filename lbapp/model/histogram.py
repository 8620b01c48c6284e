"""Log-linear latency histograms that add exactly.

Responsible for which bucket a latency falls into, for adding and subtracting whole histograms, and for the percentiles
read from them. Knows nothing of who counts or where the cells lie.

A histogram is BUCKETS 8-byte little-endian counts, one after the other. Values are microseconds: 0..15 have a bucket
each; above, every power of two is cut into 16, so a bucket is at most 6.25 % wide and its middle at most 3.2 % off.
Values of 2^32 us (71 min) and more count in the last bucket.

Invariant: the sum of the histograms of several workers is the histogram of all they counted: buckets never depend on
what was counted before. Because no count reaches 2^63, a whole histogram is added or subtracted as one big integer.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

SUB_BUCKETS: Final = 16
BUCKETS: Final = 464
VALUE_US_MAX: Final = (1 << 32) - 1
HISTOGRAM_BYTES: Final = BUCKETS * 8
_SLOW_BYTES: Final = HISTOGRAM_BYTES - 8 * 288  # what counts latencies of two seconds and more: mostly nothing
_SLOW: Final = bytes(_SLOW_BYTES)
_NOT_SLOW: Final = bytes(HISTOGRAM_BYTES - _SLOW_BYTES)
_WIDTHS: Final = (("B", 8), ("H", 16), ("I", 32), ("Q", 64))  # codes of array, and the bits that each has


def bucket_of(value_us: int) -> int:
    """Return the bucket, 0..BUCKETS-1, that counts a latency of `value_us` microseconds. Workers ask for each exchange."""
    if value_us < SUB_BUCKETS:
        return value_us if value_us > 0 else 0
    if value_us > VALUE_US_MAX:
        return BUCKETS - 1
    shift = value_us.bit_length() - 5
    return (shift << 4) + (value_us >> shift)


def bucket_bounds(bucket: int) -> tuple[int, int]:
    """Return the lowest and the highest value in microseconds that falls into `bucket`."""
    if bucket < 2 * SUB_BUCKETS:
        return bucket, bucket
    shift = (bucket >> 4) - 1
    lowest = (bucket - (shift << 4)) << shift
    return lowest, lowest + (1 << shift) - 1


def add(histograms: Iterable[bytes | memoryview]) -> int:
    """Return the sum of whole histograms as one big integer (see `counts`)."""
    total = 0
    for each in histograms:
        # Many are empty: those of slots without a worker, of phases that a server does not have. To see that costs a tenth.
        data = bytes(each)
        if data.endswith(_SLOW):
            data = data[:-_SLOW_BYTES]
        if data != _NOT_SLOW:
            total += int.from_bytes(data, "little")
    return total


def counts(total: int) -> Sequence[int]:
    """Return the BUCKETS counts of a sum or difference of histograms. Raises OverflowError on a negative one."""
    return memoryview(total.to_bytes(HISTOGRAM_BYTES, "little")).cast("Q")


def percentiles(total: int, fractions: Sequence[float]) -> list[float | None]:
    """Return for each fraction (0.99 for p99) the middle of its bucket in microseconds; None where nothing was counted."""
    return [None if bucket is None else middle_us(bucket) for bucket in percentile_buckets(total, fractions)]


def middle_us(bucket: int) -> float:
    """Return the middle of a bucket in microseconds."""
    lowest, highest = bucket_bounds(bucket)
    return (lowest + highest) / 2


def percentile_buckets(total: int, fractions: Sequence[float]) -> list[int | None]:
    """Return for each fraction the bucket that it falls into; None where nothing was counted."""
    if total == 0:
        return [None] * len(fractions)
    first, last = _span(total)
    counted = (total >> (64 * first)).to_bytes(8 * (last - first + 1), "little")
    running = list(accumulate(memoryview(counted).cast("Q")))
    return [first + bisect_left(running, max(1, -int(-fraction * running[-1] // 1))) for fraction in fractions]


def _span(total: int) -> tuple[int, int]:
    """Return the first and the last bucket that counted anything, of a sum or difference that is not empty."""
    return ((total & -total).bit_length() - 1) >> 6, (total.bit_length() - 1) >> 6


def packed(total: int) -> bytes:
    """Return a sum or difference in few bytes: the counts from its first to its last bucket, as wide as the highest needs.

    The layout: the width in bytes, the number of the first bucket in two bytes, the counts. Nothing counted: no byte.
    """
    if total == 0:
        return b""
    first, last = _span(total)
    row = list(counts(total)[first : last + 1])
    bits = max(row).bit_length()
    code = next(code for code, most in _WIDTHS if bits <= most)
    found = array(code, row)
    return bytes((found.itemsize, first & 0xFF, first >> 8)) + found.tobytes()


def unpacked(data: bytes) -> int:
    """Return what `packed` was given."""
    if not data:
        return 0
    code = next(code for code, bits in _WIDTHS if bits == 8 * data[0])
    first = data[1] | data[2] << 8
    return int.from_bytes(array("Q", array(code, data[3:])).tobytes(), "little") << (64 * first)
