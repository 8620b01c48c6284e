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

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

SUB_BUCKETS: Final = 16
BUCKETS: Final = 464
VALUE_US_MAX: Final = (1 << 32) - 1
HISTOGRAM_BYTES: Final = BUCKETS * 8


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
    return sum(int.from_bytes(histogram, "little") for histogram in histograms)


def counts(total: int) -> Sequence[int]:
    """Return the BUCKETS counts of a sum or difference of histograms. Raises OverflowError on a negative one."""
    return memoryview(total.to_bytes(HISTOGRAM_BYTES, "little")).cast("Q")


def percentiles(total: int, fractions: Sequence[float]) -> list[float | None]:
    """Return for each fraction (0.99 for p99) the middle of its bucket in microseconds; None where nothing was counted."""
    if total == 0:
        return [None] * len(fractions)
    running = list(accumulate(counts(total)))
    found: list[float | None] = []
    for fraction in fractions:
        rank = max(1, -int(-fraction * running[-1] // 1))
        lowest, highest = bucket_bounds(bisect_left(running, rank))
        found.append((lowest + highest) / 2)
    return found
