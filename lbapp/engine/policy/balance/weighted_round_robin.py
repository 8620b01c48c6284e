"""Smooth weighted round robin, by earliest deadline.

A server of weight w is due every 1/w of a cycle; the one due first is chosen. Servers of equal weight are due at even
distances from each other, so turns interleave and nobody's come in a burst; shares are exact over a cycle (the sum of the
weights); a pick costs O(log n). Knows nothing of load.

Invariant: nobody loses their place: a change of weight keeps the part of the wait that is over, and a server that comes
back is due when it would have been.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from copy import copy
from heapq import heapify, heappop, heappush, heapreplace
from math import lcm
from random import Random
from typing import Final, Self

from lbapp.engine.policy.balance.base import Algorithm, LoadReader, ServerState
from lbapp.engine.policy.balance.explanation import KeptLoad, Weighing, in_order

# A cycle, in units so small that dividing it by any weight is exact or off by less than 10^-9 of a turn.
_CYCLE: Final = lcm(*range(1, 17)) * 2**20


def _stride(server: ServerState) -> int:
    return _CYCLE * 1000 // (server.weight * server.share_permille)


class WeightedRoundRobin(Algorithm):
    """In turn, in proportion to weight. Workers begin at different places."""

    def __init__(self, load: LoadReader, random: Random) -> None:
        super().__init__(load, random)
        self._now = 0  # when the last one chosen was due
        self._heap: list[tuple[int, int, int]] = []  # (due, index, stride) of the eligible servers
        self._absent: dict[int, tuple[int, int]] = {}  # index: (due, stride) of the others

    def update(self, servers: Sequence[ServerState], now_s: float) -> None:
        """See Algorithm."""
        known = self._absent
        known.update([(index, (due, stride)) for due, index, stride in self._heap])
        new = [server for server in servers if server.index not in known and server.weight]
        known.update(self._first_turns(new))
        absent, heap = {}, []
        for server in servers:
            index = server.index
            if index not in known:
                continue
            due, stride = known[index]
            if server.weight and stride != _stride(server):
                due, stride = self._reweighted(due, stride, _stride(server))
            if not server.is_eligible:
                absent[index] = due, stride
                continue
            if due < self._now:  # its turns went by while it was away
                due += -((due - self._now) // stride) * stride
            heap.append((due, index, stride))
        heapify(heap)
        self._heap, self._absent = heap, absent

    def _reweighted(self, due: int, stride: int, new_stride: int) -> tuple[int, int]:
        """Return a server's next turn at its new weight: the part of its wait that is left stays the same."""
        left = (due - self._now) % stride if due < self._now else due - self._now
        return self._now + left * new_stride // stride, new_stride

    def _first_turns(self, servers: Sequence[ServerState]) -> Iterator[tuple[int, tuple[int, int]]]:
        by_stride = defaultdict(list)
        for server in servers:
            by_stride[_stride(server)].append(server.index)
        for stride, indexes in by_stride.items():
            start = self._random.random()
            for rank, index in enumerate(indexes):
                yield index, (self._now + int((rank / len(indexes) + start) % 1.0 * stride), stride)

    def choose_server(self, client_key: bytes, now_s: float, excluded: Collection[int] = ()) -> int | None:
        """See Algorithm."""
        heap = self._heap
        if excluded:
            return self._choose_other(excluded)
        if not heap:
            return None
        due, index, stride = heap[0]
        self._now = due
        heapreplace(heap, (due + stride, index, stride))
        return index

    def _choose_other(self, excluded: Collection[int]) -> int | None:
        heap = self._heap
        waiting = []
        while heap and heap[0][1] in excluded:
            waiting.append(heappop(heap))
        index = self.choose_server(b"", 0.0)
        for turn in waiting:
            heappush(heap, turn)
        return index

    def _twin(self) -> Self:
        """See Algorithm."""
        twin = copy(self)
        twin._heap = self._heap.copy()
        return twin

    def _weigh(
        self, client_key: bytes, now_s: float, excluded: Collection[int], twin: Self, load: KeptLoad
    ) -> Weighing:
        """See Algorithm."""
        turns = sorted(turn for turn in self._heap if turn[1] not in excluded)
        places = {index: place for place, (_, index, _) in enumerate(turns)}
        strides = {index: stride for _, index, stride in turns}
        return Weighing(
            {index: (place,) for index, place in places.items()},
            lambda index: f"{in_order(places[index] + 1)} due, weight {_CYCLE / strides[index]:.3g}",
        )
