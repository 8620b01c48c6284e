"""What is kept of the past: moments, and the tables that say whose their rows are.

Responsible for what stands in one and for its bytes, all of them little-endian. Knows nothing of files or who looks back.

    table    zlib of JSON: the names of listeners and pools, and of each server its name, states and weight
    moment   zlib of: the table's number, the node's figures, how many rows; then six columns: the place of the row in the table
             (listeners, pools, servers), requests, errors, in flight, and the buckets of p50 and p99

Invariants: a row that counted nothing and has nothing in flight is not there; a moment means what it says only with the table
whose number it has, and that number is the table's checksum, so that the same table has it in every engine.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, NamedTuple

from lbapp.model.amounts import Amounts, Phase, Subject
from lbapp.model.histogram import BUCKETS, percentile_buckets

_HEAD: Final = struct.Struct("<IfiqIH")  # table, seconds, CPU permille (-1: unknown), memory (-1), connections, rows
_COLUMNS: Final = "HIIIHH"
_NO_BUCKET: Final = 0xFFFF
_MOST: Final = 0xFFFFFFFF
_BYTES_MAX: Final = 64 * 1024 * 1024  # of a table or moment as it was before it was compressed
_FRACTIONS: Final = (0.5, 0.99)


class ServerWas(NamedTuple):
    """A server as it stands in a table. `admin` and `health` are the words of the control API."""

    name: str  # POOL/SERVER
    admin: str
    health: str
    weight: int


@dataclass(frozen=True, slots=True)
class Table:
    """Whose the rows of moments are, and how the servers were meanwhile."""

    listeners: tuple[str, ...]
    pools: tuple[str, ...]
    servers: tuple[ServerWas, ...]

    @property
    def size(self) -> int:
        """How many rows there are."""
        return len(self.listeners) + len(self.pools) + len(self.servers)

    def subjects(self) -> list[Subject]:
        """Return whose each row is."""
        return [
            *(Subject("listener", name) for name in self.listeners),
            *(Subject("pool", name) for name in self.pools),
            *(Subject("server", server.name) for server in self.servers),
        ]

    def encoded(self) -> bytes:
        """Return its bytes."""
        text = json.dumps([self.listeners, self.pools, self.servers], separators=(",", ":"))
        return zlib.compress(text.encode("ascii"))


class Node(NamedTuple):
    """The node at a moment. CPU in thousandths of one core; None: unknown."""

    cpu_permille: int | None
    memory_bytes: int | None
    connections: int  # of clients


class RowWas(NamedTuple):
    """One row of a moment. `p50` and `p99` are buckets (see `histogram`); None: no exchange ended."""

    requests: int
    errors: int
    in_flight: int
    p50: int | None
    p99: int | None


NO_ROW: Final = RowWas(0, 0, 0, None, None)


@dataclass(frozen=True, slots=True)
class Moment:
    """What was counted in `seconds`, and how it was at their end. `rows` by their place in the table."""

    table: int
    seconds: float
    node: Node
    rows: Mapping[int, RowWas]


def table_number(encoded: bytes) -> int:
    """Return the number of a table."""
    return zlib.crc32(encoded)


def rows_of(table: Table, counted: Mapping[Subject, Amounts], in_flight: Mapping[Subject, int]) -> dict[int, RowWas]:
    """Return the rows of those that counted anything, or have anything in flight."""
    rows = {}
    for place, subject in enumerate(table.subjects()[:_NO_BUCKET]):
        amounts, open_now = counted.get(subject), in_flight.get(subject, 0)
        if amounts is not None:
            p50, p99 = percentile_buckets(amounts.histograms[Phase.TOTAL], _FRACTIONS)
            rows[place] = RowWas(amounts.requests, amounts.errors, open_now, p50, p99)
        elif open_now:
            rows[place] = RowWas(0, 0, open_now, None, None)
    return rows


def encode_moment(moment: Moment) -> bytes:
    """Return the bytes of a moment."""
    node, rows = moment.node, moment.rows
    cpu = -1 if node.cpu_permille is None else node.cpu_permille
    memory = -1 if node.memory_bytes is None else node.memory_bytes
    head = _HEAD.pack(moment.table, moment.seconds, cpu, memory, node.connections, len(rows))
    columns: Sequence[Sequence[int]] = (
        list(rows),
        [min(row.requests, _MOST) for row in rows.values()],
        [min(row.errors, _MOST) for row in rows.values()],
        [min(max(row.in_flight, 0), _MOST) for row in rows.values()],
        [_NO_BUCKET if row.p50 is None else row.p50 for row in rows.values()],
        [_NO_BUCKET if row.p99 is None else row.p99 for row in rows.values()],
    )
    packed = [struct.pack(f"<{len(rows)}{code}", *column) for code, column in zip(_COLUMNS, columns, strict=True)]
    return zlib.compress(b"".join([head, *packed]), 3)


def decode_moment(data: bytes) -> Moment:
    """Return a moment. Raises ValueError when the bytes are none."""
    data = _expanded(data)
    try:
        table, seconds, cpu, memory, connections, count = _HEAD.unpack_from(data)
        at, columns = _HEAD.size, []
        for code in _COLUMNS:
            columns.append(struct.unpack_from(f"<{count}{code}", data, at))
            at += struct.calcsize(f"<{count}{code}")
    except struct.error as error:
        raise ValueError("no moment") from error
    if not (0.0 <= seconds < math.inf and all(each < BUCKETS or each == _NO_BUCKET for each in chain(*columns[-2:]))):
        raise ValueError("no moment")
    rows = {
        place: RowWas(requests, errors, open_now, _bucket(p50), _bucket(p99))
        for place, requests, errors, open_now, p50, p99 in zip(*columns, strict=True)
    }
    node = Node(None if cpu < 0 else cpu, None if memory < 0 else memory, connections)
    return Moment(table, seconds, node, rows)


def decode_table(data: bytes) -> Table:
    """Return a table. Raises ValueError when the bytes are none."""
    try:
        read: Any = json.loads(_expanded(data))
        listeners, pools, servers = read
        if not all(map(str.isprintable, chain(listeners, pools, *(server[:3] for server in servers)))):
            raise ValueError("no table")
        return Table(
            tuple(map(str, listeners)),
            tuple(map(str, pools)),
            tuple(
                ServerWas(str(name), str(admin), str(health), int(weight)) for name, admin, health, weight in servers
            ),
        )
    except (TypeError, KeyError, OverflowError, RecursionError) as error:
        raise ValueError("no table") from error


def _bucket(found: int) -> int | None:
    return None if found == _NO_BUCKET else found


def _expanded(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, _BYTES_MAX)
    except zlib.error as error:
        raise ValueError("not compressed") from error
