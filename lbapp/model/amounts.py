"""What was counted in some time, of a listener, a pool or a server.

Responsible for the words for it. Knows nothing of who counted or for how long. Invariant: amounts of times that follow each other
add up to those of the whole time, exactly: they are counts and histograms, never rates or percentiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final, Literal, NamedTuple

Kind = Literal["listener", "pool", "server"]


class Phase(IntEnum):
    """Where the time of an exchange goes; each is a place in `Amounts.histograms`."""

    QUEUE = 0  # waiting for room: of those who had to
    CONNECT = 1  # of new connections to servers
    FIRST_BYTE = 2  # from the request sent to the head of the answer
    TOTAL = 3


class Subject(NamedTuple):
    """Whose something is. A server is named POOL/SERVER."""

    kind: Kind
    name: str


class Amounts(NamedTuple):
    """Exchanges that ended, those of them that failed, and a histogram sum (see `histogram`) for each Phase."""

    requests: int
    errors: int
    histograms: tuple[int, ...]

    @property
    def is_nothing(self) -> bool:
        """Say whether nothing was counted at all."""
        return not (self.requests or self.errors or any(self.histograms))


NOTHING: Final = Amounts(0, 0, (0,) * len(Phase))


def added(parts: Sequence[Amounts]) -> Amounts:
    """Return the sum."""
    if len(parts) == 1:
        return parts[0]
    return Amounts(
        sum(part.requests for part in parts),
        sum(part.errors for part in parts),
        tuple(sum(part.histograms[phase] for part in parts) for phase in Phase),
    )
