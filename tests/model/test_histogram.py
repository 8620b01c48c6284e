"""Latency histograms."""

from __future__ import annotations

import struct
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@given(st.dictionaries(st.integers(0, histogram.BUCKETS - 1), st.integers(1, 2**63 - 1)))
def test_packed_histogram_comes_back_as_it_was(counted: dict[int, int]) -> None:
    total = sum(count << (64 * bucket) for bucket, count in counted.items())
    data = histogram.packed(total)
    assert histogram.unpacked(data) == total
    assert len(data) <= 3 + histogram.HISTOGRAM_BYTES


def test_packed_histogram_of_a_busy_server_takes_little() -> None:
    source = Random(3)
    values = [int(source.lognormvariate(9, 0.5)) for _ in range(1_000)]
    assert len(histogram.packed(histogram.add([packed(values)]))) < 150
