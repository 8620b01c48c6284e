"""Which exchanges somebody wants to see, and which before others.

Responsible for the names that the control API, the command line and the workers agree on. Knows nothing of records. Invariant:
what is empty or 0 asks for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogFilter:
    """All of it has to hold. `server` as `POOL/SERVER`; `status_min` to `status_max`; `path`: how the target begins."""

    listener: str = ""
    pool: str = ""
    server: str = ""
    client: str = ""
    path: bytes = b""
    status_min: int = 0
    status_max: int = 0
    slower_us: int = 0
    is_failed: bool = False  # not complete, or a 5xx


EVERYTHING = LogFilter()


@dataclass(frozen=True, slots=True)
class Preference:
    """Exchanges that are shown before others where there are too many: those that failed, and those that took so long.

    `slow_us` 0: however long they took. A TCP connection is never slow: it lasts as long as its two ends want.
    """

    slow_us: int = 0
