"""Moments and tables as bytes."""

from __future__ import annotations

import math
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.model.amounts import Amounts, Subject
from lbapp.model.histogram import bucket_of
from lbapp.model.history import (
    Moment,
    Node,
    RowWas,
    ServerWas,
    Table,
    decode_moment,
    decode_table,
    encode_moment,
    rows_of,
    table_number,
)

counts = st.integers(0, 2**32 - 1)
buckets = st.none() | st.integers(0, 463)
rows = st.builds(RowWas, counts, counts, counts, buckets, buckets)
nodes = st.builds(Node, st.none() | st.integers(0, 10**6), st.none() | st.integers(0, 2**60), counts)
TABLE = Table(
    ("web",), ("app",), (ServerWas("app/s1", "ready", "up", 100), ServerWas("app/s\u00fc", "drain", "down", 0))
)


@given(counts, nodes, st.dictionaries(st.integers(0, 0xFFFF), rows, max_size=20))
def test_moment_comes_back_as_it_was(table: int, node: Node, found: dict[int, RowWas]) -> None:
    moment = Moment(table, 60.0, node, found)
    assert decode_moment(encode_moment(moment)) == moment


def test_table_comes_back_as_it_was_and_has_the_same_number_whoever_makes_it() -> None:
    assert decode_table(TABLE.encoded()) == TABLE
    again = Table(TABLE.listeners, TABLE.pools, tuple(ServerWas(*each) for each in TABLE.servers))
    assert table_number(again.encoded()) == table_number(TABLE.encoded())
    other = Table(TABLE.listeners, TABLE.pools, TABLE.servers[:1])
    assert table_number(other.encoded()) != table_number(TABLE.encoded())


@pytest.mark.parametrize(
    "data", [b"", b"no zlib", zlib.compress(b"{}"), zlib.compress(b"[1,2,3]"), zlib.compress(b"[[],[]]")]
)
def test_what_is_no_moment_or_table_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^(no|not|Expecting|invalid)"):
        decode_table(data)
    with pytest.raises(ValueError, match=r"^(no|not|Expecting|invalid)"):
        decode_moment(data)


@pytest.mark.parametrize(
    "moment",
    [
        Moment(1, math.nan, Node(None, None, 0), {}),
        Moment(1, math.inf, Node(None, None, 0), {}),
        Moment(1, 1.0, Node(None, None, 0), {0: RowWas(1, 0, 0, 464, None)}),
    ],
)
def test_moment_that_cannot_be_shown_is_refused(moment: Moment) -> None:
    with pytest.raises(ValueError, match="no moment"):
        decode_moment(encode_moment(moment))


@pytest.mark.parametrize(
    "table",
    ['[["a\\u001b"],[],[]]', '[[],[],[["s","ready","up",Infinity]]]', "[[],[],[{}]]", "[[],[],[1]]", "[[[]],[],[]]"],
)
def test_table_that_cannot_be_shown_is_refused(table: str) -> None:
    with pytest.raises(ValueError, match="no table"):
        decode_table(zlib.compress(table.encode()))


def test_rows_are_of_those_that_did_anything() -> None:
    total = 99 << (64 * bucket_of(1_000)) | 1 << (64 * bucket_of(900_000))
    counted = {Subject("server", "app/s1"): Amounts(100, 2, (0, 0, 0, total))}
    found = rows_of(TABLE, counted, {Subject("listener", "web"): 3, Subject("server", "app/s1"): 1})
    assert found == {
        0: RowWas(0, 0, 3, None, None),
        2: RowWas(100, 2, 1, bucket_of(1_000), bucket_of(1_000)),
    }
    assert TABLE.size == 4


def test_moment_of_many_busy_servers_takes_few_bytes_a_row() -> None:
    found = {
        place: RowWas(80 + place * 7919 % 40, place % 3, place * 31 % 9, 150 + place * 17 % 12, 200 + place * 13 % 30)
        for place in range(1_000)
    }
    assert len(encode_moment(Moment(1, 1.0, Node(500, 10**8, 5_000), found))) < 7_000
