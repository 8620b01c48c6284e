"""Looking back: from the frames of a history to messages.

Responsible for finding the moment that a question is about, and for the figures in it. Knows nothing of files: the engine asks
it, and so does the command line where no engine runs. Invariants: what is not known is None; percentiles are those that were
counted, never put together from others.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from lbapp.control.past import Course, PastFigures, PastNode, PastPoint, PastRates, PastStatus
from lbapp.model.amounts import Subject
from lbapp.model.errors import RequestRefused
from lbapp.model.histogram import middle_us
from lbapp.model.history import (
    NO_ROW,
    Moment,
    Node,
    RowWas,
    ServerWas,
    Table,
    decode_moment,
    decode_table,
    table_number,
)
from lbapp.model.history_file import HEAD_BYTES, FileHead, Frame, FrameKind, Ring, frames_in

_GAP_S: Final = 5.0  # a second that is farther from what was asked for is another one
_MINUTE_S: Final = 60.0


@dataclass(slots=True)
class Past:
    """All that is kept. `moments` by ring, each with the time of its end, in the order in which they were written."""

    moments: tuple[list[tuple[float, bytes]], list[tuple[float, bytes]]] = field(default_factory=lambda: ([], []))
    _encoded: dict[int, bytes] = field(default_factory=dict)
    _tables: dict[int, Table] = field(default_factory=dict)

    @classmethod
    def in_file(cls, data: bytes) -> Past:
        """Return what a history file holds. Raises ValueError with a sentence when it is none."""
        past, head = cls(), FileHead.decoded(data[:HEAD_BYTES])
        for ring in Ring:
            begin = head.ring_at(ring)
            past.add(ring, frames_in(data[begin : begin + head.ring_bytes[ring]], head.number))
        return past

    def add(self, ring: Ring, frames: Iterable[Frame]) -> None:
        """Add what is newer than all that is there."""
        for frame in frames:
            if frame.kind is FrameKind.TABLE:
                self._encoded[table_number(frame.payload)] = frame.payload
            else:
                self.moments[ring].append((frame.at, frame.payload))

    def table(self, number: int) -> Table | None:
        """Return a table; None: it is not kept any more."""
        if number not in self._tables and number in self._encoded:
            self._tables[number] = decode_table(self._encoded[number])
        return self._tables.get(number)

    def known(self, at: float, payload: bytes) -> _Known | None:
        """Return a moment with its table; None where the table is not kept any more, or one of them is none."""
        try:
            moment = decode_moment(payload)
            table = self.table(moment.table)
        except ValueError:
            return None
        return None if table is None else _Known(at, moment, table)


@dataclass(frozen=True, slots=True)
class _Known:
    """A moment, and whose its rows are."""

    at: float
    moment: Moment
    table: Table

    def rows(self) -> dict[Subject, RowWas]:
        rows = self.moment.rows
        return {subject: rows.get(place, NO_ROW) for place, subject in enumerate(self.table.subjects())}


# -- as it was at one moment ---------------------------------------------------------------------------------------------


def status_at(past: Past, at: float) -> PastStatus:
    """Return how everything was at a time (Unix seconds). Raises RequestRefused 404 not_recorded."""
    found = _second_at(past, at) or _minute_at(past, at)
    if found is None:
        raise RequestRefused("not_recorded", "nothing is recorded of that time", _hint(past), 404)
    rows, seconds = found.rows(), found.moment.seconds

    def of(servers: Iterable[ServerWas], pool: str) -> Iterator[ServerWas]:
        return (server for server in servers if server.name.partition("/")[0] == pool)

    return {
        "at": found.at,
        "seconds": round(seconds, 3),
        "node": _node(found.moment.node),
        "listeners": [
            {"name": name, **_figures(rows[Subject("listener", name)], seconds)} for name in found.table.listeners
        ],
        "pools": [
            {
                "name": pool,
                **_figures(rows[Subject("pool", pool)], seconds),
                "servers": [
                    {
                        "id": each.name,
                        "admin": each.admin,
                        "health": each.health,
                        "weight": each.weight,
                        **_figures(rows[Subject("server", each.name)], seconds),
                    }
                    for each in of(found.table.servers, pool)
                ],
            }
            for pool in found.table.pools
        ],
    }


def _second_at(past: Past, at: float) -> _Known | None:
    """Return the last second that had ended by then; None where there is none close to it."""
    behind = [moment for moment in past.moments[Ring.SECONDS] if at - _GAP_S <= moment[0] <= at + 0.5]
    return past.known(*max(behind, key=lambda moment: moment[0])) if behind else None


def _minute_at(past: Past, at: float) -> _Known | None:
    """Return the minute around a time."""
    for end, payload in past.moments[Ring.MINUTES]:
        if end - _MINUTE_S - _GAP_S <= at <= end:
            known = past.known(end, payload)
            if known is not None and end - known.moment.seconds - 1 <= at:
                return known
    return None


def _hint(past: Past) -> str:
    every = [at for ring in Ring for at, _ in past.moments[ring]]
    if not every:
        return "The history begins with the engine's first second"
    return f"The history goes back to {min(every):.0f} and ends at {max(every):.0f} (Unix time)"


# -- how it went ---------------------------------------------------------------------------------------------------------


def course(past: Past, subject: Subject | None, span: tuple[float, float], step_s: int) -> Course:
    """Return how it went, second by second or minute by minute; no subject: with the node.

    `span`: from when to when (Unix seconds). Raises RequestRefused 404 not_recorded.
    """
    groups = [[second] for second in _kept(past, Ring.SECONDS, span)]
    if step_s != 1:
        minutes = _kept(past, Ring.MINUTES, span)
        rest = _by_minute([second for group in groups for second in group], minutes)
        groups = sorted([*([minute] for minute in minutes), *rest], key=lambda group: group[-1].at)
    points = []
    for group in groups:
        parts = [(known, row) for known in group if (row := _row(known, subject)) is not None]
        if parts:
            points.append(_point(parts, subject))
    kind, name = ("node", "") if subject is None else subject
    if not points:
        message = f"nothing is recorded of {f'{kind} {name}'.strip()} in that time"
        raise RequestRefused("not_recorded", message, _hint(past), 404)
    return {"kind": kind, "name": name, "step_s": step_s, "points": points}


def rates(past: Past, span: tuple[float, float]) -> PastRates:
    """Return how many requests a second every pool and server had, second by second; `span` as of `course`."""
    seconds = _kept(past, Ring.SECONDS, span)
    found: dict[str, dict[str, list[float | None]]] = {"pool": {}, "server": {}}
    for place, second in enumerate(seconds):
        length = second.moment.seconds
        for number, subject in enumerate(second.table.subjects()):
            if subject.kind in found and length > 0:
                values = found[subject.kind].setdefault(subject.name, [None] * len(seconds))
                values[place] = round(second.moment.rows.get(number, NO_ROW).requests / length, 2)
    return {"at": [second.at for second in seconds], "pools": found["pool"], "servers": found["server"]}


def _kept(past: Past, ring: Ring, span: tuple[float, float]) -> list[_Known]:
    found = [past.known(*moment) for moment in past.moments[ring] if span[0] < moment[0] <= span[1]]
    return [known for known in found if known is not None]


def _by_minute(seconds: Sequence[_Known], minutes: Sequence[_Known]) -> list[list[_Known]]:
    """Return the seconds of each minute that has no record of its own: the one under way, and one that an engine died in."""
    recorded = sorted((minute.at, minute.at - minute.moment.seconds) for minute in minutes)
    ends = [end for end, _ in recorded]
    groups: dict[int, list[_Known]] = {}
    for second in seconds:
        middle = second.at - second.moment.seconds / 2
        place = bisect_right(ends, middle)
        if place == len(ends) or middle < recorded[place][1]:
            groups.setdefault(int(middle // _MINUTE_S), []).append(second)
    return list(groups.values())


def _row(known: _Known, subject: Subject | None) -> RowWas | None:
    """Return what was counted of one; None where there was no such."""
    if subject is not None:
        return known.rows().get(subject)
    listeners = [known.moment.rows.get(place, NO_ROW) for place in range(len(known.table.listeners))]
    return listeners[0] if len(listeners) == 1 else _together(listeners, at_once=True)


def _together(rows: Sequence[RowWas], *, at_once: bool) -> RowWas:
    """Return several rows as one, of the same time or of times that follow each other. Percentiles cannot be added."""
    in_flight = [row.in_flight for row in rows]
    requests, errors = sum(row.requests for row in rows), sum(row.errors for row in rows)
    return RowWas(requests, errors, sum(in_flight) if at_once else max(in_flight, default=0), None, None)


def _point(parts: Sequence[tuple[_Known, RowWas]], subject: Subject | None) -> PastPoint:
    last = parts[-1][0]
    row = parts[0][1] if len(parts) == 1 else _together([part for _, part in parts], at_once=False)
    seconds = sum(each.moment.seconds for each, _ in parts)
    servers = list(last.table.servers)
    state, members = None, None
    if subject is not None and subject.kind == "server":
        state = next(each for each in servers if each.name == subject.name)
    if subject is not None and subject.kind == "pool":
        members = [each for each in servers if each.name.partition("/")[0] == subject.name]
    return {
        **_figures(row, seconds),
        "at": last.at,
        "seconds": round(seconds, 3),
        "admin": None if state is None else state.admin,
        "health": None if state is None else state.health,
        "weight": None if state is None else state.weight,
        "ready": None if members is None else sum(each.admin == "ready" and each.health != "down" for each in members),
        "servers": None if members is None else len(members),
        "node": _node(last.moment.node) if subject is None else None,
    }


def _figures(row: RowWas, seconds: float) -> PastFigures:
    return {
        "requests": row.requests,
        "requests_per_s": round(row.requests / seconds, 2) if seconds > 0 else 0.0,
        "errors": row.errors,
        "error_rate": round(min(1.0, row.errors / row.requests), 4) if row.requests else None,
        "in_flight": row.in_flight,
        "p50": None if row.p50 is None else middle_us(row.p50) / 1000,
        "p99": None if row.p99 is None else middle_us(row.p99) / 1000,
    }


def _node(node: Node) -> PastNode:
    cpu = None if node.cpu_permille is None else node.cpu_permille / 10
    return {"cpu_percent": cpu, "memory_bytes": node.memory_bytes, "connections": node.connections}
