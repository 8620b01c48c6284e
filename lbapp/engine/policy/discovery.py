"""From what a name stands for to the servers of a pool, and from one such list to the next.

Responsible for which records make which servers, and for the rows they get. Knows nothing of DNS, states or sockets.

Invariants: a server that stays keeps its row, whatever the order of the answer; two servers never share a row; a row is not
given to another before it is free, and the one free for longest comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lbapp.model.states import WEIGHT_MAX

WEIGHT_USUAL: Final = 100


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """One server that a name stands for."""

    host: str
    port: int
    weight: int = WEIGHT_USUAL
    is_backup: bool = False

    @property
    def name(self) -> str:
        """What it is called within its pool."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class SrvRecord:
    """One SRV record (RFC 2782)."""

    priority: int
    weight: int
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done: rows that get a server, rows whose server is another now, rows that lose theirs, and who has no row."""

    added: dict[int, Found]
    changed: dict[int, Found]
    gone: list[int]
    left_out: list[Found]


def servers_of_srv(records: Iterable[SrvRecord], addresses: Mapping[str, Sequence[str]]) -> list[Found]:
    """Return the servers of SRV records. `addresses` of each target.

    Those of the lowest priority serve, the others are their backups. Weights keep their proportions; 0 is the least there is.
    """
    every = list(records)
    lowest = min((record.priority for record in every), default=0)
    heaviest = max((record.weight for record in every), default=0)
    are_alike = len({record.weight for record in every}) <= 1
    found: dict[tuple[str, int], Found] = {}
    for record in sorted(every, key=lambda each: (each.priority, -each.weight)):
        weight = WEIGHT_USUAL if are_alike else _scaled(record.weight, heaviest)
        for host in addresses.get(record.target, ()):
            found.setdefault((host, record.port), Found(host, record.port, weight, record.priority > lowest))
    return list(found.values())


def _scaled(weight: int, heaviest: int) -> int:
    if heaviest <= WEIGHT_MAX:
        return max(1, weight)
    return max(1, round(weight * WEIGHT_MAX / heaviest))


def change(present: Mapping[int, Found], wanted: Iterable[Found], free: Sequence[int]) -> Change:
    """Compare what is there with what is wanted. `free`: rows that may be given away, the one free for longest first."""
    by_name = {found.name: found for found in sorted(wanted)}
    rows = {found.name: row for row, found in present.items()}
    gone = [row for name, row in rows.items() if name not in by_name]
    changed = {rows[name]: found for name, found in by_name.items() if name in rows and present[rows[name]] != found}
    new = [found for name, found in by_name.items() if name not in rows]
    added = dict(zip(free, new, strict=False))
    return Change(added, changed, gone, new[len(added) :])
