"""Why a request or a TCP connection went to a server, as it is kept and shown.

Responsible for what is known of one decision. Knows nothing of how it came about. Invariants: names are those of the
configuration; nothing here is a client's own text, only its address.
"""

from __future__ import annotations

from dataclasses import dataclass

from lbapp.model.persistence import PersistenceVerdict

BY_PERSISTENCE = "persistence"  # in place of an algorithm


@dataclass(frozen=True, slots=True)
class Considered:
    """A server that could be chosen, and what spoke for it."""

    server: str
    score: str


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A server that could not be chosen, and why."""

    server: str
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """One choice of a server. `server` empty: none was found; `by`: an algorithm or BY_PERSISTENCE, empty: nobody.

    `considered`: the best first, of `candidates` that there were; `passed_over` likewise, of `skipped`. `attempt` counts from 1.
    `remembered`: the server that persistence names. `at_s` in Unix seconds.
    """

    at_s: float
    client: str
    port: int
    pool: str
    algorithm: str
    attempt: int = 1
    server: str = ""
    by: str = ""
    considered: tuple[Considered, ...] = ()
    candidates: int = 0
    passed_over: tuple[PassedOver, ...] = ()
    skipped: int = 0
    verdict: PersistenceVerdict | None = None
    given: PersistenceVerdict | None = None
    remembered: str = ""
    key: str = ""  # what a hash was made of, such as `header x-user`; its value is not kept
    has_waited: bool = False
    note: str = ""
