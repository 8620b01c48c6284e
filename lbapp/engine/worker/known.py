"""What a pool's persistence says of a client, to who asks why it got its server.

Responsible for the shape of that. Knows nothing of cookies or of the table. Invariant: asking changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lbapp.engine.policy.balance.explanation import Explanation
from lbapp.model.persistence import PersistenceVerdict

# What a pool's persistence said in its last choice: on the client that came, what it was given, the row of the server it had.
Said = tuple[PersistenceVerdict | None, PersistenceVerdict | None, int | None]


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of a client. `server`: its id, empty: none; `row`: None where a new one is to be chosen for it."""

    verdict: PersistenceVerdict
    server: str
    row: int | None
    explain: Callable[[tuple[int, ...]], tuple[str, Explanation]]  # how that would go, without those of the rows given
