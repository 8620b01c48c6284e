"""Why requests went where they went, in the control API.

Responsible for the names and types of these messages. Knows nothing of HTTP or of how they come about. Invariants: those of
`messages`.
"""

from __future__ import annotations

from typing import TypedDict


class CandidateStatus(TypedDict):
    """A server that could be chosen. `score`: what spoke for it, in words."""

    server: str
    score: str


class SkippedStatus(TypedDict):
    """A server that could not be chosen."""

    server: str
    reason: str


class DecisionStatus(TypedDict):
    """One choice of a server. Lists name 16 servers at most, the counts beside them all; the best candidate is the first."""

    at: float  # Unix seconds
    client: str | None  # as in the access log
    port: int | None
    pool: str
    algorithm: str  # of the pool
    attempt: int  # from 1
    server: str | None  # that was chosen
    by: str | None  # an algorithm, or persistence; null: none was found
    candidates: list[CandidateStatus]
    candidates_total: int
    skipped: list[SkippedStatus]
    skipped_total: int
    persistence: list[str]  # verdicts, as in the access log; empty without persistence
    remembered: str | None  # the server that the client had
    key: str | None  # what was hashed, such as "header x-user"; its value is not kept
    waited: bool  # for room, before it was chosen
    note: str


class Decisions(TypedDict):
    """`GET /v1/decisions?pool=P&client=ADDRESS&limit=N`: those recorded lately, the last one last.

    `GET /v1/decisions/preview?pool=P&client=ADDRESS&key=VALUE`: how one would be made now; several where other pools take over.
    404 unknown_pool, 422 invalid_query, 503 no_worker.
    """

    decisions: list[DecisionStatus]
