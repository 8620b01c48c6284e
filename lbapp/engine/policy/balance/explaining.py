"""An algorithm that says why, for as long as somebody wants to know.

Responsible for having one explain each choice before it makes it, by the same counts. Knows nothing of what becomes of the
explanation. Invariant: what is chosen is what would have been chosen without it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from lbapp.engine.policy.balance.base import Algorithm
from lbapp.engine.policy.balance.explanation import Explanation, KeptLoad


class Explaining:
    """Stands in for an algorithm where a server is chosen; `tell` is given the explanation of each choice."""

    def __init__(self, algorithm: Algorithm, tell: Callable[[Explanation], None]) -> None:
        self._algorithm = algorithm
        self._tell = tell

    def choose_server(self, client_key: bytes, now_s: float, excluded: Collection[int] = ()) -> int | None:
        """See Algorithm."""
        algorithm = self._algorithm
        live = algorithm.load
        algorithm.load = KeptLoad(live)  # what other workers have in flight must not change in between
        try:
            self._tell(algorithm.explain(client_key, now_s, excluded))
            return algorithm.choose_server(client_key, now_s, excluded)
        finally:
            algorithm.load = live
