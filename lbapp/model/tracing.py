"""What a listener gives each request so that it is found again, as configured.

Responsible for these settings. Knows nothing of fields or bytes. Invariant: nothing is given that was not asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Accept(str, Enum):
    """Whose ids are kept; those of others are replaced."""

    TRUSTED = "trusted"  # of trusted proxies
    ALL = "all"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Tracing:
    """`[listener.tracing]`. `answer`: the client gets the request's id, too."""

    request_id: bool = False
    traceparent: bool = False
    accept: Accept = Accept.TRUSTED
    answer: bool = False

    @property
    def is_on(self) -> bool:
        """Say whether requests are given anything."""
        return self.request_id or self.traceparent


NO_TRACING = Tracing()
