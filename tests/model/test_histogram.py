"""Latency histograms."""

from __future__ import annotations

import struct
from random import Random

import pytest

from lbapp.model import histogram


def test_buckets_cover_every_value_once() -> None:
    expected = 0
    for bucket in range(histogram.BUCKETS):
        lowest, highest = histogram.bucket_bounds(bucket)
        assert lowest == expected
        assert histogram.bucket_of(lowest) == histogram.bucket_of(highest) == bucket
        expected = highest + 1
    assert expected == histogram.VALUE_US_MAX + 1


def packed(values: list[int]) -> bytes:
    counts = [0] * histogram.BUCKETS
    for value in values:
        counts[histogram.bucket_of(value)] += 1
    return struct.pack(f"<{histogram.BUCKETS}q", *counts)


def test_histograms_of_workers_add_and_subtract_exactly() -> None:
    source = Random(1)
    one = [source.randrange(10**6) for _ in range(500)]
    two = [source.randrange(10**6) for _ in range(500)]
    assert histogram.add([packed(one), packed(two)]) == histogram.add([packed(one + two)])
    assert histogram.add([packed(one + two)]) - histogram.add([packed(one)]) == histogram.add([packed(two)])


@pytest.mark.parametrize("fraction", [0.5, 0.9, 0.99, 0.999])
def test_percentile_is_off_by_at_most_half_a_bucket(fraction: float) -> None:
    source = Random(2)
    values = sorted(int(source.lognormvariate(9, 1)) for _ in range(10_000))
    exact = values[int(fraction * len(values)) - 1]
    found = histogram.percentiles(histogram.add([packed(values)]), [fraction])[0]
    assert found is not None
    assert abs(found - exact) / exact < 0.05


def test_nothing_counted_has_no_percentile() -> None:
    assert histogram.percentiles(0, [0.5, 0.99]) == [None, None]
