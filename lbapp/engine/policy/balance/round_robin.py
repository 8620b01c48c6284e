"""Round robin: every eligible server in turn, whatever its weight; one on a slow start takes only a share of its turns.

Knows nothing of load. Invariant: between two changes of state, no server is a whole round ahead of another; a change of
state does not start the round anew.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import copy
from random import Random
from typing import Self

from lbapp.engine.policy.balance.base import Algorithm, LoadReader, ServerState
from lbapp.engine.policy.balance.explanation import KeptLoad, Weighing, in_order, left_of


class RoundRobin(Algorithm):
    """In turn. Workers begin at different places, so that together they do not favour the first server."""

    def __init__(self, load: LoadReader, random: Random) -> None:
        super().__init__(load, random)
        self._servers: list[int] = []
        self._next = -1
        self._shares: dict[int, float] = {}  # of those on a slow start
        self._credits: dict[int, float] = {}  # what they have of their next turn

    def update(self, servers: Sequence[ServerState], now_s: float) -> None:
        """See Algorithm."""
        previous = self._servers[self._next - 1] if self._servers and self._next >= 0 else -1
        eligible = [server for server in servers if server.is_eligible]
        self._servers = [server.index for server in eligible]
        whole = max((server.share_permille for server in eligible), default=1000)  # the largest share takes every turn
        self._shares = {each.index: each.share_permille / whole for each in eligible if each.share_permille < whole}
        self._credits = {index: self._credits.get(index, 0.0) for index in self._shares}
        count = len(self._servers)
        if self._next < 0 or not count:
            self._next = self._random.randrange(count) if count else -1
        else:
            # Go on behind the server that had the last turn, even if it is no longer there itself.
            self._next = next((at for at, index in enumerate(self._servers) if index > previous), 0)

    def choose_server(self, client_key: bytes, now_s: float, excluded: Collection[int] = ()) -> int | None:
        """See Algorithm."""
        servers = self._servers
        for _ in servers:
            at = self._next
            if at >= len(servers):
                at = 0
            self._next = at + 1
            index = servers[at]
            if (not excluded or index not in excluded) and (not self._shares or self._has_turn(index)):
                return index
        return self._anyone(excluded) if self._shares else None

    def _has_turn(self, index: int) -> bool:
        """Say whether a server takes its turn: one on a slow start takes only some of them."""
        share = self._shares.get(index)
        if share is None:
            return True
        credit = self._credits[index] + share
        self._credits[index] = credit - int(credit)
        return credit >= 1.0

    def _anyone(self, excluded: Collection[int]) -> int | None:
        """Choose when nobody took a turn: those that take every turn were tried."""
        left = [index for index in self._servers if index not in excluded]
        return max(left, key=lambda index: self._credits.get(index, 1.0), default=None)

    def _twin(self) -> Self:
        """See Algorithm."""
        twin = copy(self)
        twin._credits = dict(self._credits)
        return twin

    def _weigh(
        self, client_key: bytes, now_s: float, excluded: Collection[int], twin: Self, load: KeptLoad
    ) -> Weighing:
        """See Algorithm."""
        at = 0 if self._next >= len(self._servers) else self._next
        left = left_of(self._servers[at:] + self._servers[:at], excluded)
        # What one on a slow start has of its turn once it is asked: below a whole one it lets others go first.
        saved = {index: self._credits[index] + share for index, share in self._shares.items()}
        grades = {index: (saved.get(index, 1.0) < 1.0, place) for place, index in enumerate(left)}
        if all(passes for passes, _ in grades.values()):
            return Weighing(
                {index: (-saved[index],) for index in left},
                lambda index: f"has saved {saved[index]:.0%} of a turn (slow start)",
                "nobody has a whole turn",
            )

        def words(index: int) -> str:
            turn = f"{in_order(grades[index][1] + 1)} in turn"
            share = self._shares.get(index)
            if share is None:
                return turn
            lets = ", lets this one go" if grades[index][0] else ""
            return f"{turn}, takes {share:.0%} of its turns (slow start){lets}"

        return Weighing(grades, words)
